"""The named suites: where each is published, how many problems it has, and under which licence.

Where public projects have recorded by which commit of a data set they measured, and agree, it is pinned here (`PINS`);
none could be looked up on the hub where this table was written. What is met at the first load is recorded, by commit
and content, in the evaluation, and in a lock where one is named, which both refuse another content
(`selfplay.suites.lock`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from selfplay.config.domains import ASSERTS as ASSERTS_VERIFIER
from selfplay.config.domains import ProblemKind

Form = Literal[
    "answer",
    "released",
    "gsm8k",
    "olympiad",
    "gpqa",
    "humaneval",
    "humaneval+",
    "mbpp",
    "mbpp+",
    "livecodebench",
    "codeforces",
]
"""How the rows of a suite become tasks; see `selfplay.suites.published` and `selfplay.suites.livecodebench`."""

BOXED = ProblemKind()
LETTER = ProblemKind(
    verifier="choice",
    solver_template="{problem}\n\nReason step by step, and put the letter of the right option within \\boxed{}.",
)
ASSERTS = ProblemKind(
    verifier=ASSERTS_VERIFIER,
    function_template="{problem}\n\nWrite the whole function `{entry_point}`, with all that it needs, in one ```python "
    "block.",
)
PRELUDE_MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "json", "typing"),
)
"""Modules whose names LiveCodeBench puts before a program, so that a starter's `List` is known."""
PRELUDE = "\n".join(
    [f"import {name}\nfrom {name} import *" for name in PRELUDE_MODULES]
    + ["import sys", "sys.setrecursionlimit(50000)", ""]
)
CONTEST = ProblemKind(
    verifier="code",
    verifier_params={"comparison": "decimal_lines", "prelude": PRELUDE},
    solver_template="{problem}\n\nWrite a Python program that reads standard input and writes standard output, and put "
    "it into one ```python block.",
    function_template="{problem}\n\nComplete the starter code so that `{entry_point}` does this, and put the whole "
    "program into one ```python block.",
)

RELEASED = ProblemKind(verifier="code", verifier_params=CONTEST.verifier_params, solver_template="{problem}")
RELEASED_MATH = ProblemKind(solver_template="{problem}")
"""Rows that the paper's authors released hold all that is said, the instructions included."""


@dataclass(frozen=True, slots=True)
class NamedSuite:
    """A published set of problems."""

    name: str
    form: Form
    dataset: str
    split: str
    problems: int | None
    """As published; None where that depends on a window of dates."""
    licence: str
    subset: str | None = None
    solving: ProblemKind = BOXED
    fields: Mapping[str, str] = field(default_factory=dict)
    """Columns of the answer form: ours to theirs."""
    aliases: tuple[str, ...] = ()
    """Names, without ending, that a file one has downloaded may bear besides the suite's own."""
    window: tuple[str, str] | None = None
    """First and last day of the contests, both included, as YYYY-MM-DD."""
    files: tuple[str, ...] = ()
    """Files of the data set, where the `datasets` library reads it by a script only, which it no longer runs. Of a
    folder with files of these names, too, no others are read."""
    released: str = ""
    """Name, without ending, of the file that the paper's authors released of it; see `as_released`."""
    elsewhere: str = ""
    """Its file in a repository of GitHub, `dataset`, where it is on no hub: it is then read by `--data` alone."""
    remark: str = ""
    """A difference from how its authors score."""

    @property
    def revision(self) -> str | None:
        """The commit at which its data set is loaded; None takes the newest."""
        return PINS.get(self.dataset)

    @property
    def asks_as_released(self) -> bool:
        """Whether its rows hold the prompts, so that none of ours is used."""
        return self.form in ("released", "codeforces")

    def as_released(self) -> NamedSuite:
        """The same problems from the file of the paper's authors, asked in their words."""
        return replace(self, form="released", solving=RELEASED_MATH)


