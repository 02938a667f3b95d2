"""The contract of every verdict, whatever was judged: the part of the conformance kit that looks at one value."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from verifiers.model import Verdict
from verifiers.patterns import linear
from verifiers.plugins.guard import MAX_REASON

MAX_DETAILS = 65_536
"""Bytes of the details as JSON."""

_STATUS = linear.compile(r"[a-z][a-z0-9_]{0,39}")


def faults_of(verdict: object) -> list[str]:
    """Returns what is wrong with a verdict, one short sentence each; empty when nothing is."""
    if not isinstance(verdict, Verdict):
        return [f"it is {_type(verdict)}, not a Verdict"]
    # What a plug-in put there may be of any type, whatever the fields say.
    passed, status, seconds = (getattr(verdict, name) for name in ("passed", "status", "seconds"))
    named = isinstance(status, str) and _STATUS.fullmatch(status)
    timed = type(seconds) in (float, int) and 0.0 <= seconds < math.inf
    faults = (
        "" if passed is None or type(passed) is bool else f"passed is {_type(passed)}, not a bool or None",
        _worth(verdict),
        "" if named else f"status {str(status)[:60]!r} is no short name of small letters, digits and underscores",
        _reason(verdict),
        _details(verdict.details),
        "" if timed else "seconds is no finite number from 0 on",
    )
    return [fault for fault in faults if fault]


def _type(value: object) -> str:
    return type(value).__name__


def _worth(verdict: Any) -> str:
    """The fault of the reward, by itself and beside whether it passed."""
    passed, reward = verdict.passed, verdict.reward
    if (passed is None) != (reward is None):
        return "it has a reward without having been reached, or the other way round"
    if reward is None:
        return ""
    if type(reward) not in (float, int):
        return f"reward is {_type(reward)}, not a float"
    if not 0.0 <= reward <= 1.0:
        return f"reward {reward} is outside [0, 1]"
    contradicts = (reward == 1.0 and not passed) or (reward == 0.0 and passed)
    return f"passed is {passed} with a reward of {reward:g}" if contradicts else ""


def _reason(verdict: Any) -> str:
    reason = verdict.reason
    if not isinstance(reason, str):
        return f"reason is {_type(reason)}, not text"
    if len(reason) > MAX_REASON:
        return f"reason has {len(reason)} characters, where {MAX_REASON} are the most"
    if not _encodable(reason):
        return "reason holds a lone surrogate, which no table can keep"
    return "it could not check, and gives no reason" if verdict.passed is None and not reason.strip() else ""


def _details(details: object) -> str:
    if not isinstance(details, Mapping):
        return f"details is {_type(details)}, not a mapping"
    try:
        text = json.dumps(dict(details), allow_nan=False)  # which escapes what a completion may have put there
    except (TypeError, ValueError, RecursionError) as error:
        return f"details is not plain JSON data: {error}"[:200]
    return "" if len(text) <= MAX_DETAILS else f"details has {len(text)} bytes, where {MAX_DETAILS} are the most"


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
