"""When things run: sensors, jobs and schedules."""
