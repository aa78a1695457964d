SELECT service, is_running FROM platform.service ORDER BY service
