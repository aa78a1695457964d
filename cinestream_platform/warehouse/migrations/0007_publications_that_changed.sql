-- Every tick of the staleness sensor asks for the last publication that changed anything: without an index a look at all
-- of them for each table and partition, which grows with time.
CREATE INDEX publication_changed ON ops.publication (schema_name, table_name, partition_key, publication_id) WHERE is_changed;
