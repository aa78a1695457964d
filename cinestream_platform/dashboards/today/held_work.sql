SELECT source, work, partitions, first_partition, last_partition, last_held_at
FROM platform.held_work
ORDER BY last_held_at DESC
LIMIT 20
