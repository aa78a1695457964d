WITH RECURSIVE start AS (
    SELECT
        split_part(%(table)s, '.', 1) AS schema_name,
        substr(%(table)s, position('.' IN %(table)s) + 1) AS table_name, %(column)s AS column_name
),
up AS (
    SELECT e.* FROM platform.column_lineage_edge e
    JOIN start s ON (e.to_schema, e.to_table, e.to_column) = (s.schema_name, s.table_name, s.column_name)
    UNION
    SELECT e.* FROM platform.column_lineage_edge e
    JOIN up ON (e.to_schema, e.to_table, e.to_column) = (up.from_schema, up.from_table, up.from_column)
),
down AS (
    SELECT e.* FROM platform.column_lineage_edge e
    JOIN start s ON (e.from_schema, e.from_table, e.from_column) = (s.schema_name, s.table_name, s.column_name)
    UNION
    SELECT e.* FROM platform.column_lineage_edge e
    JOIN down ON (e.from_schema, e.from_table, e.from_column) = (down.to_schema, down.to_table, down.to_column)
)
SELECT 'up' AS direction, up.* FROM up
UNION ALL
SELECT 'down', down.* FROM down
ORDER BY 1, 2, 3, 4, 5, 6, 7
LIMIT 2000
