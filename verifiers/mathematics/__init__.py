"""Mathematical answers: read by a grammar of our own, and compared exactly."""

from verifiers.mathematics.verifier import Comparison, MathVerifier, MathVerifyVerifier

__all__ = ["Comparison", "MathVerifier", "MathVerifyVerifier"]
