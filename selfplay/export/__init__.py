"""Exports of a run: its prompts in the field's layouts, with a card, and its policy."""
