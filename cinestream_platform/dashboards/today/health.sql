SELECT
    files_parked, files_waiting, files_failing, partitions_held, tables_stale, stale_is_current, last_loaded_at,
    last_published_at, last_extracted_at, now() AS looked_at,
    (SELECT count(*) FROM platform.file WHERE first_seen_at > now() - interval '1 day') AS files_landed
FROM platform.health