PINS: Mapping[str, str] = {
    "HuggingFaceH4/aime_2024": "2fe88a2f1091d5048c0f36abc874fb997b3dd99a",
    "math-ai/aime25": "563bb8404243c5f09de6ec262f2db674fe5bce9b",
    "MathArena/hmmt_feb_2025": "6fdc4277120810ff75aa22d2d5489b91f7a262a1",
    "HuggingFaceH4/MATH-500": "ff5b20257d8185524591543f8ff5993951537bb8",
    "openai/gsm8k": "cc7b047b6e5bb11b4f1af84efc572db110a51b3c",
    "Idavidrein/gpqa": "633f5ee89ab8ad4522a9f850766b73f62147ffdd",
    "openai/openai_humaneval": "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544",
    "evalplus/humanevalplus": "d32357cf319e50e9c8d8dab5ea876c72b0fd321b",
    "google-research-datasets/mbpp": "4bb6404fdc6cacfda99d4ac4205087b89d32030c",
    "evalplus/mbppplus": "b2d74c91837c3f2a20c1299ae98133cbe7cfa077",
    "livecodebench/code_generation_lite": "0fe84c3912ea0c4d4a78037083943e8f0c4dd505",
}
"""Commits of data sets, as several public projects give them; the number of problems is checked besides."""
_MAA = "problems © MAA; data set without one"
_LCB = "problems © their contests; CC data set"
_LCB_FILES = tuple(f"test{number}.jsonl" for number in ("", 2, 3, 4, 5, 6))
"""Release N has the first N of them: 880 problems in 5, and 1,055 in 6."""


def _livecodebench(name: str, problems: int | None, window: tuple[str, str] | None, release: int = 6) -> NamedSuite:
    return NamedSuite(
        name,
        "livecodebench",
        "livecodebench/code_generation_lite",
        "test",
        problems,
        _LCB,
        solving=CONTEST,
        aliases=("code_generation_lite",),
        window=window,
        files=_LCB_FILES[:release],
        remark="values of functions are compared as JSON values, where the authors compare Python objects",
    )


def _suites() -> Iterator[NamedSuite]:
    answer = {"problem": "problem", "answer": "answer"}
    yield NamedSuite(
        *("aime24", "answer", "HuggingFaceH4/aime_2024", "train", 30, _MAA),
        fields=answer,
        aliases=("aime2024", "aime_2024"),
        released="promptcot2_aime24_test",
    )
    yield NamedSuite(
        *("aime25", "answer", "math-ai/aime25", "test", 30, "Apache-2.0; problems © MAA"),
        fields=answer,
        aliases=("aime2025", "aime_2025"),
        released="promptcot2_aime25_test",
    )
    yield NamedSuite(
        *("hmmt25", "answer", "MathArena/hmmt_feb_2025", "train", 30, "CC BY-NC-SA 4.0"),
        fields=answer,
        aliases=("hmmt_feb_2025", "hmmt2025"),
        released="promptcot2_hmmt25_test",
    )
    yield NamedSuite(
        *("math500", "answer", "HuggingFaceH4/MATH-500", "test", 500, "MIT"), fields=answer, aliases=("math_500",)
    )
    yield NamedSuite(
        *("gsm8k", "gsm8k", "openai/gsm8k", "test", 1319, "MIT"), subset="main", fields={"problem": "question"}
    )
    yield NamedSuite(
        *("minerva", "answer", "math-ai/minervamath", "test", 272, "of MIT OpenCourseWare, CC BY-NC-SA 4.0"),
        fields={"problem": "question", "answer": "answer"},
        aliases=("minervamath",),
        remark="answers are compared by our math verifier, not by the authors' normalisation",
    )
    yield NamedSuite(
        *("olympiadbench", "olympiad", "Hothan/OlympiadBench", "train", 674, "Apache-2.0"),
        subset="OE_TO_maths_en_COMP",
        fields={"problem": "question"},
        remark="the column of tolerated errors is not used",
    )
    yield NamedSuite(
        *("amc23", "answer", "math-ai/amc23", "test", 40, _MAA),
        fields={"problem": "question", "answer": "answer"},
    )
    yield NamedSuite(
        *(
            "gpqa-diamond",
            "gpqa",
            "Idavidrein/gpqa",
            "train",
            198,
            "CC BY 4.0; gated: accept its terms on the hub",
        ),
        subset="gpqa_diamond",
        solving=LETTER,
        aliases=("gpqa_diamond",),
        remark="options stand in an order that is drawn from the question's text",
    )
    yield NamedSuite(
        *("humaneval", "humaneval", "openai/openai_humaneval", "test", 164, "MIT"),
        solving=ASSERTS,
        remark="the whole function is asked for, rather than what goes on after its head",
    )
    yield NamedSuite(
        *("humaneval-plus", "humaneval+", "evalplus/humanevalplus", "test", 164, "Apache-2.0; HumanEval MIT"),
        solving=ASSERTS,
        aliases=("humanevalplus", "humaneval_plus"),
        remark="as `humaneval`; one limit of 60 s for all inputs, where the authors have one for each",
    )
    yield NamedSuite(
        *("mbpp", "mbpp", "google-research-datasets/mbpp", "test", 500, "CC BY 4.0"),
        subset="full",
        solving=ASSERTS,
        remark="no examples before the problem; its first assert stands in the prompt",
    )
    yield NamedSuite(
        *("mbpp-plus", "mbpp+", "evalplus/mbppplus", "test", 378, "Apache-2.0; MBPP CC BY 4.0"),
        solving=ASSERTS,
        aliases=("mbppplus", "mbpp_plus"),
        remark="as `mbpp` and `humaneval-plus`; two problems have exceptions in the authors' own runner, none here",
    )
    yield _livecodebench("livecodebench", None, None)
    # Release 6 brought problems of v5's last weeks, which nobody counts among the 279.
    yield _livecodebench("livecodebench-v5", 279, ("2024-08-01", "2025-01-31"), release=5)
    yield _livecodebench("livecodebench-v6", 131, ("2025-02-01", "2025-04-30"))
    yield NamedSuite(
        *("codeforces", "codeforces", "inclusionAI/PromptCoT", "test", 408, "problems © Codeforces; repository MIT"),
        solving=RELEASED,
        aliases=("promptcot2_codeforces_test",),
        elsewhere="data/promptcot2_codeforces_test.jsonl",
        remark="asked in the model's own chat format; few tests, so read it with its rating (`selfplay rate`)",
    )


