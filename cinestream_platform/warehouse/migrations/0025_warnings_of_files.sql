-- What was accepted of a file though it is not written as declared, such as 862.0 in a column of whole numbers.
ALTER TABLE ops.landed_file ADD COLUMN warnings jsonb NOT NULL DEFAULT '{}';
COMMENT ON COLUMN ops.landed_file.warnings IS 'What was accepted exactly though it is not written as declared: by column the number of values, and in brackets what concerns lines or the file.';
