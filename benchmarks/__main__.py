"""`python -m benchmarks NAME [--json FILE]` runs one benchmark; `--list` names them.

What else is given goes to the benchmark, where it takes arguments: `python -m benchmarks em_ablation --help`.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import pkgutil
import sys
from pathlib import Path

import benchmarks


def names() -> list[str]:
    """The benchmarks, by module name."""
    return sorted(m.name for m in pkgutil.iter_modules(benchmarks.__path__) if not m.name.startswith("_"))


def main() -> int:
    """Runs the benchmark that was asked for, and prints and writes what it measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", add_help=False, allow_abbrev=False)
    parser.add_argument("name", nargs="?", help="the benchmark")
    parser.add_argument("--list", action="store_true", help="name the benchmarks")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    arguments, rest = parser.parse_known_args()
    if arguments.list:
        print("\n".join(names()))
        return 0
    if arguments.name not in names():
        said = f"no benchmark {arguments.name!r}" if arguments.name else parser.format_usage().strip()
        print(f"{said}; there are: {', '.join(names())}", file=sys.stderr)
        return 2
    run = importlib.import_module(f"benchmarks.{arguments.name}").run
    if inspect.signature(run).parameters:
        figures = run(rest)
    elif rest:
        print(f"{arguments.name} takes no arguments, but was given {' '.join(rest)}", file=sys.stderr)
        return 2
    else:
        figures = run()
    text = json.dumps(figures, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
