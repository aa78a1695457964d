"""Tables that several stars share."""
