SELECT
    p.schema_name, p.table_name, t.kind, t.business_question, t.description, t.position,
    array_agg(p.partition_key ORDER BY p.partition_key) AS partitions, sum(p.rows_in_partition)::bigint AS rows,
    max(p.published_at) AS published_at
FROM platform.publication_file p
LEFT JOIN platform.source_table t USING (schema_name, table_name)
WHERE p.file_id IN (SELECT file_id FROM platform.file WHERE key = %(key)s)
GROUP BY p.schema_name, p.table_name, t.kind, t.business_question, t.description, t.position
ORDER BY t.position NULLS LAST, 1, 2
LIMIT 500
