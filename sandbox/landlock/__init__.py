"""Sandboxes by Landlock, where there are no user namespaces."""
