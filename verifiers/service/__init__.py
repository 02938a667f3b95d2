"""Verdicts over HTTP: `selfplay serve`."""
