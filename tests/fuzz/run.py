"""Fuzzes by coverage: `python -m tests.fuzz.run [TARGET ...] [--seconds N]`, one process a target.

Needs atheris (the extra `fuzz`). A target starts from `corpus/TARGET`, finds new inputs in a folder of its own that is
thrown away, and leaves what broke it as `crash-*`, `timeout-*` or `oom-*` in the current folder: keep that file in
the corpus, with the fix.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TOKENS = Path(__file__).parent / "tokens.dict"
_NAMES = tuple(sorted(path.name for path in CORPUS.iterdir()))
INSTRUMENTED = ["verifiers", "sandbox", "selfplay.config", "selfplay.run", "selfplay.watching"]
_INPUT_BYTES = 4096
_SLOWEST_S = 5


def fuzz(name: str, seconds: int, found: str) -> None:
    """Fuzzes one target in this process, which atheris ends; new inputs go to the folder `found`."""
    import atheris

    atheris.enabled_hooks.add("str")
    with atheris.instrument_imports(include=INSTRUMENTED):
        from tests.fuzz.targets import TARGETS

    limits = [f"-max_total_time={seconds}", f"-max_len={_INPUT_BYTES}", f"-timeout={_SLOWEST_S}", "-rss_limit_mb=2048"]
    options = [*limits, f"-dict={TOKENS}", "-print_final_stats=1"]
    atheris.Setup([sys.argv[0], found, str(CORPUS / name), *options], TARGETS[name])
    atheris.Fuzz()


def main() -> int:
    """Fuzzes the targets that were asked for, one after the other; returns 1 when one of them broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.run", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(_NAMES)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target")
    parser.add_argument("--found", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    unknown = [name for name in arguments.targets if name not in _NAMES]
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are: {', '.join(_NAMES)}")
    if arguments.found:
        fuzz(arguments.targets[0], arguments.seconds, arguments.found)
    broken = 0
    for name in arguments.targets or _NAMES:
        print(f"fuzzing {name} for {arguments.seconds} s", flush=True)
        with tempfile.TemporaryDirectory() as found:
            command = [sys.executable, "-m", "tests.fuzz.run", name, "--seconds", str(arguments.seconds)]
            broken |= subprocess.run([*command, "--found", found], check=False).returncode != 0
    return broken


if __name__ == "__main__":
    raise SystemExit(main())
