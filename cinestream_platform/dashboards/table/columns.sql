SELECT column_name, data_type, description, is_nullable, is_key, is_personal, refers_to, rules
FROM platform.table_column
WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
ORDER BY position
