"""The machine, on one page: what a run finds here, what it lacks, and what mends that."""

import os
from collections.abc import Mapping
from pathlib import Path

from selfplay.preflight.doctor import hardware, software
from selfplay.preflight.doctor.finding import MachineFinding
from selfplay.preflight.doctor.isolation import sandboxes


def examine_machine(folder: Path, environment: Mapping[str, str] = os.environ) -> list[MachineFinding]:
    """Looks at the machine within seconds: no model is loaded, torch is not imported, and the network is not used."""
    gpus, told = hardware.gpus(environment)
    return [
        *software.packages(),
        *software.clashes(),
        *hardware.processors(),
        *told,
        *software.vllm(bool(gpus)),
        *sandboxes(),
        *hardware.disks(folder, environment),
        *software.wandb_login(environment),
    ]
