-- The grain of every table and view of the platform's own schemas is said in the same words: one row per file.
DO $$
DECLARE
    relation record;
BEGIN
    FOR relation IN
        SELECT
            c.oid::regclass AS name, CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind,
            regexp_replace(d.description, 'one row an? ', 'one row per ', 'g') AS description
        FROM pg_description d
        JOIN pg_class c ON (d.classoid, d.objoid, d.objsubid) = ('pg_class'::regclass, c.oid, 0)
        JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname IN ('ops', 'platform') AND c.relkind IN ('r', 'p', 'v') AND d.description ~ 'one row an? '
    LOOP
        EXECUTE format('COMMENT ON %s %s IS %L', relation.kind, relation.name, relation.description);
    END LOOP;
END
$$;
