"""The program of the workers that read: `python -m verifiers.mathematics.reader`."""

from __future__ import annotations

import sys

from verifiers.mathematics.worker import DEEPEST, answer
from verifiers.pool.serving import serve

if __name__ == "__main__":
    sys.setrecursionlimit(DEEPEST)
    serve(answer, lambda: None)
