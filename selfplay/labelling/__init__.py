"""Answers and tests for prompts, without a teacher."""
