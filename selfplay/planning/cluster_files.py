"""Files by which a cluster runs a recipe over several nodes: a script for SLURM, or manifests for KubeRay."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.planning.machine import Machine

LONGEST_NAME = 40
"""Characters of a name in Kubernetes, to which KubeRay adds its own."""
_TEMPLATES = Environment(
    # What goes in is quoted for the shell, or is a name or a number: no page is made.
    loader=PackageLoader("selfplay.planning"),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    autoescape=False,
)


def slurm_script(recipe: Recipe, file: Path, overrides: Sequence[str], machine: Machine, script: Path) -> str:
    """A batch script that starts Ray on all nodes of its allocation and runs the recipe there.

    Args:
        overrides: as the command line has them.

    Raises:
        UserError: GPUs of a node are no multiple of what an engine takes.
    """
    return _TEMPLATES.get_template("slurm.sh.j2").render(
        name=recipe.name,
        nodes=machine.nodes,
        gpus=machine.devices // machine.nodes,
        # It stands in a comment, which a line's end would leave.
        file=" ".join(shlex.quote(str(script)).split()),
        recipe=shlex.quote(str(file)),
        run=shlex.quote(f"runs/{recipe.name}"),
        workers=workers_on(recipe, machine),
        overrides=" ".join(map(shlex.quote, overrides)),
    )


def kuberay_manifests(recipe: Recipe, machine: Machine) -> str:
    """A recipe, storage, and a RayJob with its cluster, as YAML; Ray asks every caller for a token.

    Raises:
        UserError: GPUs of a node are no multiple of what an engine takes.
    """
    name = kubernetes_name(recipe.name)
    settings = yaml.safe_dump(recipe.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-recipe"},
        "data": {"recipe.yaml": settings},
    }
    return _TEMPLATES.get_template("kuberay.yaml.j2").render(
        name=name,
        title=recipe.name,
        nodes=machine.nodes,
        gpus=machine.devices // machine.nodes,
        workers=workers_on(recipe, machine),
        recipe=yaml.dump(config, Dumper=_Manifests, sort_keys=False, allow_unicode=True).rstrip("\n"),
    )


class _Manifests(yaml.SafeDumper):
    """Writes texts of several lines as they are."""


def _as_it_is(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Manifests.add_representer(str, _as_it_is)


def workers_on(recipe: Recipe, machine: Machine) -> int:
    """The workers of a recipe on some nodes, each on one of them.

    Raises:
        UserError: an engine takes more GPUs than a node has.
    """
    ranks, each = recipe.engine.ranks, machine.devices // machine.nodes
    if ranks > each:
        raise UserError(
            f"engine.args: an engine takes {ranks} GPUs, and a node has {each}; a model is spread over GPUs of one "
            "node: lower tensor_parallel_size or pipeline_parallel_size"
        )
    return recipe.compute.workers or each // ranks * machine.nodes


def kubernetes_name(name: str) -> str:
    """A name as KubeRay takes it, which names services by it: small letters, digits and hyphens, a letter first."""
    letters = (letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    plain = "".join(letters).strip("-") or "run"
    return (plain if plain[0].isalpha() else f"run-{plain}")[:LONGEST_NAME].strip("-")
