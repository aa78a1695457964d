-- Names of sources for people, and the sources as a view: pages join it.
ALTER TABLE ops.declared_source ADD COLUMN title text;
UPDATE ops.declared_source SET title = source;
ALTER TABLE ops.declared_source ALTER COLUMN title SET NOT NULL;
COMMENT ON COLUMN ops.declared_source.title IS 'Its name for people.';

CREATE VIEW platform.source AS
SELECT source, title, owner, systems, rhythm, position FROM ops.declared_source
UNION ALL
SELECT 'conformed', 'Shared', min(owner), '{}', NULL, 0 FROM ops.declared_table WHERE source = 'conformed' HAVING count(*) > 0;
COMMENT ON VIEW platform.source IS 'The sources, and what they share. Grain: one row per source.';
COMMENT ON COLUMN platform.source.source IS 'The source, as in keys and names of schemas; conformed is what several sources share.';
COMMENT ON COLUMN platform.source.title IS 'Its name for people.';
COMMENT ON COLUMN platform.source.owner IS 'Who answers for it.';
COMMENT ON COLUMN platform.source.systems IS 'Operational systems that it is extracted from; none where files land.';
COMMENT ON COLUMN platform.source.rhythm IS 'News is expected within it; NULL for releases, which are never late.';
COMMENT ON COLUMN platform.source.position IS 'The order of declaration.';
