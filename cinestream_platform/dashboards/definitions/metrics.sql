SELECT
    m.source, coalesce(s.title, m.source) AS title, m.metric_name, m.label, m.meaning, m.formula, m.unit, m.owner,
    m.schema_name, m.table_name, m.dimensions, m.periods, m.additive_over, m.mart_columns, m.sample_sql
FROM platform.metric m
LEFT JOIN platform.source s USING (source)
WHERE (%(source)s = '' OR source = %(source)s)
ORDER BY m.position
LIMIT 500
