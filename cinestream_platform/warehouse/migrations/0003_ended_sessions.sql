-- Sessions of readers that were ended because they blocked the platform. No query text: it may hold personal data.
CREATE TABLE ops.ended_session (
    ended_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    login text NOT NULL,
    blocked text NOT NULL,
    waited_seconds numeric(10, 1) NOT NULL
);
COMMENT ON TABLE ops.ended_session IS 'Sessions of readers that blocked the platform and were ended. Grain: one row per session.';
COMMENT ON COLUMN ops.ended_session.blocked IS 'What had to wait: a swap, or the session of the platform.';
COMMENT ON COLUMN ops.ended_session.waited_seconds IS 'How long it had waited by then.';
