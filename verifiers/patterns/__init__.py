"""Patterns over untrusted text: written as for Python's `re`, matched by RE2 in time linear in the text."""
