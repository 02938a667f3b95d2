"""Where the supervised child begins: `python -m selfplay.engines.supervised_main PARENT DESCRIPTOR`.

Processes that vLLM spawns in turn, such as the ranks of tensor parallelism, read this module first, as Python has it.
"""

from __future__ import annotations

import os
import sys

from selfplay.compute.workers import die_with_parent
from selfplay.engines.supervised import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
elif __name__ == "__mp_main__":
    die_with_parent(os.getppid())
