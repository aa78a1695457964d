SELECT source, array_agg(DISTINCT status) AS states FROM platform.file GROUP BY source ORDER BY source
