"""The program of the workers that compare what rules don't decide: `python -m verifiers.mathematics.algebra`."""

from __future__ import annotations

import sys

from verifiers.mathematics.comparing import second_reading, symbolic
from verifiers.mathematics.worker import DEEPEST, answer
from verifiers.patterns import linear
from verifiers.pool.serving import serve


def warm_up() -> None:
    """Loads what every question needs, so that the first one doesn't pay for it."""
    linear.prepare_all()
    second_reading.warm_up()
    symbolic.warm_up()


if __name__ == "__main__":
    sys.setrecursionlimit(DEEPEST)
    serve(answer, warm_up)
