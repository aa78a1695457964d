SELECT partition_key, rows, published_at, data_as_of, files, publication_id, run_id
FROM platform.publication
WHERE schema_name = split_part(%(table)s, '.', 1) AND table_name = substr(%(table)s, position('.' IN %(table)s) + 1) AND is_latest
ORDER BY partition_key DESC
LIMIT 400
