"""What the completions of a domain end in: answers that can be read and compared, or programs."""

from __future__ import annotations

from verifiers.composite import CompositeVerifier
from verifiers.mathematics.verifier import MathVerifier
from verifiers.model import Verifier


def answer_reader(verifier: Verifier) -> MathVerifier | None:
    """What reads and compares answers: the math verifier, alone or in a composite; None where there are
    programs instead, or what only a verifier of its own can read."""
    if isinstance(verifier, MathVerifier):
        return verifier
    parts = verifier.verifiers if isinstance(verifier, CompositeVerifier) else []
    return next((found for part in parts if (found := answer_reader(part)) is not None), None)
