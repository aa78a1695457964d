-- Which of the platform's processes live. Each keeps an idle session in Dagster's database whose name says what it is and of
-- which warehouse; a session ends with its process. Nothing is written, and nobody who is no engineer can pretend.
CREATE VIEW platform.service AS
SELECT s.service, count(a.pid) > 0 AS is_running, count(a.pid)::integer AS processes
FROM (VALUES ('daemon'), ('webserver'), ('webserver-read-only')) s (service)
LEFT JOIN pg_stat_activity a
    ON a.application_name = 'cinestream ' || s.service || ' of '
        || left(encode(sha256(convert_to(current_database(), 'UTF8')), 'hex'), 12)
    AND pg_has_role(a.usesysid, 'data_engineer', 'MEMBER')
GROUP BY s.service;
COMMENT ON VIEW platform.service IS 'Whether Dagster''s processes live, on whatever machine. Grain: one row per kind of process.';
COMMENT ON COLUMN platform.service.service IS 'daemon (loads what lands, builds what is stale), webserver (Dagster''s UI), or webserver-read-only.';
COMMENT ON COLUMN platform.service.is_running IS 'Whether a process of this kind has its session open. It may still be busy or stuck: platform.source_freshness says when the daemon last looked.';
COMMENT ON COLUMN platform.service.processes IS 'How many.';
