"""The recipe's settings of programs: the kind that solves new problems, and who writes their tests and checkers."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from sandbox.languages import LANGUAGES
from selfplay.config.annotation import LocalEngine, OpenAIEngine
from selfplay.config.section import SamplingSettings, Section

TestKind = Literal["edge_case", "complex_scenario", "error_prone", "critical_path"]
TEST_KINDS: tuple[TestKind, ...] = get_args(TestKind)


class PolicyEngine(Section):
    """The run's own policy, as it is when it is asked."""

    kind: Literal["policy"]


LabelEngine = Annotated[PolicyEngine | LocalEngine | OpenAIEngine, Field(discriminator="kind")]
POLICY = PolicyEngine(kind="policy")


class TestWriter(Section):
    """A model that writes tests of programming problems, one at a time."""

    __test__ = False  # keeps pytest from collecting it
    templates = {"template": ("problem", "kind"), "function_template": ("problem", "kind", "entry_point")}

    engine: LabelEngine = POLICY
    """The model that writes; it must be able to follow an instruction."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.7, max_new_tokens=2048)
    """How its tests are drawn."""
    kinds: Annotated[tuple[TestKind, ...], Field(min_length=1)] = TEST_KINDS
    """Kinds of tests that are asked for."""
    each: Annotated[int, Field(ge=1, le=16)] = 1
    """Tests of each kind."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 2
    """Answers to one question that cannot be used before the test is given up."""
    template: str = (
        "Here is a programming problem. A program that solves it reads standard input and prints its answer.\n\n"
        "<problem>\n{problem}\n</problem>\n\n"
        "Write one test for it: {kind}. The input must obey every rule of the problem, to the letter of its format.\n\n"
        'Work out the right output step by step. Then end with one JSON object: {"input": "...", "output": "..."}, '
        "where both are texts and line breaks are written \\n."
    )
    """Its prompt; fields: problem, kind."""
    function_template: str = (
        "Here is a programming problem. It is solved by a Python function named {entry_point}.\n\n"
        "<problem>\n{problem}\n</problem>\n\n"
        "Write one test for it: {kind}. The arguments must obey every rule of the problem.\n\n"
        'Work out the right value step by step. Then end with one JSON object: {"args": [...], "expected": ...}, '
        "where args is the list of the arguments in order, and expected the value that the call returns."
    )
    """Its prompt where tests call a function; fields: problem, kind, entry_point."""


class CheckerWriter(Section):
    """A model that writes checkers of problems whose programs print different outputs, each of which may be right."""

    templates = {"template": ("problem", "input", "outputs")}

    engine: LabelEngine = POLICY
    """The model that writes; it must be able to follow an instruction."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.7, max_new_tokens=4096)
    """How its checkers are drawn."""
    attempts: Annotated[int, Field(ge=1, le=16)] = 2
    """Checkers of a problem that are refused before it stays without one."""
    min_rejected: Annotated[float, Field(gt=0, le=1)] = 0.75
    """Least share of the mutated outputs that a checker must refuse. A change may leave an output right."""
    template: str = (
        "Here is a programming problem. It may have several right outputs for one input.\n\n"
        "<problem>\n{problem}\n</problem>\n\n"
        "For the input\n\n<input>\n{input}\n</input>\n\nprograms printed:\n\n{outputs}\n\n"
        "Write a Python program that says whether an output is right, by every rule of the problem and by nothing "
        "else. It is started with the names of three files: the input, the output to be judged, and an output that is "
        "believed to be right. It exits with code 0 where the output is right and with code 1 where it is wrong, also "
        "where it is empty, has too few or too many words, or cannot be read. Put it into one ```python block."
    )
    """Its prompt; fields: problem, input, outputs."""


class NewPrograms(Section):
    """The programs that solve a domain's new problems; those of its seeds are of the same kind."""

    language: str = "python"
    """Their language: python, or cpp or one of its standards."""
    function: Annotated[str, Field(pattern="^[A-Za-z_][A-Za-z0-9_]{0,63}$")] | None = None
    """Name of the function that tests call, where the problem's text defines none (`def name(`); none: programs read
    standard input."""

    @model_validator(mode="after")
    def _can_be_run(self) -> NewPrograms:
        if self.language not in LANGUAGES:
            raise ValueError(f"language {self.language!r} is none of {', '.join(LANGUAGES)}")
        if self.function is not None and not LANGUAGES[self.language].has_functions:
            raise ValueError(f"functions of {self.language} programs are not called; leave `function` out")
        return self
