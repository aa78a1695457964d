-- Views of tables with personal columns, without these (cinestream_platform/warehouse/open_views.py), in the catalogue. A table
-- of a source is one row of ops.declared_table, so that what is found by source and name (checks, alerts) is found once. What
-- the catalogue says of an open view follows from its table.
ALTER TABLE ops.declared_table ADD COLUMN open_schema text;
COMMENT ON COLUMN ops.declared_table.open_schema IS 'Tables with personal columns: the schema of the view without these.';
CREATE UNIQUE INDEX declared_table_of_source ON ops.declared_table (source, table_name);

CREATE OR REPLACE VIEW platform.source_table AS
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
    t.position,
    t.base_schema || '.' || t.table_name AS base_table,
    t.open_schema || '.' || t.table_name AS open_view
FROM (
    SELECT
        schema_name, table_name, source, kind, description, grain, owner, business_question, sample_sql, mart_sql,
        write_mode, partition_unit, dataset, position, NULL::text AS base_schema, open_schema
    FROM ops.declared_table
    UNION ALL
    SELECT
        open_schema, table_name, source, 'open view',
        description || ' ' || schema_name || '.' || table_name || ' without its personal columns.', grain, owner,
        business_question, sample_sql, mart_sql, 'view', NULL, NULL, position, schema_name, NULL
    FROM ops.declared_table WHERE open_schema IS NOT NULL
) t
LEFT JOIN (
    SELECT
        schema_name, table_name, count(*) AS partitions, sum(rows)::bigint AS rows, max(published_at) AS published_at,
        max(data_as_of) AS data_as_of
    FROM ops.publication WHERE is_latest GROUP BY schema_name, table_name
) p ON (p.schema_name, p.table_name) = (coalesce(t.base_schema, t.schema_name), t.table_name)
LEFT JOIN (
    SELECT
        source, dataset, count(*) AS files, sum(rows_loaded)::bigint AS rows, sum(rows_rejected)::bigint AS rejected_rows,
        max(loaded_at) AS loaded_at, max(last_modified) AS data_as_of
    FROM ops.landed_file WHERE status = 'loaded' GROUP BY source, dataset
) f ON t.kind = 'raw' AND (f.source, f.dataset) = (t.source, t.dataset)
LEFT JOIN ops.stale_table s
    ON (s.schema_name, s.table_name) = (coalesce(t.base_schema, t.schema_name), t.table_name);
COMMENT ON COLUMN platform.source_table.base_table IS 'Open views: the table that it shows without its personal columns.';
COMMENT ON COLUMN platform.source_table.open_view IS 'Tables with personal columns: the view that analysts read; NULL for raw tables, which only engineers read.';
COMMENT ON VIEW platform.source_table IS 'The catalogue: what each table means and holds. Grain: one row per raw table, dimension, bridge, fact, mart, view, or table of predictions.';
COMMENT ON COLUMN platform.source_table.kind IS 'raw, dimension, bridge, fact, open view (a table without its personal columns), mart, view (of a mart) or prediction.';
COMMENT ON COLUMN platform.source_table.write_mode IS 'file, snapshot, history, upsert, partition, external, view (open views), or rebuild (marts).';
COMMENT ON COLUMN platform.source_table.rows IS 'Rows at the last publication, of open views that of the table; of raw tables the rows of all loaded files. NULL if never published, or written by others.';
COMMENT ON COLUMN platform.lineage_edge.from_kind IS 'operational table, extraction, landing folder, raw, star or mart.';
COMMENT ON COLUMN platform.lineage_edge.to_kind IS 'extraction, raw, star, open view, mart or export.';

CREATE OR REPLACE VIEW platform.table_column AS
SELECT
    schema_name, table_name, position, column_name, data_type, description, is_nullable, is_key, is_personal, refers_to,
    rules
FROM ops.declared_column
UNION ALL
SELECT
    t.open_schema, t.table_name, c.position, c.column_name, c.data_type, c.description, c.is_nullable, c.is_key, false,
    c.refers_to, c.rules
FROM ops.declared_table t JOIN ops.declared_column c USING (schema_name, table_name)
WHERE t.open_schema IS NOT NULL AND NOT c.is_personal;
