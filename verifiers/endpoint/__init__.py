"""A client of OpenAI-compatible endpoints, for judges here and for engines above."""
