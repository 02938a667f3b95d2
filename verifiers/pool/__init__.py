"""Killable workers for verifiers."""
