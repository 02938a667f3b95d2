"""Executes a program's text. A module of its own, without __future__ imports, which the program would inherit.

By exec alone: the built-in compile makes the types of the syntax tree in each process that first calls it, which takes
as long as all else in a small test. Runs inside a sandbox.
"""


def execute(source: str, names: dict[str, object]) -> None:
    """Runs the text as a module with these names."""
    exec(source, names)  # noqa: S102
