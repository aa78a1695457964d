SELECT
    c.key, c.kind, c.severity, c.sentence, c.source, c.page, c.subject, c.since, a.opened_at, a.told, a.waiting,
    count(*) OVER () AS total
FROM platform.alert_condition c
LEFT JOIN platform.alert a ON a.key = c.key AND a.resolved_at IS NULL
ORDER BY c.severity, c.since DESC, c.key
LIMIT 20
