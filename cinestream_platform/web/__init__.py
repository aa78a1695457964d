"""Between a browser and our web servers: Host and Origin checks, which routes are open, security headers."""
