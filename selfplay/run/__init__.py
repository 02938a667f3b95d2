"""The run directory: its files, tables, records and stores."""
