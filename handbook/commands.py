"""`reference/commands.md`: every command with its arguments and options, from the command line itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from handbook.markdown import code, page, table
from selfplay.cli.app import app

INTRODUCTION = """`selfplay COMMAND --help` says the same. `selfplay --install-completion` completes names
in your shell.

| exit code | means |
| --- | --- |
| 0 | done |
| 1 | something went wrong in a run that had begun; its finished work is kept |
| 2 | what was asked for cannot be done; nothing expensive had begun |
| 3 | an error of this code; the sentence names the log with the traceback |
| 4 | a budget is spent; the same command goes on once it is raised |
| 130, 143 | Ctrl-C, SIGTERM |"""


def commands_page() -> str:
    """The page, in the order of `selfplay --help`."""
    parts = [_section(name, command) for name, command in _commands(typer.main.get_command(app), "selfplay")]
    return page("Commands", "`selfplay/cli`", INTRODUCTION, *parts)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", {})
    if not inner:
        yield name, command
    for part, below in inner.items():
        if not below.hidden:
            yield from _commands(below, f"{name} {part}")


def _section(name: str, command: Any) -> str:
    given = [param for param in command.params if param.name != "help"]
    arguments = [param for param in given if param.param_type_name == "argument"]
    options = [param for param in given if param.param_type_name == "option" and not param.hidden]
    usage = " ".join([name, *(_argument(param) for param in arguments), *(["[OPTIONS]"] if options else [])])
    rows = [(code(_argument(param)), _help(param)) for param in arguments]
    rows += [(code(", ".join([*param.opts, *param.secondary_opts])), _help(param)) for param in options]
    shown = table(("argument or option", "meaning"), rows) if rows else ""
    return f"## {name}\n\n{_plain(command.help)}\n\n```text\n{usage}\n```\n\n{shown}"


def _argument(param: Any) -> str:
    name = param.metavar or (param.name or "").upper()
    name += "..." if param.nargs == -1 and "..." not in name else ""
    return str(name if param.required or name.startswith("[") else f"[{name}]")


def _help(param: Any) -> str:
    """What it does, and its default where that says something."""
    text = _plain(getattr(param, "help", "") or "")
    choices = [str(choice) for choice in getattr(getattr(param, "type", None), "choices", ())]
    text += f" One of {', '.join(map(code, choices))}." if choices else ""
    default = param.default
    if isinstance(default, str | int | float) and not isinstance(default, bool) and str(default) not in {"", "."}:
        text += f" Default {code(default)}."
    return text


def _plain(text: str | None) -> str:
    """Help as one paragraph; marks of rich are none of Markdown's."""
    return re.sub(r"\[/?(?:bold|dim|italic)\]", "", " ".join((text or "").split()))
