SELECT
    schema_name, table_name, source, (SELECT s.title FROM platform.source s WHERE s.source = t.source) AS source_title,
    kind, description, grain, owner, business_question, sample_sql, mart_sql,
    has_personal_columns, rows, partitions, published_at, data_as_of, rejected_rows, files_loaded, write_mode,
    partition_unit, dataset, stale_partitions, stale_since, base_table, open_view
FROM platform.source_table t
WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
