"""Errors that whoever gave a command can mend, and how a command ends by each."""

from __future__ import annotations

from typing import ClassVar

FAILED, UNUSABLE, BROKEN, SPENT = 1, 2, 3, 4
"""Exit codes: something went wrong, what was asked for cannot be done, an error of this code, a budget is spent."""


class UserError(Exception):
    """The base of all errors for a person; the message is one sentence that names the place and the remedy.

    By itself: what was asked for cannot be done, and nothing expensive has begun.
    """

    exit_code: ClassVar[int] = UNUSABLE
    keeps_work: ClassVar[bool] = False
    """Whether a run had begun, whose finished work is kept; those who watch it are told why it stopped."""
    of_run: ClassVar[str] = "{error}"
    """How `selfplay run` says it: a format of `error`, the sentence, and `folder`, the run directory."""

    def __init__(self, message: str) -> None:
        """The message may quote what others wrote: it is made fit for a terminal, and short."""
        # Not before it is needed: where another package of the name hides ours, that can still be said.
        from verifiers.untrusted.shown import readable

        super().__init__(readable(message))


class RunStopped(UserError):
    """The base of what stops a run that had begun; the same command goes on from there."""

    exit_code = FAILED
    keeps_work = True
    of_run = "{error}\nFinished work is kept in {folder}; what libraries said is in its workers.log."
