-- What pages and analysts are told: catalogue, lineage, publications, freshness, health, checks and runs. No view holds a
-- value of a record. What "late", "as usual" and "fine" mean is said here and nowhere else.
CREATE VIEW platform.source_table AS
SELECT
    t.schema_name, t.table_name, t.source, t.kind, t.description, t.grain, t.owner, t.business_question, t.sample_sql,
    t.mart_sql,
    EXISTS (
        SELECT FROM ops.declared_column c
        WHERE (c.schema_name, c.table_name) = (t.schema_name, t.table_name) AND c.is_personal
    ) AS has_personal_columns,
    CASE t.kind WHEN 'raw' THEN coalesce(f.rows, 0) ELSE p.rows END AS rows,
    p.partitions,
    CASE t.kind WHEN 'raw' THEN f.loaded_at ELSE p.published_at END AS published_at,
    CASE t.kind WHEN 'raw' THEN f.data_as_of ELSE p.data_as_of END AS data_as_of,
    f.rejected_rows,
    f.files AS files_loaded,
    t.write_mode, t.partition_unit, t.dataset,
    s.partitions AS stale_partitions, s.stale_since,
    t.position
FROM ops.declared_table t
LEFT JOIN (
    SELECT
        schema_name, table_name, count(*) AS partitions, sum(rows)::bigint AS rows, max(published_at) AS published_at,
        max(data_as_of) AS data_as_of
    FROM ops.publication WHERE is_latest GROUP BY schema_name, table_name
) p USING (schema_name, table_name)
LEFT JOIN (
    SELECT
        source, dataset, count(*) AS files, sum(rows_loaded)::bigint AS rows, sum(rows_rejected)::bigint AS rejected_rows,
        max(loaded_at) AS loaded_at, max(last_modified) AS data_as_of
    FROM ops.landed_file WHERE status = 'loaded' GROUP BY source, dataset
) f ON t.kind = 'raw' AND (f.source, f.dataset) = (t.source, t.dataset)
LEFT JOIN ops.stale_table s USING (schema_name, table_name);
COMMENT ON VIEW platform.source_table IS 'The catalogue: what each table means and holds. Grain: one row per raw table, dimension, bridge, fact, mart, view of a mart, or table of predictions.';
COMMENT ON COLUMN platform.source_table.kind IS 'raw, dimension, bridge, fact, mart, view (of a mart) or prediction.';
COMMENT ON COLUMN platform.source_table.grain IS 'What a row is, without "one row": per film.';
COMMENT ON COLUMN platform.source_table.business_question IS 'The question that it answers; of marts and views.';
COMMENT ON COLUMN platform.source_table.sample_sql IS 'A query that data_analyst may run; NULL for raw tables, which only engineers read.';
COMMENT ON COLUMN platform.source_table.mart_sql IS 'The SQL of a mart or view, as written in the dbt project.';
COMMENT ON COLUMN platform.source_table.has_personal_columns IS 'Whether it has columns that are closed to all but engineers.';
COMMENT ON COLUMN platform.source_table.rows IS 'Rows at the last publication; of raw tables the rows of all loaded files. NULL if never published, or written by others.';
COMMENT ON COLUMN platform.source_table.partitions IS 'Published partitions, 1 for a table without; NULL for raw tables.';
COMMENT ON COLUMN platform.source_table.published_at IS 'The last publication; of raw tables the last load.';
COMMENT ON COLUMN platform.source_table.data_as_of IS 'When the newest delivery behind it landed, or was taken from its database.';
COMMENT ON COLUMN platform.source_table.rejected_rows IS 'Rejected records of the loaded files; raw tables only.';
COMMENT ON COLUMN platform.source_table.files_loaded IS 'Loaded files; raw tables only.';
COMMENT ON COLUMN platform.source_table.write_mode IS 'file, snapshot, history, upsert, partition, external, or rebuild (marts).';
COMMENT ON COLUMN platform.source_table.partition_unit IS 'year, quarter or month; NULL without partitions.';
COMMENT ON COLUMN platform.source_table.dataset IS 'The feed of a raw table.';
COMMENT ON COLUMN platform.source_table.stale_partitions IS 'Partitions that wait for a build, at the last look; NULL if none.';
COMMENT ON COLUMN platform.source_table.position IS 'The order of declaration: a source''s raw tables, its star, its marts.';

CREATE VIEW platform.table_column AS
SELECT
    c.schema_name, c.table_name, c.position, c.column_name, c.data_type, c.description, c.is_nullable, c.is_key,
    c.is_personal, c.refers_to, c.rules
