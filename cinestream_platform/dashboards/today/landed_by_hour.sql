SELECT
    to_char(date_trunc('hour', loaded_at AT TIME ZONE 'UTC'), 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS hour,
    coalesce(s.title, f.source) AS source,
    count(*) AS files, sum(rows_loaded)::bigint AS rows_loaded, sum(rows_rejected)::bigint AS rows_rejected
FROM platform.file f
LEFT JOIN platform.source s USING (source)
WHERE loaded_at > date_trunc('hour', now()) - interval '23 hours' AND status = 'loaded'
GROUP BY 1, 2
ORDER BY 1, 2
