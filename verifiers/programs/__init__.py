"""Programs, judged by their tests in a sandbox."""

from verifiers.programs.verifier import CodeVerifier

__all__ = ["CodeVerifier"]
