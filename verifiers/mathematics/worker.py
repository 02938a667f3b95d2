"""The program of one math worker: `python -m verifiers.mathematics.worker`, started by the pool."""

from __future__ import annotations

import sys

from verifiers.mathematics.comparing.symbolic import answer, warm_up
from verifiers.pool.serving import serve

if __name__ == "__main__":
    sys.setrecursionlimit(2000)
    serve(answer, warm_up)
