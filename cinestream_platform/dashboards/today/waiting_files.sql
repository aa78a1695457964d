SELECT source, key, status, first_seen_at, attempts, is_held, is_failing, reason, count(*) OVER () AS total
FROM platform.file
WHERE is_newest AND status IN ('parked', 'pending')
ORDER BY status <> 'parked', NOT is_failing, first_seen_at DESC, file_id DESC
LIMIT 20
