SELECT
    source, verdict, reasons, records, rows_loaded, rows_rejected, rejected_share, usual_share, is_as_usual, files_landed,
    files_loaded, files_waiting, files_failing, files_parked, last_loaded_at, checks, failed_checks, warned_checks,
    stale_tables, is_late, late_since, newest_data_at, last_looked_at, rhythm
FROM platform.source_health
