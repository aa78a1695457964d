-- A source is as usual where every feed is known to be: with one of which that is not known, nothing is said. A parked file
-- is counted as a file and not as a failed check too: what is published is right, so the source needs a look and is not wrong.
CREATE OR REPLACE VIEW platform.source_health AS
WITH files AS (
    SELECT
        source, count(*) FILTER (WHERE first_seen_at > now() - interval '1 day') AS files_landed,
        count(*) FILTER (WHERE status = 'loaded') AS files_loaded,
        count(*) FILTER (WHERE status = 'pending') AS files_waiting,
        count(*) FILTER (WHERE status = 'pending' AND attempts > 0 AND reason IS NOT NULL AND cancelled_at IS NULL) AS files_failing,
        count(*) FILTER (WHERE status = 'parked') AS files_parked,
        max(loaded_at) FILTER (WHERE status = 'loaded') AS last_loaded_at
    FROM ops.landed_file GROUP BY source
),
newest AS (
    SELECT t.source, d.*
    FROM ops.declared_table t
    CROSS JOIN LATERAL (
        SELECT records, rows_loaded, rows_rejected, usual_share, is_as_usual FROM platform.delivery d
        WHERE (d.source, d.dataset) = (t.source, t.dataset) AND d.status = 'loaded'
        ORDER BY d.loaded_at DESC, d.file_id DESC LIMIT 1
    ) d
    WHERE t.kind = 'raw'
),
deliveries AS (
    SELECT
        source, sum(records)::bigint AS records, sum(rows_loaded)::bigint AS rows_loaded,
        sum(rows_rejected)::bigint AS rows_rejected,
        CASE WHEN bool_and(usual_share IS NOT NULL) THEN sum(usual_share * records) / nullif(sum(records), 0) END AS usual_share,
        count(*) FILTER (WHERE NOT is_as_usual) AS unusual,
        CASE WHEN bool_and(is_as_usual) THEN CASE WHEN bool_and(is_as_usual IS NOT NULL) THEN true END ELSE bool_and(is_as_usual) END AS is_as_usual
    FROM newest GROUP BY source
),
checks AS (
    SELECT
        source, count(*) AS checks,
        count(*) FILTER (WHERE NOT is_passed AND severity = 'error' AND check_name <> 'no_parked_files') AS failed,
        count(*) FILTER (WHERE NOT is_passed AND severity = 'warn') AS warned
    FROM ops.check_result WHERE is_latest GROUP BY source
),
stale AS (
    SELECT t.source, count(*) AS tables, min(s.stale_since) AS since
    FROM ops.stale_table s JOIN ops.declared_table t USING (schema_name, table_name) GROUP BY t.source
),
held AS (SELECT source, count(*) AS partitions FROM ops.held_work GROUP BY source),
facts AS (
    SELECT
        s.source, s.position, coalesce(f.files_landed, 0) AS files_landed, coalesce(f.files_loaded, 0) AS files_loaded,
        coalesce(f.files_waiting, 0) AS files_waiting, coalesce(f.files_failing, 0) AS files_failing,
        coalesce(f.files_parked, 0) AS files_parked, f.last_loaded_at, d.records, d.rows_loaded, d.rows_rejected,
        coalesce(d.rows_rejected::float8 / nullif(d.records, 0), 0) AS rejected_share, d.usual_share, d.is_as_usual,
        coalesce(d.unusual, 0) AS unusual, coalesce(c.checks, 0) AS checks, coalesce(c.failed, 0) AS failed_checks,
        coalesce(c.warned, 0) AS warned_checks, coalesce(t.tables, 0) AS stale_tables, t.since AS stale_since,
        coalesce(h.partitions, 0) AS held_partitions, r.is_late, r.since AS late_since, r.newest_data_at,
        r.last_looked_at, r.rhythm, r.problem
    FROM ops.declared_source s
    JOIN platform.source_freshness r USING (source)
    LEFT JOIN files f USING (source) LEFT JOIN deliveries d USING (source) LEFT JOIN checks c USING (source)
    LEFT JOIN stale t USING (source) LEFT JOIN held h USING (source)
)
SELECT
    source, files_landed, files_loaded, files_waiting, files_failing, files_parked, last_loaded_at, records, rows_loaded,
    rows_rejected, rejected_share, usual_share, is_as_usual, checks, failed_checks, warned_checks, stale_tables, stale_since,
    held_partitions, is_late, late_since, newest_data_at, last_looked_at, rhythm,
    CASE
        WHEN failed_checks > 0 THEN 'broken'
        WHEN cardinality(reasons) > 0 THEN 'look'
        WHEN files_loaded + files_waiting = 0 THEN 'empty'
        ELSE 'fine'
    END AS verdict,
    reasons
FROM facts
CROSS JOIN LATERAL (
    SELECT array_remove(ARRAY[
        CASE WHEN failed_checks = 1 THEN '1 check failed' WHEN failed_checks > 1 THEN failed_checks || ' checks failed' END,
        CASE WHEN files_parked = 1 THEN '1 file is parked' WHEN files_parked > 1 THEN files_parked || ' files are parked' END,
        CASE WHEN files_failing = 1 THEN '1 file failed and will be tried again'
            WHEN files_failing > 1 THEN files_failing || ' files failed and will be tried again' END,
        CASE WHEN unusual > 0 THEN 'more records are rejected than usual' END,
        CASE WHEN is_late THEN 'its data is late' END,
        CASE WHEN problem IS NOT NULL THEN 'it could not be asked for news' END,
        CASE WHEN warned_checks = 1 THEN '1 check warns' WHEN warned_checks > 1 THEN warned_checks || ' checks warn' END,
        CASE WHEN held_partitions > 0 THEN 'cancelled work waits' END,
        CASE WHEN stale_since < now() - interval '1 hour' THEN
            CASE stale_tables WHEN 1 THEN '1 table has waited' ELSE stale_tables || ' tables have waited' END
            || ' for a build for more than an hour' END
    ], NULL) AS reasons
) AS found
ORDER BY position;
COMMENT ON COLUMN platform.source_health.failed_checks IS 'Checks of severity error that fail now, but for no_parked_files: files_parked counts these.';
