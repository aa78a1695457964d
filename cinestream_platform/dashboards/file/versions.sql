SELECT
    f.file_id, f.source, (SELECT s.title FROM platform.source s WHERE s.source = f.source) AS source_title,
    f.dataset, f.key, f.status, f.is_newest, f.is_held, f.is_failing, f.size_bytes, f.last_modified,
    f.first_seen_at, f.loaded_at, f.rows_read, f.rows_loaded, f.rows_rejected, f.attempts, f.reason, f.rejected_by_rule,
    f.sha256, d.rejected_share, d.usual_share, d.is_as_usual, same.key AS duplicate_of
FROM platform.file f
LEFT JOIN platform.delivery d ON d.file_id = f.file_id AND d.source = f.source AND d.dataset = f.dataset
LEFT JOIN platform.file same ON same.file_id = f.duplicate_of
WHERE f.key = %(key)s
ORDER BY f.is_newest DESC, f.file_id DESC
LIMIT 20
