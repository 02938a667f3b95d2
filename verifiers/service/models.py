"""The requests and answers of the reward service: what its OpenAPI schema documents and its code reads."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    PositiveFloat,
    PositiveInt,
    Tag,
    ValidationError,
)
from pydantic.json_schema import WithJsonSchema

from verifiers.model import Task, Test
from verifiers.programs.approximate import ToleranceKind
from verifiers.programs.comparison import Comparison

_BIGGEST_ID = 9 * 10**18
"""Within 64 bits, and the same as a float, in which OpenAPI states bounds."""


def _answer_text(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("must be text or a finite number")
        return str(value)
    return value


Answer = Annotated[
    str, BeforeValidator(_answer_text), WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "number"}]})
]
"""A reference answer; a number counts as its text."""


def whole(value: Any) -> Any:
    """An integer where a float has the value of one; anything else as it is."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


# An integer is what JSON Schema takes for one: 512.0 too. (Bounds first, or the schema loses them.)
Megabytes = Annotated[int, Field(ge=16), BeforeValidator(whole)]
IdNumber = Annotated[int, Field(ge=-_BIGGEST_ID, le=_BIGGEST_ID), BeforeValidator(whole)]


def _finite(value: Any) -> Any:
    left = [value]
    while left:
        part = left.pop()
        if isinstance(part, list):
            left.extend(part)
        elif isinstance(part, dict):
            left.extend(part.values())
        elif isinstance(part, float) and not math.isfinite(part):
            raise ValueError("must not hold numbers beyond the range of a float")
    return value


JsonData = Annotated[Any, AfterValidator(_finite)]
"""Any JSON value whose numbers are finite."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class OutputTest(_Strict):
    """Standard input, and the standard output expected for it."""

    input: str = Field(description="What the program reads from standard input.")
    output: str = Field(description="What it is expected to write. Never enters the sandbox.")

    def test(self) -> Test:
        """This test, as verifiers take it."""
        return Test(input=self.input, output=self.output)


class CallTest(_Strict):
    """Arguments of the function `entry_point`, and the value expected for them."""

    args: list[JsonData] = Field(description="Positional arguments, as JSON data.")
    expected: JsonData = Field(description="The value the call should return. Never enters the sandbox.")

    def test(self) -> Test:
        """This test, as verifiers take it."""
        return Test(args=tuple(self.args), expected=self.expected)


def _kind_of_test(value: Any) -> str:
    if isinstance(value, dict):
        return "call" if "args" in value or "expected" in value else "output"
    return "call" if isinstance(value, CallTest) else "output"


AnyTest = Annotated[
    Annotated[OutputTest, Tag("output")] | Annotated[CallTest, Tag("call")], Discriminator(_kind_of_test)
]


class ScoreItem(_Strict):
    """A completion, and the fields of the task it is judged against. Which of them matter depends on the verifier."""

    verifier: str | None = Field(
        None, description="The name of a verifier of this service. May be left out where only one is served."
    )
    id: str | IdNumber | None = Field(None, description="Yours; comes back with the verdict.")
    completion: str = Field(description="What the model wrote, without the prompt.")
    answer: Answer | None = Field(None, description="The reference answer (math, choice, exact).")
    problem: str = Field("", description="The text of the problem (judge).")
    tests: list[AnyTest] = Field(default_factory=list, description="The tests of a program (code), all of one kind.")
    entry_point: str | None = Field(
        None, max_length=200, description="The function that the tests call (code); without it, programs read stdin."
    )
    language: str = Field("python", description="The language of the program (code).")
    time_limit_s: float = Field(5.0, gt=0, allow_inf_nan=False, description="CPU seconds of one test (code).")
    memory_mb: Megabytes = Field(512, description="Megabytes of memory of one test (code).")
    float_tolerance: float | None = Field(
        None, ge=0, allow_inf_nan=False, description="Absolute or relative tolerance for numbers in outputs (code)."
    )
    tolerance_kind: ToleranceKind = Field("either", description="What the tolerance bounds (code).")
    comparison: Comparison | None = Field(
        None, description="How outputs are compared (code); null leaves it to the verifier's parameters."
    )
    checker: str | None = Field(
        None, max_length=200_000, description="A program that judges outputs, with testlib's exit codes (code)."
    )

    def task(self) -> Task:
        """The task of this item."""
        return Task(
            tests=tuple([test.test() for test in self.tests]), **dict(zip(_OF_TASK, _values(self), strict=True))
        )


_OF_TASK = tuple(name for name in Task.__dataclass_fields__ if name != "tests")
_values = attrgetter(*_OF_TASK)

_RIGHT: dict[str, JsonValue] = {
    "verifier": "math",
    "id": "a",
    "answer": "1/2",
    "completion": "So it is \\boxed{\\frac{2}{4}}.",
}
_PROGRAM: dict[str, JsonValue] = {
    "verifier": "code",
    "id": "b",
    "completion": "```python\nprint(2 * int(input()))\n```",
    "tests": [{"input": "2\n", "output": "4\n"}],
}


class ScoreRequest(_Strict):
    """A batch of items. Their verdicts come in the same order."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_RIGHT]}, {"items": [_RIGHT, _PROGRAM]}]})

    items: list[ScoreItem] = Field(description="What is to be judged.")


