SELECT t.source, coalesce(s.title, t.source) AS title, t.kinds, t.tables
FROM (
    SELECT source, array_agg(DISTINCT kind) AS kinds, count(*) AS tables, min(position) AS position
    FROM platform.source_table
    GROUP BY source
) t
LEFT JOIN platform.source s USING (source)
ORDER BY t.position
