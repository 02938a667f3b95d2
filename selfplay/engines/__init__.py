"""Generation and scoring by a language model."""
