"""Which of a trainer's arguments are refused before anything is loaded, and why."""
