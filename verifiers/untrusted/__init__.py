"""Reads what comes from outside: files, YAML and JSON within bounds, and text of others made fit for a message."""
