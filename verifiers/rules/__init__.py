"""Rules on the text of an answer: choice, exact, regex, format, length, language."""
