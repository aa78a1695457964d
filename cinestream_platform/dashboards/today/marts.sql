SELECT
    schema_name, table_name, source, kind, business_question, rows, partitions, data_as_of, published_at, stale_partitions,
    stale_since
FROM platform.source_table
WHERE kind = 'mart'
ORDER BY position, schema_name, table_name
