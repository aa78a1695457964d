-- How many records of each file each rule rejected, and where some of them stand. The checks compare a delivery with
-- those before it, and counting ops.rejected_row for that would cost more with every file that was ever loaded.
ALTER TABLE ops.landed_file ADD COLUMN rejected_by_rule jsonb NOT NULL DEFAULT '{}';
ALTER TABLE ops.landed_file ADD COLUMN rejected_samples jsonb NOT NULL DEFAULT '[]';
COMMENT ON COLUMN ops.landed_file.rejected_by_rule IS 'Number of rejected records by the rule that they break, when the file was loaded.';
COMMENT ON COLUMN ops.landed_file.rejected_samples IS 'Some rejected records of each rule: line, rule and, of columns that are not personal, the value.';
-- Of files that were loaded before, the offending values are not known apart from the records.
UPDATE ops.landed_file f SET rejected_by_rule = counted.by_rule, rejected_samples = counted.samples
FROM (
    SELECT file_id, jsonb_object_agg(rule, records) AS by_rule, jsonb_agg(first ORDER BY line) AS samples
    FROM (
        SELECT file_id, rule, records, line, jsonb_build_object('line', line, 'rule', rule, 'value', NULL) AS first
        FROM (
            SELECT file_id, rule, line, count(*) OVER of_rule AS records,
                row_number() OVER (PARTITION BY file_id, rule ORDER BY line) AS place
            FROM ops.rejected_row WINDOW of_rule AS (PARTITION BY file_id, rule)
        ) AS numbered WHERE place <= 3
    ) AS chosen GROUP BY file_id
) AS counted
WHERE f.file_id = counted.file_id AND f.loaded_at IS NOT NULL;
CREATE INDEX landed_file_deliveries ON ops.landed_file (source, dataset, loaded_at, file_id) WHERE loaded_at IS NOT NULL;
