SELECT
    file_id, source, dataset, key, status, is_newest, is_held, is_failing, size_bytes, first_seen_at, loaded_at, rows_loaded,
    rows_rejected, reason, count(*) OVER () AS total
FROM platform.file
WHERE (%(source)s = '' OR source = %(source)s)
    AND (%(state)s = '' OR status = %(state)s)
    AND (%(folder)s = '' OR source || '/' || dataset = %(folder)s)
    AND (%(name)s = '' OR position(%(name)s IN key) > 0)
ORDER BY file_id DESC
LIMIT 100
