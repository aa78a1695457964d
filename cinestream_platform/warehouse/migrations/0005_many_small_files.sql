-- Ten thousand small files: what is asked for each file is answered by an index, whatever is loaded already.
CREATE INDEX landed_file_key ON ops.landed_file (bucket, key);
CREATE INDEX landed_file_due ON ops.landed_file (source, last_modified, key COLLATE "C") WHERE status = 'pending';
CREATE INDEX landed_file_content ON ops.landed_file (source, dataset, sha256) WHERE status = 'loaded';
CREATE INDEX landed_file_duplicates ON ops.landed_file (duplicate_of) WHERE status = 'duplicate';