FROM ops.declared_column c;
COMMENT ON VIEW platform.table_column IS 'Columns of the catalogue''s tables. Grain: one row per column.';
COMMENT ON COLUMN platform.table_column.is_key IS 'Whether it is part of what identifies a row.';
COMMENT ON COLUMN platform.table_column.is_personal IS 'Closed to all but engineers.';
COMMENT ON COLUMN platform.table_column.refers_to IS 'schema.table whose key it holds.';
COMMENT ON COLUMN platform.table_column.rules IS 'What its values keep to, in words; empty without rules.';

CREATE VIEW platform.lineage_edge AS SELECT from_kind, from_name, to_kind, to_name FROM ops.declared_edge;
COMMENT ON VIEW platform.lineage_edge IS 'What is made from what, from operational tables and landing folders to exports. Grain: one row per pair.';
COMMENT ON COLUMN platform.lineage_edge.from_kind IS 'operational table, extraction, landing folder, raw, star or mart.';
COMMENT ON COLUMN platform.lineage_edge.from_name IS 'schema.table; source/dataset of landing folders and extractions; database.table of operational tables.';
COMMENT ON COLUMN platform.lineage_edge.to_kind IS 'extraction, raw, star, mart or export.';
COMMENT ON COLUMN platform.lineage_edge.to_name IS 'As from_name; source_exports.name of exports, as in platform.publication.';

CREATE VIEW platform.column_lineage_edge AS
SELECT from_schema, from_table, from_column, to_schema, to_table, to_column FROM ops.declared_column_edge;
COMMENT ON VIEW platform.column_lineage_edge IS 'Which columns a column is computed from, where known. Grain: one row per pair of columns.';

CREATE VIEW platform.publication AS
SELECT
    publication_id, schema_name, table_name, partition_key, run_id, published_at, rows, content_hash, is_changed,
    is_latest, data_as_of, cardinality(file_ids) AS files, upstream AS inputs
FROM ops.publication;
COMMENT ON VIEW platform.publication IS 'What was published when, by which run. Grain: one row per publication of a table, partition or export.';
COMMENT ON COLUMN platform.publication.partition_key IS '2005; 2005-04 for the month or the quarter that begins then; whole for a table without partitions.';
COMMENT ON COLUMN platform.publication.is_changed IS 'False where new inputs gave the same content.';
COMMENT ON COLUMN platform.publication.files IS 'How many landed files it is made from (publication_file).';
COMMENT ON COLUMN platform.publication.inputs IS 'Marts and exports: publication_id of what they were made from.';

CREATE VIEW platform.publication_file AS
SELECT
    p.publication_id, p.schema_name, p.table_name, p.partition_key, p.published_at, f.file_id, f.source, f.dataset, f.key,
    f.status, f.loaded_at, f.rows_loaded, f.rows_rejected,
    CASE p.partition_key WHEN 'whole' THEN NULL ELSE (f.partition_rows ->> p.partition_key)::bigint END AS rows_in_partition
FROM ops.publication p JOIN ops.landed_file f ON f.file_id = ANY (p.file_ids)
WHERE p.is_latest
UNION ALL
SELECT
    NULL, t.schema_name, t.table_name, 'whole', f.loaded_at, f.file_id, f.source, f.dataset, f.key, f.status, f.loaded_at,
    f.rows_loaded, f.rows_rejected, NULL
FROM ops.landed_file f
JOIN ops.declared_table t ON t.kind = 'raw' AND (t.source, t.dataset) = (f.source, f.dataset)
WHERE f.status = 'loaded';
COMMENT ON VIEW platform.publication_file IS 'From a published partition to its landed files, and from a file to every table and partition that it is in. Ask for one table or one file. Grain: one row per file and partition that is published now.';
COMMENT ON COLUMN platform.publication_file.publication_id IS 'NULL for raw tables, into which files are loaded one by one.';
COMMENT ON COLUMN platform.publication_file.rows_in_partition IS 'Rows of the file in this partition, where its partitions are the table''s.';

CREATE OR REPLACE VIEW platform.file AS
SELECT
    f.file_id, f.source, f.dataset, f.key, f.status, f.is_newest, f.size_bytes, f.last_modified, f.first_seen_at,
    f.loaded_at, f.rows_read, f.rows_loaded, f.rows_rejected, f.attempts, f.cancelled_at IS NOT NULL AS is_held,
    coalesce(f.reason, CASE f.status WHEN 'pending' THEN 'waits for its turn to be loaded' END) AS reason,
    f.status = 'pending' AND f.attempts > 0 AND f.reason IS NOT NULL AND f.cancelled_at IS NULL AS is_failing,
    f.run_id, f.rejected_by_rule, f.superseded_by, f.duplicate_of, f.sha256
FROM ops.landed_file f;

