-- What increments of operational databases begin at: the source's own clock, and how many rows each range of keys had.
ALTER TABLE ops.extraction ADD COLUMN source_clock timestamptz;
UPDATE ops.extraction SET source_clock = taken_at;
ALTER TABLE ops.extraction ALTER COLUMN source_clock SET NOT NULL;
COMMENT ON COLUMN ops.extraction.source_clock IS 'The source''s clock when the moment was taken; taken_at is later where that clock was set back.';

CREATE TABLE ops.extracted_keys (
    source text NOT NULL,
    dataset text NOT NULL,
    bucket bigint NOT NULL,
    rows bigint NOT NULL,
    PRIMARY KEY (source, dataset, bucket)
);
COMMENT ON TABLE ops.extracted_keys IS 'How many rows the source''s table had in each range of 1,024 keys at the last extraction. Grain: one row a table and range.';
COMMENT ON COLUMN ops.extracted_keys.bucket IS 'The key divided by 1,024, rounded down.';