SUITES: Mapping[str, NamedSuite] = {suite.name: suite for suite in _suites()}


CODEFORCES = "codeforces"
"""The suite by which the paper rates models."""
PAPER = "paper"
"""Stands for the suites of the paper's tables, with its settings."""
PAPER_SUITES = ("aime24", "aime25", "hmmt25", "livecodebench-v5", "livecodebench-v6")
PAPER_SETTINGS = ("samples=16", "sampling={temperature: 0.6, top_p: 0.95, max_new_tokens: 81920}")
"""Its avg@16 on the first three; pass@1 on LiveCodeBench, which 16 completions estimate as well."""
PUBLISHED: Mapping[str, tuple[float, ...]] = {
    "30B-A3B, before self-play": (87.7, 85.0, 71.4, 68.1, 66.0),
    "30B-A3B, after": (92.1, 89.8, 76.7, 74.2, 71.0),
    "4B, before self-play": (85.2, 81.3, 55.5, 63.8, 55.2),
    "4B, after": (87.3, 85.0, 66.5, 67.7, 61.1),
    "7B, before SFT": (12.8, 8.0, 2.7, 14.7, 13.7),
    "7B, after SFT": (73.1, 65.6, 46.5, 53.4, 48.9),
}
"""The paper's tables 1 and 2 (arXiv 2509.19894), percent: to plot against, never to claim."""
PUBLISHED_RATINGS: Mapping[str, int] = {
    "30B-A3B, before self-play": 2044,
    "30B-A3B, after": 2079,
    "4B, before self-play": 1852,
    "4B, after": 1934,
    "7B, before SFT": 706,
    "7B, after SFT": 1815,
}
"""Its Codeforces ratings, means over contests of at most 8 tries a problem, in the same order."""


def table() -> str:
    """The named suites as a Markdown table, which `docs/reference/suites.md` holds."""
    lines = ["| name | data set | split | problems | judged by | licence | differs from its authors' scoring |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    for suite in SUITES.values():
        subset = f" ({suite.subset})" if suite.subset else ""
        pinned = f" at `{suite.revision[:7]}`" if suite.revision else ""
        window = f", contests {suite.window[0]} to {suite.window[1]}" if suite.window else ""
        judged = "`asserts`" if suite.solving is ASSERTS else f"`{suite.solving.verifier}`"
        problems = "by window" if suite.problems is None else str(suite.problems)
        place = (
            f"`{suite.dataset}` on GitHub, `{suite.elsewhere}`; by `--data` alone"
            if suite.elsewhere
            else f"`{suite.dataset}`{subset}{pinned}{window}"
        )
        cells = [f"`{suite.name}`", place, suite.split, problems, judged]
        lines.append("| " + " | ".join([*cells, suite.licence, suite.remark or "-"]) + " |")
    return "\n".join(lines)
