SELECT DISTINCT source FROM platform.metric ORDER BY source
