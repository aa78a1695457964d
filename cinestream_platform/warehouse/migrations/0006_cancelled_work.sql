-- What somebody cancelled waits until its inputs change or somebody asks. Kept here because Dagster's runs are deleted
-- after some weeks.
ALTER TABLE ops.landed_file ADD COLUMN cancelled_at timestamptz;
ALTER TABLE ops.landed_file ADD COLUMN asked_at timestamptz;
COMMENT ON COLUMN ops.landed_file.cancelled_at IS 'Its load was cancelled by hand: it waits until it lands anew or somebody asks.';
COMMENT ON COLUMN ops.landed_file.asked_at IS 'When an operator last asked for it (cinestream reload).';

CREATE TABLE ops.cancelled_run (
    run_id text NOT NULL,
    seen_by text NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (run_id, seen_by)
);
COMMENT ON TABLE ops.cancelled_run IS 'Cancelled runs that a sensor has dealt with. Grain: one row a run and sensor.';
-- Runs that were cancelled before this row was written are only noted.
INSERT INTO ops.cancelled_run (run_id, seen_by) VALUES ('none', 'migration');

CREATE TABLE ops.held_work (
    source text NOT NULL,
    work text NOT NULL,
    partition_key text NOT NULL,
    inputs text NOT NULL,
    run_id text NOT NULL,
    held_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (work, partition_key)
);
COMMENT ON TABLE ops.held_work IS 'Builds and extractions that were cancelled by hand. Grain: one row a partition of a table.';
COMMENT ON COLUMN ops.held_work.work IS 'The asset, or the extraction, that is not asked for.';
COMMENT ON COLUMN ops.held_work.inputs IS 'A hash of what it would be made from: with other inputs it is asked for again.';
COMMENT ON COLUMN ops.held_work.run_id IS 'The run that was cancelled.';