CREATE VIEW platform.delivery AS
SELECT
    file_id, source, dataset, key, loaded_at, status, records, rows_loaded, rows_rejected, rejected_share, usual_share,
    CASE WHEN rejected_share <= 0.001 THEN true ELSE rejected_share <= 2 * usual_share END AS is_as_usual
FROM (
    SELECT
        f.file_id, f.source, f.dataset, f.key, f.loaded_at, f.status, f.rows_read AS records, f.rows_loaded,
        f.rows_rejected, coalesce(f.rows_rejected::float8 / nullif(f.rows_read, 0), 0) AS rejected_share,
        (
            SELECT CASE WHEN count(*) >= 3 THEN percentile_cont(0.5) WITHIN GROUP (ORDER BY share) END
            FROM (
                SELECT coalesce(e.rows_rejected::float8 / nullif(e.rows_read, 0), 0) AS share
                FROM ops.landed_file e
                WHERE (e.source, e.dataset) = (f.source, f.dataset) AND e.loaded_at IS NOT NULL
                    AND e.status IN ('loaded', 'superseded')
                    AND (e.loaded_at, e.file_id) < (f.loaded_at, f.file_id)
                ORDER BY e.loaded_at DESC, e.file_id DESC LIMIT 20
            ) AS earlier
        ) AS usual_share
    FROM ops.landed_file f
    WHERE f.loaded_at IS NOT NULL AND f.status IN ('loaded', 'superseded')
) AS judged;
COMMENT ON VIEW platform.delivery IS 'Loaded deliveries, each compared with those before it. Ask for one feed or a time. Grain: one row per loaded version of a file.';
COMMENT ON COLUMN platform.delivery.rejected_share IS 'Rejected records as a part of all.';
COMMENT ON COLUMN platform.delivery.usual_share IS 'The median of the shares of the 20 deliveries of the feed before it; NULL with fewer than 3.';
COMMENT ON COLUMN platform.delivery.is_as_usual IS 'At most 2 times the usual share, or at most 0.1 %; NULL where neither is known.';

CREATE VIEW platform.source_freshness AS
SELECT
    source, rhythm, newest_data_at, last_looked_at, problem,
    coalesce(now() > newest_data_at + rhythm, false) AS is_late,
    CASE WHEN now() > newest_data_at + rhythm THEN newest_data_at + rhythm END AS since
FROM (
    SELECT
        s.source, s.position, s.rhythm, l.looked_at AS last_looked_at, l.problem,
        CASE cardinality(s.systems)
            WHEN 0 THEN (
                SELECT max(last_modified) FROM ops.landed_file f WHERE f.source = s.source AND f.status = 'loaded'
            )
            ELSE l.newest_at
        END AS newest_data_at
    FROM ops.declared_source s
    CROSS JOIN LATERAL (
        SELECT
            min(looked_at) AS looked_at, max(problem) AS problem,
            min(greatest(current_at, (SELECT max(taken_at) FROM ops.extraction e WHERE e.source = p.place))) AS newest_at
        FROM unnest(CASE cardinality(s.systems) WHEN 0 THEN '{landing}' ELSE s.systems END) AS p (place)
        LEFT JOIN ops.source_look USING (place)
    ) AS l
) AS found
ORDER BY position;
COMMENT ON VIEW platform.source_freshness IS 'How old the data of each source is, and whether that is later than its rhythm allows. Grain: one row per source.';
COMMENT ON COLUMN platform.source_freshness.rhythm IS 'News is expected within it; NULL for releases, which are never late.';
COMMENT ON COLUMN platform.source_freshness.newest_data_at IS 'The time at which the newest loaded file landed; of a database the last time at which all that it held was loaded. NULL if nothing is loaded.';
COMMENT ON COLUMN platform.source_freshness.last_looked_at IS 'When it was last looked for something new, to the minute.';
COMMENT ON COLUMN platform.source_freshness.problem IS 'Why the last look had no answer.';
COMMENT ON COLUMN platform.source_freshness.is_late IS 'newest_data_at is longer ago than the rhythm.';
COMMENT ON COLUMN platform.source_freshness.since IS 'From when on it has been late; NULL if it is not.';

CREATE VIEW platform.check_result AS
SELECT
    c.source, t.schema_name, c.asset AS table_name, c.check_name, c.is_passed AS passed, c.severity,
    coalesce(d.description, '') AS description, c.counts, c.since, c.evaluated_at, c.evaluations, c.run_id, c.is_latest
