SELECT file_id, source, dataset, key, status, is_held, is_failing, first_seen_at, loaded_at, rows_loaded, rows_rejected, size_bytes
FROM platform.file
WHERE first_seen_at > now() - interval '1 day'
ORDER BY file_id DESC
LIMIT 12
