-- A check of a mart no longer has the mart in its name; what it found before goes on under the short name.
UPDATE ops.check_result c
SET check_name = substr(c.check_name, length(p.prefix) + 2)
FROM (
    SELECT DISTINCT ON (source, asset, check_name) r.source, r.asset, r.check_name, prefix
    FROM (SELECT DISTINCT source, asset, check_name FROM ops.check_result) AS r
    CROSS JOIN LATERAL (SELECT regexp_replace(r.asset, '^(mart|mv|v|gold)_', '') AS bare) AS mart
    CROSS JOIN LATERAL (VALUES (r.asset), (bare), (regexp_replace(bare, '^' || r.source || '_', ''))) AS named (prefix)
    WHERE r.asset ~ '^(mart|mv|v|gold)_' AND starts_with(r.check_name, prefix || '_')
    ORDER BY source, asset, check_name, length(prefix) DESC
) AS p
WHERE (c.source, c.asset, c.check_name) = (p.source, p.asset, p.check_name);