class RewardsRequest(BaseModel):
    """OpenRLHF's post to its `--remote_rm_url`: one entry a sample. Fields it may add are not looked at."""

    model_config = ConfigDict(
        extra="ignore",
        strict=True,
        frozen=True,
        json_schema_extra={
            "examples": [{"query": ["What is 1+1? It is 2."], "prompts": ["What is 1+1?"], "labels": ["2"]}]
        },
    )

    query: list[str] = Field(description="Prompt and completion as one text.")
    prompts: list[str] | None = Field(
        None, description="The prompts alone: what stands after them in `query` is the completion."
    )
    labels: list[str | int | float | dict[str, Any] | None] | None = Field(
        None,
        description="Reference answers, or tasks: an object with the task fields of an item, or its JSON text.",
    )


class VerdictRow(_Strict):
    """Passed, failed, or could not check: then `passed` and `reward` are null, and it is no reward of zero."""

    id: str | int | None = Field(description="The item's.")
    verifier: str = Field(description="The verifier that judged.")
    passed: bool | None = Field(description="Null when no verdict could be reached.")
    reward: float | None = Field(ge=0, le=1, description="In [0, 1]; null when no verdict could be reached.")
    status: str = Field(
        description="A short machine name. math: correct, wrong, no_answer; without a reward gold_unparsable, "
        "timed_out, over_memory, not_checked. code: accepted, wrong_answer, runtime_error, time_limit, memory_limit, "
        "output_limit, compile_error, no_answer; without a reward not_checked."
    )
    reason: str = Field(description="One sentence for a person; may be empty.")
    details: dict[str, Any] = Field(description="What else the verifier tells.")
    seconds: float = Field(ge=0, description="Wall seconds of judging.")


class ScoreResponse(_Strict):
    """One verdict an item, in order."""

    verdicts: list[VerdictRow]
    rewards: list[float | None] = Field(description="The verdicts' rewards alone.")


class ExtraLogs(_Strict):
    """Figures that OpenRLHF logs beside the rewards; one number a sample."""

    not_checked: list[float] = Field(description="1 where no verdict could be reached and the reward is a stand-in.")
    passed: list[float] = Field(description="1 where the completion passed.")


class RewardsResponse(_Strict):
    """One number a sample, in order; never null, since OpenRLHF makes a tensor of them."""

    rewards: list[float]
    scores: list[float] = Field(description="The same, for dynamic filtering.")
    extra_logs: ExtraLogs


class ServedVerifier(_Strict):
    """A verifier as this service serves it."""

    name: str
    fingerprint: str = Field(description="Changes when the verifier's verdicts may.")
    ready: bool
    detail: str = Field(description="What was last found out about it.")


class RequestLimits(BaseModel):
    """The bounds of a request to this service."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    max_items: PositiveInt = 16_384
    """Items in one request."""
    max_body_bytes: PositiveInt = 32 << 20
    """Bytes of one request's body."""
    max_completion_chars: PositiveInt = 1_000_000
    """Characters of one completion."""
    max_tests: PositiveInt = 1_000
    """Tests of one item."""
    max_time_limit_s: PositiveFloat = 60.0
    """The longest `time_limit_s` that an item may ask for."""
    max_item_s: PositiveFloat = 3_600.0
    """The most CPU seconds that an item's tests may take together: their number times `time_limit_s`."""
    max_memory_mb: PositiveInt = 4_096
    """The largest `memory_mb` that an item may ask for."""


class About(_Strict):
    """The verifiers that are served, and the limits of a request."""

    verifiers: list[ServedVerifier]
    limits: RequestLimits


class Health(_Strict):
    """The process answers."""

    status: Literal["ok"]


class Readiness(_Strict):
    """Whether every verifier gave the known verdicts when last asked."""

    ready: bool
    verifiers: list[ServedVerifier]


ErrorName = Literal[
    "invalid_json",
    "unauthorized",
    "not_found",
    "method_not_allowed",
    "body_timeout",
    "too_large",
    "unsupported_media_type",
    "wrong_host",
    "invalid_request",
    "internal",
    "overloaded",
    "client_overloaded",
]


class ProblemDetails(_Strict):
    """Why a request was refused."""

    error: ErrorName
    message: str = Field(description="One sentence for a person.")
    field: str | None = Field(None, description="The field at fault, such as items.3.completion.")


_TYPE_NAMES = frozenset(
    {
        "str",
        "int",
        "float",
        "constrained-int",
        "function-before[whole(), int]",
        "function-before[whole(), constrained-int]",
        "dict[str,any]",
    }
)


def first_fault(fault: ValidationError) -> tuple[str, str]:
    """The place (`items.3.answer`, perhaps empty) and the words of the first of the faults that pydantic found."""
    faults = fault.errors(include_url=False, include_context=False, include_input=False)
    place = faults[0]["loc"]
    named = [
        str(part)[:100]
        for at, part in enumerate(place)
        if part not in _TYPE_NAMES and not (at >= 2 and place[at - 2] == "tests" and isinstance(place[at - 1], int))
    ]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return ".".join(named)[:300], f"{faults[0]['msg']}{more}"[:500]
