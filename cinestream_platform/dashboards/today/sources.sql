SELECT
    h.source, s.title, h.verdict, h.reasons, h.records, h.rows_loaded, h.rows_rejected, h.rejected_share, h.usual_share,
    h.is_as_usual, h.files_landed, h.files_loaded, h.files_waiting, h.files_failing, h.files_parked, h.last_loaded_at,
    h.checks, h.failed_checks, h.warned_checks, h.stale_tables, h.is_late, h.late_since, h.newest_data_at,
    h.last_looked_at, h.rhythm
FROM platform.source_health h
JOIN platform.source s USING (source)
ORDER BY s.position
