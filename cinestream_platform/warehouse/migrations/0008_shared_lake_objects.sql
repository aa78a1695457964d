-- Small files share an object of the lake, and such objects are written together into a larger one.
CREATE TABLE ops.lake_leftover (
    path text PRIMARY KEY,
    left_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ops.lake_leftover IS 'Objects and folders of the lake whose rows were written together into another one; the nightly housekeeping deletes them a day later. Grain: one row a path.';
COMMENT ON COLUMN ops.landed_file.lake_path IS 'Where its rows are in the lake: a folder of its own, or an object (.parquet) that it shares with other files.';
