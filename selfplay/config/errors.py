"""Errors that whoever gave a command can mend, and how a command ends by each."""

from __future__ import annotations

from typing import ClassVar

FAILED, UNUSABLE, SPENT = 1, 2, 3
"""Exit codes: something went wrong, what was asked for cannot be done, a budget is spent."""


class UserError(Exception):
    """The base of all errors for a person; the message is one sentence that names the place and the remedy.

    By itself: what was asked for cannot be done, and nothing expensive has begun.
    """

    exit_code: ClassVar[int] = UNUSABLE
    keeps_work: ClassVar[bool] = False
    """Whether a run had begun, whose finished work is kept; those who watch it are told why it stopped."""
    of_run: ClassVar[str] = "{error}"
    """How `selfplay run` says it: a format of `error`, the sentence, and `folder`, the run directory."""


class RunStopped(UserError):
    """The base of what stops a run that had begun; the same command goes on from there."""

    exit_code = FAILED
    keeps_work = True
    of_run = "{error}\nFinished work is kept in {folder}; what libraries said is in its workers.log."
