"""The guard between a verifier and its caller: functions become verifiers, faults become verdicts."""

from __future__ import annotations

import inspect
import json
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from verifiers.model import Task, Verdict, Verifier

MAX_REASON = 500
"""Characters of a reason that are kept."""
_LONGEST_DEFAULT = 60
_GIVEN_BY_US = frozenset(("task", "completion", "load_component", "open_sandbox"))
_OURS = str(Path(__file__).parents[1])


class NoVerdict(TypeError):
    """A verifier returned something else than a verdict, which says where that verifier stands."""

    def __init__(self, result: object, wanted: str, thing: object) -> None:
        is_number = isinstance(result, int | float) and not isinstance(result, bool)
        given = str(result) if is_number else type(result).__name__
        super().__init__(f"returned {given}, not {wanted}")
        self.place = _place_of(thing)


class FunctionVerifier:
    """Makes a verifier of a plain function (task, completion, **params) -> bool, float in [0, 1] or Verdict.

    Raises what the function raises, and TypeError when it returns something else; `GuardedVerifier` turns
    that into verdicts.
    """

    def __init__(self, name: str, function: Callable[..., Any], params: Mapping[str, Any]) -> None:
        """Takes the keyword arguments for each call; raises TypeError when the function doesn't take them."""
        inspect.signature(function).bind(Task(), "", **params)
        self.name = name
        self.judges = str(getattr(function, "judges", "answer"))
        self._function = function
        self._params = dict(params)

    def verify(self, task: Task, completion: str) -> Verdict:
        """Calls the function; True, False or a reward in [0, 1] becomes a verdict."""
        begun = time.perf_counter()
        verdict = _as_verdict(self._function(task, completion, **self._params), self._function)
        return verdict if verdict.seconds else replace(verdict, seconds=time.perf_counter() - begun)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Has nothing to end."""


class GuardedVerifier:
    """Stands before a verifier, so that an exception of it costs one verdict, never the run.

    The one place for that: `registry.load` puts it before every verifier that it makes, ours and plug-ins alike.
    """

    def __init__(self, inner: Verifier, fingerprint: str = "", *, ours: bool = False) -> None:
        """Takes the verifier, and the fingerprint for one that has none of its own; `ours` never wants to exit."""
        self.inner = inner
        self.name = inner.name
        self.judges = str(getattr(inner, "judges", "answer"))
        self.overlaps = bool(getattr(inner, "overlaps", False))
        self.fingerprint = str(getattr(inner, "fingerprint", fingerprint or inner.name))
        self.verifiers: Sequence[Verifier] = getattr(inner, "verifiers", ())
        self._faults = (Exception,) if ours else (Exception, SystemExit)

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one; not_checked with the reason when the verifier raises or returns no verdict."""
        try:
            return self._plain(self.inner.verify(task, completion))
        except self._faults as error:  # a fault costs one verdict, never the run
            return fault(self.name, error)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many; when the verifier's own batch fails, one by one."""
        try:
            verdicts = self.inner.verify_many(items)
            if isinstance(verdicts, list) and len(verdicts) == len(items):
                return [self._plain(verdict) for verdict in verdicts]
        except self._faults as error:  # the faulty item is found one by one
            if len(items) == 1:
                return [fault(self.name, error)]
        return [self.verify(task, completion) for task, completion in items]

    def _plain(self, verdict: object) -> Verdict:
        if isinstance(verdict, Verdict):
            return _plain(verdict)
        return fault(self.name, NoVerdict(verdict, "a Verdict", self.inner.verify))

    def close(self) -> None:
        """Closes the verifier."""
        self.inner.close()


def fault(name: str, error: BaseException) -> Verdict:
    """Returns the verdict on an item for which a verifier raised."""
    if isinstance(error, NoVerdict):
        place, told = error.place, f"verifier {name} {error}"
    else:
        calls = traceback.extract_tb(error.__traceback__)
        # What was checked for a plug-in here, such as the reward of a verdict that it made, was called from there.
        theirs = [call for call in calls if not call.filename.startswith(_OURS) and call.filename != "<string>"]
        place = "".join(f" ({call.filename}, line {call.lineno})" for call in (theirs or calls)[-1:])
        told = f"verifier {name} raised {type(error).__name__}: {error}"
    return Verdict(None, None, "not_checked", _short(told[: MAX_REASON - len(place)] + place))


def _place_of(thing: Any) -> str:
    """The file and the line of a function or a method; nothing where it has none."""
    called = thing if inspect.isroutine(thing) or not callable(thing) else type(thing).__call__
    code = getattr(inspect.unwrap(called), "__code__", None)
    return f" ({code.co_filename}, line {code.co_firstlineno})" if code is not None else ""


def fingerprint_of(name: str, thing: object, params: Mapping[str, Any]) -> str:
    """Returns what identifies a plug-in that names no fingerprint: its name, its parameters, and a hash of the
    file it stands in, so that verdicts kept from before an edit are not taken for its own."""
    try:
        file = inspect.getsourcefile(thing if inspect.isroutine(thing) or isinstance(thing, type) else type(thing))
        source = Path(file).read_bytes() if file else b""
    except (TypeError, OSError):  # built by the interpreter or in a session: there is no file to hash
        source = b""
    told = json.dumps(dict(params), sort_keys=True, default=repr)
    return f"{name}/{told}/{sha256(source).hexdigest()[:12]}"


def _plain(verdict: Verdict) -> Verdict:
    """Rebuilds a verdict from plain types (numpy's bool is not JSON's), with a reason of bounded length."""
    passed = None if verdict.passed is None else bool(verdict.passed)
    reward = None if verdict.reward is None else float(verdict.reward)
    return Verdict(
        passed, reward, str(verdict.status), _short(str(verdict.reason)), verdict.details, float(verdict.seconds)
    )


def _short(reason: str) -> str:
    """A lone surrogate of the completion must not reach a table, which could not be written then."""
    return reason[:MAX_REASON].encode("utf-8", "replace").decode()


def _as_verdict(result: object, function: object) -> Verdict:
    if isinstance(result, Verdict):
        return result
    if isinstance(result, bool):
        return Verdict(result, float(result), "correct" if result else "wrong")
    if isinstance(result, int | float):
        if not 0.0 <= result <= 1.0:
            raise NoVerdict(result, "a reward in [0, 1]", function)
        return Verdict(result >= 1.0, float(result), "correct" if result >= 1.0 else "wrong")
    raise NoVerdict(result, "a bool, a number or a Verdict", function)


def parameters_of(thing: Any) -> dict[str, str]:
    """The parameters of a verifier's class or function, with their defaults as text."""
    if not callable(thing):
        return {}
    try:
        signature = inspect.signature(thing)
    except (TypeError, ValueError):
        return {}
    named = [p for p in signature.parameters.values() if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)]
    if not isinstance(thing, type):
        named = named[2:]  # a function's first two are the task and the completion, whatever their names
    return {p.name: _default(p.default) for p in named if p.name not in _GIVEN_BY_US}


def _default(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    text = repr(value) if not callable(value) else getattr(value, "__name__", repr(value))
    return text if len(text) <= _LONGEST_DEFAULT else text[: _LONGEST_DEFAULT - 1] + "…"
