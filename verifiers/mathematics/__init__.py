"""Mathematical answers: read by a grammar of our own, and compared exactly."""