FROM ops.check_result c
LEFT JOIN ops.declared_check d USING (source, asset, check_name)
LEFT JOIN ops.declared_table t ON (t.source, t.table_name) = (c.source, c.asset);
COMMENT ON VIEW platform.check_result IS 'What checks found, the last outcome and those before it. Grain: one row for evaluations in a row of a check with the same outcome.';
COMMENT ON COLUMN platform.check_result.schema_name IS 'NULL for checks of exports and reports.';
COMMENT ON COLUMN platform.check_result.table_name IS 'The table, export or report that is checked.';
COMMENT ON COLUMN platform.check_result.severity IS 'error: something is wrong; warn: worth a look. What a failure of it means.';
COMMENT ON COLUMN platform.check_result.counts IS 'What the last of these evaluations counted: name to number.';
COMMENT ON COLUMN platform.check_result.since IS 'The first of these evaluations: it has passed, or failed, since then.';
COMMENT ON COLUMN platform.check_result.evaluated_at IS 'The last of these evaluations.';
COMMENT ON COLUMN platform.check_result.is_latest IS 'Whether this is how the check stands now.';

CREATE VIEW platform.run AS
SELECT
    run_id, job, source, what, why, started_at, ended_at,
    CASE
        WHEN state IS NOT NULL THEN state
        WHEN 'cinestream run ' || run_id IN (
            SELECT application_name FROM pg_stat_activity
            WHERE datname = current_database() AND pg_has_role(usesysid, 'data_engineer', 'MEMBER')
        ) THEN 'running'
        ELSE 'died'
    END AS state
FROM ops.run;
COMMENT ON VIEW platform.run IS 'Runs of the platform''s jobs that began. Grain: one row per run.';
COMMENT ON COLUMN platform.run.what IS 'What it was asked to load or build.';
COMMENT ON COLUMN platform.run.why IS 'What asked for it: a sensor, a schedule, or somebody by hand.';
COMMENT ON COLUMN platform.run.state IS 'running, succeeded, failed, or died (its process ended without a word).';

CREATE VIEW platform.source_health AS
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
        count(*) FILTER (WHERE NOT is_as_usual) AS unusual, bool_and(is_as_usual) AS is_as_usual
    FROM newest GROUP BY source
),
checks AS (
    SELECT
        source, count(*) AS checks, count(*) FILTER (WHERE NOT is_passed AND severity = 'error') AS failed,
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
COMMENT ON VIEW platform.source_health IS 'Is it fresh, and is it right: the verdict on each source, and what it is made from. Grain: one row per source.';
COMMENT ON COLUMN platform.source_health.files_landed IS 'Versions of files, or extracted tables, that were first seen within the last 24 hours.';
COMMENT ON COLUMN platform.source_health.files_waiting IS 'Files that are not loaded yet; files_failing of them failed and will be tried again.';
COMMENT ON COLUMN platform.source_health.files_parked IS 'Files that were refused; platform.file says why.';
COMMENT ON COLUMN platform.source_health.records IS 'Records of the newest delivery of each feed, added up; NULL without one.';
COMMENT ON COLUMN platform.source_health.rows_loaded IS 'Of these records, those that were loaded.';
COMMENT ON COLUMN platform.source_health.rows_rejected IS 'Of these records, those that were rejected.';
COMMENT ON COLUMN platform.source_health.rejected_share IS 'rows_rejected / records.';
COMMENT ON COLUMN platform.source_health.usual_share IS 'The share to be expected: that of each feed is the median of its 20 deliveries before; NULL if one has fewer than 3.';
COMMENT ON COLUMN platform.source_health.is_as_usual IS 'Whether the newest delivery of every feed is as usual (platform.delivery); NULL if that is not known of one and no other is unusual.';
COMMENT ON COLUMN platform.source_health.failed_checks IS 'Checks of severity error that fail now.';
COMMENT ON COLUMN platform.source_health.warned_checks IS 'Checks of severity warn that fail now.';
COMMENT ON COLUMN platform.source_health.stale_tables IS 'Tables that wait for a build, at the last look.';
COMMENT ON COLUMN platform.source_health.held_partitions IS 'Builds and extractions that were cancelled by hand.';
COMMENT ON COLUMN platform.source_health.verdict IS 'broken: a check of severity error fails. look: something else in reasons. empty: nothing has come. Else fine.';
COMMENT ON COLUMN platform.source_health.reasons IS 'Why it is not fine, in words, the worst first; empty if it is.';

CREATE VIEW platform.change AS
SELECT concat_ws(
    ' ',
    (SELECT max(publication_id) FROM ops.publication),
    (SELECT max(file_id) FROM ops.landed_file),
    (SELECT count(*) FROM ops.landed_file WHERE status = 'pending'),
    (SELECT max(evaluated_at) FROM ops.check_result),
    (SELECT max(started_at) FROM ops.run),
    (SELECT max(declared_at) FROM ops.declared)
) AS marker, (SELECT max(publication_id) FROM ops.publication) AS last_publication_id;
COMMENT ON VIEW platform.change IS 'A short text that changes when something is published, landed, loaded, checked or begun: indexed looks, to be asked every second. Grain: one row.';
