SELECT f.source, coalesce(s.title, f.source) AS title, f.states
FROM (SELECT source, array_agg(DISTINCT status) AS states FROM platform.file GROUP BY source) f
LEFT JOIN platform.source s USING (source)
ORDER BY s.position, f.source
