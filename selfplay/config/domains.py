"""The settings of a kind of problems: how a policy is asked, what judges it, and where the first ones come from."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from selfplay.config.annotation import AnnotationTemplates
from selfplay.config.programs import NewPrograms
from selfplay.config.section import Section
from selfplay.config.seeds import Seeds
from selfplay.config.values.places import Wording

ASSERTS = "selfplay.suites.asserts:AssertsVerifier"
"""The verifier of suites whose tests are statements behind a program."""


class ProblemKind(Section):
    """How a policy is asked to solve problems of one kind, and what judges it. `{…}` fields are filled in."""

    templates = {
        "solver_template": ("problem",),
        "function_template": ("problem", "entry_point"),
        "language_template": ("problem", "language"),
    }

    verifier: Literal["math", "code"] | str = "math"
    """Name of the verifier, or `module:Name` of a plug-in."""
    verifier_params: dict[str, Any] = {}
    """Parameters of the verifier."""
    verifier_deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 60.0
    """Seconds after which a verdict of a verifier that is not one of ours is given up, and its process ended."""
    solver_template: Wording = "{problem}\n\nReason step by step, and put the final answer within \\boxed{}."
    """The policy's prompt; field: problem."""
    function_template: Wording = (
        "{problem}\n\nWrite a Python function named `{entry_point}`, and put the program into one ```python block."
    )
    """Its prompt where tests call a function; fields: problem, entry_point."""
    language_template: Wording = (
        "{problem}\n\nWrite a {language} program that reads standard input and writes standard output, and put it into "
        "one ```{tag} block."
    )
    """Its prompt where the program is in another language than Python; fields: problem, language, tag (`cpp`)."""

    @property
    def runs_programs(self) -> bool:
        """Whether the verifier, or a component of a composite, is the one for code."""
        return _runs_programs(self.verifier, self.verifier_params)


class Domain(ProblemKind):
    """One kind of problem: its seeds, its wording and its verifier. `{…}` fields are filled in."""

    templates = ProblemKind.templates | {
        "prompt_template": ("concepts", "level"),
        "rationale_template": ("concepts", "level", "problem"),
    }

    seeds: Seeds
    """Where the seed problems come from."""
    new_programs: NewPrograms = NewPrograms()
    """Code: the programs that solve new problems."""
    shared_input_format: bool = False
    """Code: all problems of the domain read inputs of one format, so that inputs of the seeds can test new ones."""
    prompt_template: Wording = "Write a problem.\nConcepts:\n{concepts}\nDifficulty Level: {level}\n"
    """The prompt model's input; fields: concepts, level."""
    rationale_template: Wording = (
        "Explain the design of this problem.\nConcepts:\n{concepts}\nDifficulty Level: {level}\nProblem: {problem}\n"
    )
    """The rationale model's input; fields: concepts, level, problem."""
    annotation: AnnotationTemplates = AnnotationTemplates()
    """Texts that annotators read, where `cold_start` has any."""


def _runs_programs(verifier: object, params: object) -> bool:
    if verifier in ("code", ASSERTS):
        return True
    parts = params.get("components") if isinstance(params, dict) else None
    named = parts.values() if isinstance(parts, dict) else ()
    return any(_runs_programs(part.get("verifier"), part.get("params")) for part in named if isinstance(part, dict))
