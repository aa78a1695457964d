SELECT column_name
FROM platform.table_column
WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
ORDER BY position
