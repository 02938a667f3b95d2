"""Arms of EM side by side."""
