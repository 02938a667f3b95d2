"""Where things compute: workers, devices, and the time they take."""
