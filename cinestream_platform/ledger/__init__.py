"""What happened: landed files and their states, extractions, publications, and corrections of them."""
