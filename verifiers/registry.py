"""Finds verifiers by name: built in, registered with `@verifier`, by entry point, or by dotted path."""

from __future__ import annotations

import difflib
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, TypeVar

from verifiers.model import Task, Verdict, Verifier

GROUP = "selfplay.verifiers"
"""The entry point group under which an installed package offers verifiers."""

_BUILT_IN = {
    "math": "verifiers.math_answer:MathVerifier",
    "code": "verifiers.code_tests:CodeVerifier",
    "choice": "verifiers.text_rules:ChoiceVerifier",
    "exact": "verifiers.text_rules:ExactVerifier",
    "regex": "verifiers.text_rules:RegexVerifier",
    "format": "verifiers.text_rules:FormatVerifier",
    "length": "verifiers.text_rules:LengthVerifier",
}
_registered: dict[str, Any] = {}
_Thing = TypeVar("_Thing")


class UnknownVerifier(ValueError):
    """No verifier has this name, or it can't be loaded; the message says what was tried and what exists."""


def verifier(name: str) -> Callable[[_Thing], _Thing]:
    """Registers a verifier class, or a function (task, completion) -> bool, float or Verdict, under a
    name."""
    if not name or ":" in name:
        raise ValueError(f"{name!r} is no name for a verifier")

    def register(thing: _Thing) -> _Thing:
        _registered[name] = thing
        return thing

    return register


def names() -> list[str]:
    """Returns every name that `load` knows, without loading anything."""
    return sorted({*_BUILT_IN, *_registered, *(entry.name for entry in entry_points(group=GROUP))})


def load(name: str, params: Mapping[str, Any] | None = None) -> Verifier:
    """Returns a verifier by name or `module:Name`, made with the parameters.

    Raises UnknownVerifier when there is none, or when it doesn't take these parameters.
    """
    thing = _find(name)
    if isinstance(thing, type):
        try:
            made = thing(**(params or {}))
        except TypeError as error:
            raise UnknownVerifier(f"verifier {name!r} does not take these parameters: {error}") from error
    elif callable(thing):
        made = FunctionVerifier(name, thing, params or {})
    else:
        made = thing
    if not isinstance(made, Verifier):
        raise UnknownVerifier(f"{name!r} is no verifier: it needs name, verify, verify_many and close")
    built_in = type(made).__module__.startswith("verifiers.")
    return made if built_in else GuardedVerifier(made)


def _find(name: str) -> Any:
    if name in _registered:
        return _registered[name]
    if name in _BUILT_IN:
        return _imported(_BUILT_IN[name], name)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return _imported(entry.value, name)
    if ":" in name:
        return _imported(name, name)
    known = names()
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    raise UnknownVerifier(f"no verifier is called {name!r}; {hint} (or give a dotted path, module:Name)")


def _imported(path: str, name: str) -> Any:
    module_name, _, attribute = path.partition(":")
    try:
        thing = importlib.import_module(module_name)
        for part in attribute.split("."):
            thing = getattr(thing, part)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnknownVerifier(f"verifier {name!r} could not be loaded from {path}: {error}") from error
    return thing


class FunctionVerifier:
    """Makes a verifier of a plain function; a fault of the function costs one verdict."""

    def __init__(self, name: str, function: Callable[..., Any], params: Mapping[str, Any]) -> None:
        """Takes the function and the keyword arguments for each of its calls."""
        self.name = name
        self._function = function
        self._params = dict(params)
        self.fingerprint = f"{name}/{sorted(self._params.items())!r}"

    def verify(self, task: Task, completion: str) -> Verdict:
        """Calls the function; True, False or a reward in [0, 1] becomes a verdict."""
        begun = time.perf_counter()
        try:
            verdict = _as_verdict(self._function(task, completion, **self._params))
        except Exception as error:  # noqa: BLE001 - a plug-in's fault costs one verdict, never the run
            return fault(self.name, error)
        return verdict if verdict.seconds else _timed(verdict, time.perf_counter() - begun)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """Has nothing to end."""


class GuardedVerifier:
    """Stands before a plug-in, so that an exception of it costs one verdict, never the run."""

    def __init__(self, inner: Verifier) -> None:
        """Takes the plug-in."""
        self.inner = inner
        self.name = inner.name
        self.fingerprint = str(getattr(inner, "fingerprint", inner.name))

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one; not_checked with the reason when the plug-in raises or returns no verdict."""
        try:
            verdict = self.inner.verify(task, completion)
        except Exception as error:  # noqa: BLE001 - a plug-in's fault costs one verdict, never the run
            return fault(self.name, error)
        return _checked(self.name, verdict)

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges many; when the plug-in's own batch fails, one by one."""
        try:
            verdicts = self.inner.verify_many(items)
        except Exception:  # noqa: BLE001 - the faulty item is found one by one
            return [self.verify(task, completion) for task, completion in items]
        if not isinstance(verdicts, list) or len(verdicts) != len(items):
            return [self.verify(task, completion) for task, completion in items]
        return [_checked(self.name, verdict) for verdict in verdicts]

    def close(self) -> None:
        """Closes the plug-in."""
        self.inner.close()


def fault(name: str, error: Exception) -> Verdict:
    """Returns the verdict on an item for which a verifier raised."""
    return Verdict(None, None, "not_checked", f"verifier {name} raised {type(error).__name__}: {error}"[:500])


def _checked(name: str, verdict: object) -> Verdict:
    if isinstance(verdict, Verdict):
        return verdict
    return Verdict(None, None, "not_checked", f"verifier {name} returned {type(verdict).__name__}, not a Verdict")


def _as_verdict(result: object) -> Verdict:
    if isinstance(result, Verdict):
        return result
    if isinstance(result, bool):
        return Verdict(result, float(result), "correct" if result else "wrong")
    if isinstance(result, int | float):
        return Verdict(result >= 1.0, float(result), "correct" if result >= 1.0 else "wrong")
    raise TypeError(f"returned {type(result).__name__}, not a bool, a number or a Verdict")


def _timed(verdict: Verdict, seconds: float) -> Verdict:
    return Verdict(verdict.passed, verdict.reward, verdict.status, verdict.reason, verdict.details, seconds)
