-- What people are told about the platform, as views that dashboard_reader may read: counts, states and times, with keys
-- of files and reasons, which quote no values of records. cinestream status reads them; pages will.
CREATE SCHEMA IF NOT EXISTS platform;
COMMENT ON SCHEMA platform IS 'Views about the platform itself: feeds, files, publications, extractions, work that waits.';

CREATE VIEW platform.feed AS
SELECT source, dataset, loaded, waiting, parked, duplicate, past, rows_loaded, rows_rejected, last_loaded_at
FROM ops.v_feed;
COMMENT ON VIEW platform.feed IS 'How many files of a feed are loaded, waiting and parked. Grain: one row a feed.';

CREATE VIEW platform.file AS
SELECT
    file_id, source, dataset, key, status, is_newest, size_bytes, last_modified, first_seen_at, loaded_at,
    rows_read, rows_loaded, rows_rejected, attempts, cancelled_at IS NOT NULL AS is_held,
    coalesce(reason, CASE status WHEN 'pending' THEN 'waits for its turn to be loaded' END) AS reason
FROM ops.landed_file;
COMMENT ON VIEW platform.file IS 'Every version of every landed file, with its state and the reason for it. Grain: one row a version.';

CREATE VIEW platform.published_table AS
SELECT
    schema_name, table_name, count(*) AS partitions, sum(rows)::bigint AS rows, max(published_at) AS last_published_at
FROM ops.publication
WHERE is_latest
GROUP BY schema_name, table_name;
COMMENT ON VIEW platform.published_table IS 'What is published, and since when. Grain: one row a table.';

CREATE VIEW platform.last_extraction AS
SELECT DISTINCT ON (source) source, taken_at, is_full, cardinality(tables_changed) AS tables_changed, run_id
FROM ops.extraction
ORDER BY source, extraction_id DESC;
COMMENT ON VIEW platform.last_extraction IS 'The last extraction from an operational database. Grain: one row a source.';

CREATE VIEW platform.held_work AS
SELECT
    source, work, count(*) AS partitions, min(partition_key) AS first_partition, max(partition_key) AS last_partition,
    max(held_at) AS last_held_at
FROM ops.held_work
GROUP BY source, work;
COMMENT ON VIEW platform.held_work IS 'Builds and extractions that were cancelled by hand and wait. Grain: one row a table or extraction.';

CREATE VIEW platform.health AS
SELECT
    (SELECT count(*) FROM ops.landed_file WHERE status = 'parked') AS files_parked,
    (SELECT count(*) FROM ops.landed_file WHERE status = 'pending') AS files_waiting,
    (SELECT count(*) FROM ops.landed_file WHERE status = 'pending' AND attempts > 0) AS files_failing,
    (SELECT count(*) FROM ops.held_work) AS partitions_held,
    (SELECT max(loaded_at) FROM ops.landed_file WHERE status = 'loaded') AS last_loaded_at,
    (SELECT max(published_at) FROM ops.publication WHERE is_latest) AS last_published_at,
    (SELECT max(taken_at) FROM ops.extraction) AS last_extracted_at;
COMMENT ON VIEW platform.health IS 'What needs a look, in numbers. Grain: one row.';
