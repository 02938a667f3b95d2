"""Where the supervised child begins: `python -m selfplay.engines.supervised_main`.

Processes that vLLM spawns in turn, such as the ranks of tensor parallelism, read this module first, as Python has it.
"""

from __future__ import annotations

import os

from sandbox.process.inside import die_with_parent
from selfplay.compute.rendezvous import keep_stores_on_the_loopback
from selfplay.engines.supervised import serve

if __name__ == "__main__":
    serve()
elif __name__ == "__mp_main__":
    die_with_parent(os.getppid())
    keep_stores_on_the_loopback()
