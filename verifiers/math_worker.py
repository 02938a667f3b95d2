"""The program of one math worker: `python -m verifiers.math_worker`, started by the pool."""

from __future__ import annotations

import sys

from verifiers.math_symbolic import answer, warm_up
from verifiers.pool_serving import serve

if __name__ == "__main__":
    sys.setrecursionlimit(2000)
    serve(answer, warm_up)
