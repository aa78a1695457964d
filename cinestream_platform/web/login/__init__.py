"""Who may look and who may act: login for the pages and for Dagster's webserver, by OIDC or by a file of people."""
