"""What ``cinestream ui`` starts and keeps alive: code server, daemon and webserver, and the supervisor above them."""
