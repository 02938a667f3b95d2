"""Sandboxes on a SandboxFusion server."""
