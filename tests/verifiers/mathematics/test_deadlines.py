"""Whatever extraction, reading or comparing do with one text, it costs one verdict, and blocks nobody."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from verifiers.mathematics import MathVerifier
from verifiers.mathematics.comparer import AnswerComparer
from verifiers.model import Task, Verdict

NEIGHBOURS = [(Task(answer=str(n)), rf"So \boxed{{{n}}}.") for n in range(1, 6)]
PLACES = ("extraction", "reading", "comparing")
FAULTS = ("sleep", "loop", "memory", "crash", "recurse", "raise")
OURS = {"sleep": "timed_out", "crash": "worker_died", "raise": "not_checked"}
"""What no answer is to blame for."""
OF_GOLDS = OURS | {"loop": "timed_out", "memory": "over_memory", "recurse": "timed_out"}


@pytest.fixture(scope="module")
def made() -> Iterator[dict[str, MathVerifier]]:
    """Verifiers by fault: all but those that sleep spend a little processor time, and have long to do so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))
        patch.setattr(AnswerComparer, "programs", ("hostile_worker", "hostile_worker"))
        for name in ("_READING", "_COMPARING", "_WEIGHING"):
            patch.setattr(f"verifiers.mathematics.comparer.{name}", 0.05)
        brief, patient = (MathVerifier(workers=1, deadline_s=seconds) for seconds in (2.0, 10.0))
        yield dict.fromkeys(FAULTS, patient) | {"sleep": brief}
        brief.close()
        patient.close()


@pytest.fixture
def math(made: dict[str, MathVerifier], fault: str) -> MathVerifier:
    return made[fault]


def among_neighbours(math: MathVerifier, gold: str, completion: str) -> Verdict:
    """The verdict on an item in the middle of a batch, whose neighbours have theirs, and after which all is well."""
    verdicts = math.verify_many([*NEIGHBOURS[:3], (Task(answer=gold), completion), *NEIGHBOURS[3:]])
    assert [verdict.status for verdict in verdicts[:3] + verdicts[4:]] == ["correct"] * 5
    assert math.verify(*NEIGHBOURS[0]).passed is True
    return verdicts[3]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_reader_that_never_ends_costs_one_answer(math: MathVerifier, place: str, fault: str) -> None:
    verdict = among_neighbours(math, r"\sqrt{2}x", rf"So \boxed{{\sqrt{{3}}x+{place} {fault}}}")
    expected = "wrong" if place == "comparing" and fault == "raise" else OURS.get(fault, "wrong")
    assert verdict.status == expected, verdict
    assert verdict.passed is (False if expected == "wrong" else None)
    assert verdict.reason


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_reader_that_never_ends_costs_one_gold(math: MathVerifier, place: str, fault: str) -> None:
    gold = rf"The answer is $\sqrt{{3}}x+{place} {fault}$"
    verdict = among_neighbours(math, gold, r"So \boxed{\sqrt{2}x}")
    assert (verdict.passed, verdict.status) == (None, OF_GOLDS[fault]), verdict
    assert verdict.reason


@pytest.mark.parametrize("fault", FAULTS)
def test_looking_for_an_answer_alone_ends_too(math: MathVerifier, fault: str) -> None:
    assert math.extract(f"extraction {fault}") is None
    assert math.equal(f"reading {fault}", "1") is False
    assert math.canonical(f"reading {fault}") == f"reading {fault}"
    assert math.extract("so 5") == "5"


def test_the_callers_process_does_not_even_load_the_readers() -> None:
    code = (
        "import sys\nfrom verifiers.mathematics import MathVerifier, MathVerifyVerifier\n"
        "from verifiers.model import Task\n"
        "for made in (MathVerifier(workers=1), MathVerifyVerifier(workers=1)):\n"
        "    assert made.verify(Task(answer='1/2'), 'so 0.5').passed\n"
        "    assert made.extract('so 0.5') == '0.5'\n"
        "    made.close()\n"
        "made = MathVerifier(workers=1)\n"
        "assert made.equal('1/2', '0.5') and made.canonical('1/2') == made.canonical('0.5')\n"
        "made.close()\n"
        "parts = ('extraction', 'reading', 'comparing')\n"
        "print([name for name in sys.modules if name.startswith('verifiers.') and any(p in name for p in parts)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
