SELECT
    column_name, data_type, description, is_nullable, is_key, is_personal, refers_to, rules,
    m.source || '.' || m.metric_name AS metric, m.label AS metric_label
FROM platform.table_column
LEFT JOIN platform.metric m ON %(table)s || '.' || column_name = ANY (m.mart_columns)
WHERE table_column.schema_name = split_part(%(table)s, '.', 1)
    AND table_column.table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
ORDER BY table_column.position
