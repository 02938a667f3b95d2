"""Executes a program's text. A module of its own, without __future__ imports, which the program would inherit.

Mostly by exec alone: the built-in compile makes the types of the syntax tree in each process that first calls it, which
takes as long as all else in a small test. Runs inside a sandbox.
"""


def execute(program, names: dict[str, object], file=None) -> None:  # type: ignore[no-untyped-def]
    """Runs a text or its code as a module with these names; a text as that file's, if there is one."""
    exec(program if file is None else compile(program, file, "exec", dont_inherit=True), names)  # noqa: S102
