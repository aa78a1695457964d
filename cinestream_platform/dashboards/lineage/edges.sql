WITH RECURSIVE up AS (
    SELECT from_kind, from_name, to_kind, to_name FROM platform.lineage_edge
    WHERE to_name = %(table)s AND to_kind IN ('raw', 'star', 'mart', 'open view')
    UNION
    SELECT e.from_kind, e.from_name, e.to_kind, e.to_name
    FROM platform.lineage_edge e JOIN up ON (e.to_kind, e.to_name) = (up.from_kind, up.from_name)
),
down AS (
    SELECT from_kind, from_name, to_kind, to_name FROM platform.lineage_edge
    WHERE from_name = %(table)s AND from_kind IN ('raw', 'star', 'mart', 'open view')
    UNION
    SELECT e.from_kind, e.from_name, e.to_kind, e.to_name
    FROM platform.lineage_edge e JOIN down ON (e.from_kind, e.from_name) = (down.to_kind, down.to_name)
)
SELECT 'up' AS direction, up.* FROM up
UNION ALL
SELECT 'down', down.* FROM down
ORDER BY 1, 2, 3, 4, 5
LIMIT 2000
