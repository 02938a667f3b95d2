"""Finds verifiers by name: built in, registered with `@verifier`, by entry point, or by dotted path."""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeVar

from verifiers.model import Verifier
from verifiers.plugins.guard import FunctionVerifier, GuardedVerifier, fingerprint_of, parameters_of
from verifiers.plugins.hosted import Hosting, hosted
from verifiers.plugins.places import OF_A_FILE, plugin_folders, without_ending
from verifiers.rules.hosted import hosted_rule

GROUP = "selfplay.verifiers"
"""The entry point group under which an installed package offers verifiers."""

_BUILT_IN = {
    "math": "verifiers.mathematics:MathVerifier",
    "math_verify": "verifiers.mathematics:MathVerifyVerifier",
    "code": "verifiers.programs:CodeVerifier",
    "choice": "verifiers.rules.text:ChoiceVerifier",
    "exact": "verifiers.rules.text:ExactVerifier",
    "regex": "verifiers.rules.text:RegexVerifier",
    "format": "verifiers.rules.text:FormatVerifier",
    "length": "verifiers.rules.length:LengthVerifier",
    "language": "verifiers.rules.language:LanguageVerifier",
    "judge": "verifiers.judge.verifier:ModelJudge",
    "composite": "verifiers.composite:CompositeVerifier",
}
_RULES = "verifiers.rules."
_registered: dict[str, Any] = {}
MOST_SHOWN = 20
"""Functions and classes of a module that are listed where it lacks a name."""
_Thing = TypeVar("_Thing")


class UnknownVerifier(ValueError):
    """No verifier has this name, or it can't be loaded; the message says what was tried and what exists."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A verifier that can be had by name: the name, who offers it, and where it stands as `module:Name`."""

    name: str
    source: str
    path: str


def verifier(name: str, *, judges: Literal["answer", "form"] | None = None) -> Callable[[_Thing], _Thing]:
    """Registers a verifier class, or a function (task, completion) -> bool, float or Verdict, under a name.

    `judges` says what a pass means: that the answer is right (the default), or something about its form, such
    as its length. Raises ValueError when the name is no name or is taken by something else.
    """
    if not name or ":" in name:
        raise ValueError(f"{name!r} is no name for a verifier")
    if name in _BUILT_IN:
        raise ValueError(f"{name!r} is the name of a built-in verifier; choose another")

    def register(thing: _Thing) -> _Thing:
        known = _registered.get(name)
        if known is not None and _path_of(known) != _path_of(thing):
            raise ValueError(f"the name {name!r} is taken by {_path_of(known)}; choose another for {_path_of(thing)}")
        if judges is not None:
            thing.judges = judges  # type: ignore[attr-defined]
        _registered[name] = thing
        return thing

    return register


def offers() -> list[Offer]:
    """Returns every verifier that `load` knows by name, sorted, without loading any."""
    found = {name: Offer(name, _by(entry), entry.value) for name, entry in _entry_points().items()}
    found |= {name: Offer(name, "registered", _path_of(thing)) for name, thing in _registered.items()}
    found |= {name: Offer(name, "built in", path) for name, path in _BUILT_IN.items()}
    return [found[name] for name in sorted(found)]


def hidden_offers() -> list[Offer]:
    """Returns what installed packages offer under names of ours, which `load` takes only by the path."""
    return [
        Offer(name, _by(entry), entry.value) for name, entry in sorted(_entry_points().items()) if name in _BUILT_IN
    ]


def names() -> list[str]:
    """Returns every name that `load` knows, without loading anything."""
    return [offer.name for offer in offers()]


def load(
    name: str,
    params: Mapping[str, Any] | None = None,
    *,
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
    hosting: Hosting | None = None,
) -> Verifier:
    """Returns a verifier by name or `module:Name`, made with the parameters.

    One of others works in processes that can be killed, unless it says `in_process = True` or exists only in this
    process, as what a notebook defines.

    Args:
        name: a name from `names()`, or a dotted path.
        params: keyword arguments of the class, or of each call of the function.
        defaults: by verifier name, parameters where `params` has none; they reach the components of a
            composite too.
        hosting: how verifiers of others are run; None for two processes and a minute a verdict.

    Raises UnknownVerifier when there is none, or when it doesn't take these parameters.
    """
    thing = find(name)
    chosen = dict((defaults or {}).get(name, {})) | dict(params or {})
    if defaults and getattr(thing, "loads_components", False):
        chosen.setdefault("load_component", lambda inner, given: load(inner, given, defaults=defaults, hosting=hosting))
    made = make(name, chosen, thing)
    if type(made).__module__.startswith(_RULES):
        made = hosted_rule(made, _path_of(made), chosen)
    if type(made).__module__.startswith("verifiers.") and not isinstance(made, FunctionVerifier):
        return GuardedVerifier(made, ours=True)
    fingerprint = fingerprint_of(name, thing, chosen)
    path = _path_in_a_worker(name, thing)
    if path:
        made = hosted(path, chosen, made, fingerprint, hosting or Hosting())
    return GuardedVerifier(made, fingerprint)


