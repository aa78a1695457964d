SELECT source, array_agg(DISTINCT kind) AS kinds, count(*) AS tables
FROM platform.source_table
GROUP BY source
ORDER BY min(position)
