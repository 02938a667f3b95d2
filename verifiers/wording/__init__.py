"""The words around an answer: what they announce, count, change or deny, in the languages that answers come in."""
