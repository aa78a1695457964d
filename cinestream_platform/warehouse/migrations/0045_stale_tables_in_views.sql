-- What is stale, as the staleness sensor (or cinestream status) last found it, and whether that is still so: nothing has
-- come, gone or been published since. And: a file that is being loaded for the first time has not failed.
CREATE TABLE ops.stale_table (
    schema_name text NOT NULL,
    table_name text NOT NULL,
    partitions bigint NOT NULL CHECK (partitions > 0),
    stale_since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (schema_name, table_name)
);
COMMENT ON TABLE ops.stale_table IS 'Tables that were made from other inputs than there were at the last look. Grain: one row a table.';
COMMENT ON COLUMN ops.stale_table.partitions IS 'How many of its partitions are stale; 1 for a table without partitions.';
COMMENT ON COLUMN ops.stale_table.stale_since IS 'The first look in a row at which it was stale.';

CREATE TABLE ops.stale_look (
    is_only boolean PRIMARY KEY DEFAULT true CHECK (is_only),
    looked_at timestamptz NOT NULL,
    marker text NOT NULL
);
COMMENT ON TABLE ops.stale_look IS 'When every table was last compared with its inputs. Grain: one row.';
COMMENT ON COLUMN ops.stale_look.marker IS 'ops.v_state_marker at that time.';

CREATE VIEW ops.v_state_marker AS
SELECT concat_ws(
    ' ',
    (SELECT ROW(count(*), sum(file_id), max(loaded_at))::text FROM ops.landed_file WHERE status = 'loaded'),
    (SELECT max(publication_id) FROM ops.publication),
    (SELECT count(*) FROM ops.publication p JOIN pg_inherits ON inhrelid = p.relation WHERE p.is_latest)
) AS marker;
COMMENT ON VIEW ops.v_state_marker IS 'A short text that changes with what is loaded or published: indexed looks instead of all of it. Files come, go and are loaded again; publications are only added; partitions may be dropped by hand. Grain: one row.';

CREATE VIEW platform.stale_table AS
SELECT schema_name, table_name, partitions, stale_since, looked_at
FROM ops.stale_table CROSS JOIN ops.stale_look;
COMMENT ON VIEW platform.stale_table IS 'Tables that were made from other inputs than there were when looked_at. Grain: one row a table.';

CREATE OR REPLACE VIEW platform.file AS
SELECT
    file_id, source, dataset, key, status, is_newest, size_bytes, last_modified, first_seen_at, loaded_at,
    rows_read, rows_loaded, rows_rejected, attempts, cancelled_at IS NOT NULL AS is_held,
    coalesce(reason, CASE status WHEN 'pending' THEN 'waits for its turn to be loaded' END) AS reason,
    status = 'pending' AND attempts > 0 AND reason IS NOT NULL AND cancelled_at IS NULL AS is_failing
FROM ops.landed_file;

CREATE OR REPLACE VIEW platform.health AS
SELECT
    (SELECT count(*) FROM ops.landed_file WHERE status = 'parked') AS files_parked,
    (SELECT count(*) FROM ops.landed_file WHERE status = 'pending') AS files_waiting,
    (SELECT count(*) FROM platform.file WHERE status = 'pending' AND is_failing) AS files_failing,
    (SELECT count(*) FROM ops.held_work) AS partitions_held,
    (SELECT max(loaded_at) FROM ops.landed_file WHERE status = 'loaded') AS last_loaded_at,
    (SELECT max(published_at) FROM ops.publication WHERE is_latest) AS last_published_at,
    (SELECT max(taken_at) FROM ops.extraction) AS last_extracted_at,
    (SELECT count(*) FROM ops.stale_table) AS tables_stale,
    (SELECT looked_at FROM ops.stale_look) AS stale_looked_at,
    coalesce(
        (
            SELECT l.marker = m.marker AND (l.looked_at AT TIME ZONE 'UTC')::date = (now() AT TIME ZONE 'UTC')::date
            FROM ops.stale_look l CROSS JOIN ops.v_state_marker m
        ),
        false
    ) AS stale_is_current;
