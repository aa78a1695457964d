SELECT channel, failures, failing_since, problem, next_attempt_at, delivered_at, waiting
FROM platform.alert_channel
ORDER BY channel