def _path_in_a_worker(name: str, thing: Any) -> str:
    """Returns where another process finds a plug-in; nothing where only this one has it."""
    if name not in _registered and ":" not in name:
        return name
    path = _path_of(thing) if name in _registered else name
    module = path.partition(":")[0]
    is_file = getattr(sys.modules.get(module), "__file__", None) is not None
    return path if is_file and module != "__main__" and "<locals>" not in path else ""


def make(name: str, params: Mapping[str, Any] | None = None, thing: Any = None) -> Verifier:
    """Returns a verifier as `load` does, but with nothing between it and the caller: a plug-in's exceptions
    come through. For those who test plug-ins."""
    thing = find(name) if thing is None else thing
    try:
        if isinstance(thing, type):
            made = thing(**(params or {}))
        elif callable(thing):
            made = FunctionVerifier(name, thing, params or {})
        else:
            made = thing
    except TypeError as error:
        takes = ", ".join(parameters_of(thing)) or "none"
        raise UnknownVerifier(f"verifier {name!r} does not take these parameters: {error}; it takes {takes}") from error
    except Exception as error:
        raise UnknownVerifier(f"verifier {name!r} refuses its parameters: {error}") from error
    if not isinstance(made, Verifier):
        raise UnknownVerifier(f"{name!r} is no verifier: it needs name, verify, verify_many and close")
    return made


def find(name: str) -> Any:
    """Returns the class, function or object of a name or `module:Name`. Raises UnknownVerifier."""
    if name in _BUILT_IN:
        _say_what_is_hidden(name)
        return _imported(_BUILT_IN[name], name)
    if name in _registered:
        return _registered[name]
    offered = _entry_points()
    if name in offered:
        return _imported(offered[name].value, name)
    if ":" in name:
        return _imported(name, name)
    raise UnknownVerifier(f"no verifier is called {name!r}; {_nearest(name)}")


def _nearest(name: str) -> str:
    if name.endswith(OF_A_FILE):
        return f"to take one of a file, give {name.removesuffix(OF_A_FILE)}:NAME, with that of its function or class"
    module, dot, last = name.rpartition(".")
    if dot:
        return f"did you mean {module}:{last}? A colon stands between the module and what it has"
    known = names()
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    return f"{hint} (or give a dotted path, module:Name)"


@functools.cache
def _say_what_is_hidden(name: str) -> None:
    """Says once that an installed package offers a verifier by the name of one of ours, which is taken."""
    if hidden := _entry_points().get(name):
        warnings.warn(
            f"{_by(hidden)} offers a verifier {name!r} too ({hidden.value}), and ours is taken; "
            f"name the other one by its path, {hidden.value}",
            stacklevel=3,
        )


def _imported(path: str, name: str) -> Any:
    module_name, _, attribute = path.partition(":")
    lacking = ""
    try:
        thing: Any = importlib.import_module(module_name)
        if attribute in _registered and _registered[attribute].__module__ == module_name:
            return _registered[attribute]
        for part in attribute.split("."):
            if not hasattr(thing, part):
                lacking = _lacking(thing, part)
                break
            thing = getattr(thing, part)
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}".replace("\n", " ")
        if isinstance(error, ModuleNotFoundError) and error.name and f"{module_name}.".startswith(f"{error.name}."):
            told += without_ending(path)
            told += f"; looked in {', '.join(plugin_folders())} and among installed packages"
        raise UnknownVerifier(f"verifier {name!r} could not be loaded from {path}: {told}") from error
    if lacking:
        raise UnknownVerifier(f"verifier {name!r} could not be loaded from {path}: {lacking}")
    return thing


def _lacking(thing: Any, name: str) -> str:
    """A sentence on a module, or a class, that lacks a name: the nearest one, and all functions and classes it has."""
    module = getattr(thing, "__name__", "")
    own = {
        known: value
        for known, value in vars(thing).items()
        if not known.startswith("_") and callable(value) and getattr(value, "__module__", "") == module
    }
    has = sorted(
        own | {known: value for known, value in _registered.items() if getattr(value, "__module__", "") == module}
    )
    near = difflib.get_close_matches(name, has, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? it has" if near else "it has"
    where = getattr(thing, "__file__", None) or module
    shown = ", ".join(has[:MOST_SHOWN]) + (", ..." if len(has) > MOST_SHOWN else "")
    return f"{where} has no {name!r}; {hint} {shown or 'no function or class of its own'}"


def _entry_points() -> dict[str, EntryPoint]:
    """Returns the entry point of each name; of several with one name, the first by distribution, so that the
    choice doesn't depend on the order of folders."""
    found = sorted(entry_points(group=GROUP), key=lambda entry: (_by(entry), entry.value), reverse=True)
    return {entry.name: entry for entry in found}


def _by(entry: EntryPoint) -> str:
    dist = entry.dist
    return f"{dist.name} {dist.version}" if dist is not None else "an installed package"


def _path_of(thing: Any) -> str:
    kind = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{kind.__module__}:{kind.__qualname__}"
