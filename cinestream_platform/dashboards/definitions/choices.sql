SELECT DISTINCT source, coalesce(s.title, source) AS title, s.position
FROM platform.metric
LEFT JOIN platform.source s USING (source)
ORDER BY s.position, source
