SELECT t.schema_name, t.table_name, t.source, t.kind, t.description, t.business_question, t.rows,
    (
        SELECT count(*) FROM platform.table_column c
        WHERE (c.schema_name, c.table_name) = (t.schema_name, t.table_name) AND c.column_name = %(column)s
    ) AS has_column
FROM platform.source_table t
WHERE t.schema_name = split_part(%(table)s, '.', 1)
    AND t.table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
