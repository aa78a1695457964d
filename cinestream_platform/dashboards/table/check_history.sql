SELECT check_name, description, severity, passed, counts, since, evaluated_at, evaluations
FROM platform.check_result
WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1) AND NOT is_latest
ORDER BY since DESC
LIMIT 60
