SELECT to_kind, to_name
FROM platform.lineage_edge
WHERE from_name = %(table)s AND from_kind IN ('raw', 'star', 'mart', 'open view')
ORDER BY to_kind, to_name
LIMIT 200
