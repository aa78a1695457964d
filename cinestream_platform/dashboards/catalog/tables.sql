WITH asked AS (
    SELECT lower(%(q)s) AS words, websearch_to_tsquery('english', %(q)s) AS query
),
columns AS (
    SELECT
        c.schema_name, c.table_name,
        array_agg(c.column_name ORDER BY c.position) FILTER (
            WHERE a.words <> '' AND (
                position(a.words IN lower(c.column_name)) > 0
                OR to_tsvector('english', replace(c.column_name, '_', ' ') || ' ' || c.description) @@ a.query
            )
        ) AS matching
    FROM platform.table_column c CROSS JOIN asked a
    GROUP BY c.schema_name, c.table_name
),
found AS (
    SELECT
        t.*, c.matching,
        to_tsvector(
            'english',
            concat_ws(' ', translate(t.schema_name || ' ' || t.table_name, '_.', '  '), t.business_question, t.description)
        ) AS text,
        position(a.words IN lower(t.schema_name || '.' || t.table_name)) AS named_at,
        a.words, a.query
    FROM platform.source_table t
    CROSS JOIN asked a
    LEFT JOIN columns c USING (schema_name, table_name)
)
SELECT
    schema_name, table_name, source, kind, description, business_question, grain, rows, published_at, data_as_of,
    has_personal_columns, stale_partitions, matching
FROM found
WHERE (%(source)s = '' OR source = %(source)s)
    AND (%(kind)s = '' OR kind = %(kind)s)
    AND (words = '' OR named_at > 0 OR text @@ query OR matching IS NOT NULL)
ORDER BY
    CASE WHEN words <> '' AND named_at > 0 THEN 0 WHEN words <> '' AND text @@ query THEN 1 ELSE 2 END,
    CASE kind WHEN 'mart' THEN 0 WHEN 'view' THEN 1 WHEN 'fact' THEN 2 WHEN 'raw' THEN 5 WHEN 'prediction' THEN 4 ELSE 3 END,
    position
LIMIT 500
