"""Fake passes: what deserves no reward gets a verdict of zero, from the whole verifier and at a bounded cost."""

from __future__ import annotations

import resource
import time
from collections.abc import Iterator

import fakes_function
import fakes_output
import pytest
from fake_kit import LINES, SUM, Fake

from verifiers.programs import CodeVerifier

FAKES: list[Fake] = [*fakes_function.FAKES, *fakes_output.FAKES]
MOST_SECONDS = 20.0
MOST_GROWTH_MB = 400
"""Of the process that judges, which is the trainer's."""
RIGHT_SUM = "def f(a, b): return a + b"
RIGHT_LINES = "for i in range(int(input())): print(i + 1)"


@pytest.fixture(scope="module")
def verifier(needs_sandbox: None) -> Iterator[CodeVerifier]:
    code = CodeVerifier()
    yield code
    code.close()


def test_there_are_many_and_their_names_differ() -> None:
    assert len({fake.name for fake in FAKES}) == len(FAKES) > 80


@pytest.mark.parametrize("fake", [pytest.param(fake, id=fake.name) for fake in FAKES])
def test_fake_gets_nothing(verifier: CodeVerifier, fake: Fake) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    verdict = verifier.verify_source(fake.task, fake.source)
    assert verdict.passed is False, verdict
    assert verdict.reward == 0.0
    assert verdict.reason
    assert time.process_time() - started < MOST_SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_GROWTH_MB << 10
    # The next honest submission on the same sandbox.
    assert verifier.verify_source(SUM, RIGHT_SUM).passed is True
    assert verifier.verify_source(LINES, RIGHT_LINES).passed is True


@pytest.mark.usefixtures("needs_sandbox")
def test_fakes_in_any_order_and_number_change_no_verdict() -> None:
    verifier = CodeVerifier(workers=2)
    sample = [fake for fake in FAKES if fake.task in (SUM, LINES)][::4]
    items = [item for fake in sample for item in ((fake.task, fake.source), (SUM, RIGHT_SUM), (LINES, RIGHT_LINES))]
    fenced = [(task, f"```python\n{source}\n```") for task, source in items]
    verdicts = verifier.verify_many(fenced)
    verifier.close()
    assert [verdict.passed for verdict in verdicts] == [False, True, True] * len(sample)
