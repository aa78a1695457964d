SELECT
    source, metric_name, label, meaning, formula, unit, owner, schema_name, table_name, dimensions, periods, additive_over,
    mart_columns, sample_sql
FROM platform.metric
WHERE (%(source)s = '' OR source = %(source)s)
LIMIT 500
