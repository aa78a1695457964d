-- The figures that are defined once (sources/<name>/metrics.yml), for the catalogue.
CREATE TABLE ops.declared_metric (
    source text NOT NULL,
    metric_name text NOT NULL,
    position integer NOT NULL,
    label text NOT NULL,
    meaning text NOT NULL,
    formula text NOT NULL,
    unit text NOT NULL,
    owner text NOT NULL,
    schema_name text NOT NULL,
    table_name text NOT NULL,
    dimensions text[] NOT NULL,
    periods text[] NOT NULL,
    additive_over text[] NOT NULL,
    mart_columns text[] NOT NULL,
    sample_sql text NOT NULL,
    PRIMARY KEY (source, metric_name)
);
COMMENT ON TABLE ops.declared_metric IS 'Metrics as they are defined. Grain: one row per metric of a source.';

CREATE VIEW platform.metric AS
SELECT
    source, metric_name, label, meaning, formula, unit, owner, schema_name, table_name, dimensions, periods, additive_over,
    mart_columns, sample_sql, position
FROM ops.declared_metric
ORDER BY position;
COMMENT ON VIEW platform.metric IS 'Figures that are defined once: what each means, how it is computed, and by what it may be asked for. Grain: one row per metric of a source.';
COMMENT ON COLUMN platform.metric.source IS 'The source that it is about.';
COMMENT ON COLUMN platform.metric.metric_name IS 'Its name, as cinestream metric takes it.';
COMMENT ON COLUMN platform.metric.label IS 'Its name for people.';
COMMENT ON COLUMN platform.metric.meaning IS 'What it counts or measures, and what not.';
COMMENT ON COLUMN platform.metric.formula IS 'An aggregate of a table, or one metric divided by another.';
COMMENT ON COLUMN platform.metric.unit IS 'What its values are: money, share (1 = all), or what is counted.';
COMMENT ON COLUMN platform.metric.owner IS 'Who answers for it.';
COMMENT ON COLUMN platform.metric.schema_name IS 'Schema of the table that it is computed from.';
COMMENT ON COLUMN platform.metric.table_name IS 'The table that it is computed from.';
COMMENT ON COLUMN platform.metric.dimensions IS 'What it may be asked for by, besides time.';
COMMENT ON COLUMN platform.metric.periods IS 'The periods by which it may be asked, the shortest first.';
COMMENT ON COLUMN platform.metric.additive_over IS 'What its values may be added up over: dimensions, and time; empty for what must be computed anew.';
COMMENT ON COLUMN platform.metric.mart_columns IS 'Columns of marts that hold it, as schema.table.column.';
COMMENT ON COLUMN platform.metric.sample_sql IS 'It by year.';
COMMENT ON COLUMN platform.metric.position IS 'The order of declaration.';
