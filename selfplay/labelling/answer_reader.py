"""What the votes of a domain are: answers that can be compared, or programs."""

from __future__ import annotations

from verifiers.composite import CompositeVerifier
from verifiers.math_answer import MathVerifier
from verifiers.model import Verifier


def answer_reader(verifier: Verifier) -> MathVerifier | None:
    """What reads and compares answers: the math verifier, alone or in a composite; None where votes are programs."""
    if isinstance(verifier, MathVerifier):
        return verifier
    parts = verifier.verifiers if isinstance(verifier, CompositeVerifier) else []
    return next((found for part in parts if (found := answer_reader(part)) is not None), None)
