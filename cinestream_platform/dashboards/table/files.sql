SELECT file_id, key, status, loaded_at, rows_loaded, rows_rejected, count(*) OVER () AS total
FROM (
    SELECT DISTINCT file_id, key, status, loaded_at, rows_loaded, rows_rejected
    FROM platform.publication_file
    WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1)
) AS behind
ORDER BY loaded_at DESC, file_id DESC
LIMIT 25
