"""How problems of one's own are put to a model: in the words of its run, by a template that was given, or by ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfplay.config.domains import ProblemKind
from selfplay.config.errors import UserError
from selfplay.pipeline.policies import run_of
from selfplay.run.directory import read_recipe
from selfplay.suites.load import DEFAULT_WORDING, Suite
from verifiers.untrusted.files import read_text
from verifiers.untrusted.shown import shown

OF_RUN, OF_OPTION = "the run's", "--template"
FIELDS = {"function_template": "{entry_point}", "language_template": "{language}"}
"""Marks of a template for functions, and of one for programs in other languages than Python."""


def asked_of(suites: Sequence[Suite], given: str, template: str | None) -> list[Suite]:
    """Suites as a model is asked; those that are known by name keep their prompts.

    Args:
        given: the model, as `find_models` takes it.
        template: a text with the field problem, or a file with one; None for that of the model's run, if it has one.

    Raises:
        UserError: the template is none, or nothing would use it; the run has several, and nothing says which.
    """
    if template is not None:
        text = _text(template)
        if suites and all(one.is_named for one in suites):
            names = ", ".join(one.name for one in suites)
            raise UserError(f"--template: is for suites of your own; {names} has one prompt")
        return [one if one.is_named else _by_template(one, text) for one in suites]
    run = run_of(given)
    if run is None:
        return list(suites)
    return [_by_run(one, run) if one.wording == DEFAULT_WORDING else one for one in suites]


def _text(template: str) -> str:
    if "{problem}" in template:
        return template
    if not Path(template).exists():
        raise UserError(
            f"--template {shown(template)}: is no text with {{problem}}, and no such file is there; give one of them"
        )
    text = read_text(Path(template), UserError, "give a text with {problem}, or a file with one")
    if "{problem}" not in text:
        raise UserError(f"--template {shown(template)}: lacks the field {{problem}}; add it where the problem goes")
    return text


def _by_template(suite: Suite, text: str) -> Suite:
    """Of the three templates of a suite the one that the text's fields make it."""
    kind = next((name for name, field in FIELDS.items() if field in text), "solver_template")
    asked = replace(suite, solving=suite.solving.model_copy(update={kind: text}), wording=OF_OPTION)
    if others := [one for one in asked.prompts if one != text]:
        what, field = (
            ("call a function", "{entry_point}")
            if others[0] == asked.solving.function_template
            else ("are programs in another language", "{language}")
            if others[0] == asked.solving.language_template
            else ("have no use for its fields", "{problem} alone")
        )
        raise UserError(
            f"--template: {suite.name} also has problems that {what}, whose template has the field {field}; give a "
            "template for these, or have a suite of one kind"
        )
    return asked


def _by_run(suite: Suite, run: Path) -> Suite:
    """The words of the run's domain: of several the one that is judged as the suite is."""
    domains = read_recipe(run).domains
    alike = {name: one for name, one in domains.items() if one.verifier == suite.solving.verifier} or domains
    words = [{name: getattr(one, name) for name in ProblemKind.templates} for one in alike.values()]
    if any(one != words[0] for one in words):
        raise UserError(
            f"{run}: has {' and '.join(alike)}, which it asks in different words; give those for {suite.name} with "
            "--template"
        )
    return replace(suite, solving=suite.solving.model_copy(update=words[0]), wording=OF_RUN)
