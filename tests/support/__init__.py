"""What the tests stand on: servers, generated files and helpers that are not tests themselves."""
