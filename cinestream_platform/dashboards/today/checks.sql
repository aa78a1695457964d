SELECT
    source, schema_name, table_name, check_name, severity, description, counts, since, evaluated_at,
    count(*) OVER () AS total
FROM platform.check_result
WHERE is_latest AND NOT passed
ORDER BY severity, source, table_name, check_name
LIMIT 40
