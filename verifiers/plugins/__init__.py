"""Verifiers of others: what stands between them and their callers."""
