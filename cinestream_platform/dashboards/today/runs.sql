SELECT run_id, source, what, why, state, started_at, ended_at, ended_at - started_at AS took
FROM platform.run
WHERE state = 'running' OR started_at > now() - interval '1 day'
ORDER BY state <> 'running', started_at DESC
LIMIT 8
