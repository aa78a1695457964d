"""What the tests stand on: servers, generated files and helpers that are no tests themselves."""
