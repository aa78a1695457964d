-- What the platform locks (warehouse/locks.py), where no reader may: readers have no right on schema ops.
CREATE TABLE ops.lock (name text PRIMARY KEY);
COMMENT ON TABLE ops.lock IS 'What transactions of the platform lock. Grain: one row per lock.';

CREATE TABLE ops.turn (
    name text PRIMARY KEY,
    pid integer NOT NULL,
    login oid NOT NULL,
    session text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE ops.turn IS 'Which session has which turn; counts while the session lives. Grain: one row per turn.';
