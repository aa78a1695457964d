"""What the commands of ``cinestream`` do, one module a topic; ``cli`` holds their names and options."""
