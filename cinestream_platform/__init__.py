"""CineStream Platform: files land in S3; minutes later there is a warehouse in Postgres that people can trust."""
