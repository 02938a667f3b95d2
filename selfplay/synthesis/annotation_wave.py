"""A wave of problems on its way to triples: each annotator is asked in turn, until an answer can be used.

A problem has an order of annotators of its own, drawn from its id. It stays with one as long as its answers can be
used; after too many that cannot, or none at all, the next takes over, and keeps the concepts that were found already.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from selfplay import formats
from selfplay.config.recipe import Recipe
from selfplay.engines.api.budget import TokenUsage
from selfplay.engines.base import Missing, Sample
from selfplay.run.records import AnnotatorAnswer, Seed
from selfplay.run.seeding import derive
from selfplay.synthesis.annotation_answers import Answer, read_concepts, read_rationale
from selfplay.synthesis.annotation_engines import AnnotatorQuestion, Asked

CONCEPTS: Literal["concepts"] = "concepts"
RATIONALE: Literal["rationale"] = "rationale"
CARRIED = "seed"
"""Who gave what the problem came with."""
EXCERPT = 500
"""Most characters that are kept of an answer that could not be used."""
NO_ANSWER = {"request": "request refused", "endpoint": "no answer"}

End = Literal["", "failed", "unreached", "budget"]
"""How a problem ended that is no triple; `unreached` means that some endpoint gave no answer."""


@dataclass(slots=True)
class Work:
    """A problem, and how far it is."""

    seed: Seed
    order: Sequence[str]
    """Annotators, in the order of their turns."""
    needs_rationale: bool
    concepts: tuple[str, ...] = ()
    rationale: str = ""
    concepts_by: str = ""
    rationale_by: str = ""
    turn: int = 0
    attempt: int = 0
    obstacle: str = ""
    """The last endpoint that gave no answer and why, or the budget that is spent."""
    end: End = ""
    answers: list[AnnotatorAnswer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.concepts, self.rationale = self.seed.concepts, self.seed.rationale
        self.concepts_by = CARRIED if self.concepts else ""
        self.rationale_by = CARRIED if self.rationale else ""

    @property
    def next(self) -> Literal["concepts", "rationale", ""]:
        """The next thing to ask for; empty when the problem is done, or given up."""
        if self.end:
            return ""
        if not self.concepts:
            return CONCEPTS
        return RATIONALE if self.needs_rationale and not self.rationale else ""

    @property
    def annotator(self) -> str:
        """Whose turn it is."""
        return self.order[self.turn]

    @property
    def usage(self) -> TokenUsage:
        """The tokens and the cost of all answers."""
        return sum((TokenUsage(a.prompt_tokens, a.completion_tokens, a.cost) for a in self.answers), TokenUsage())

    def take(self, answer: Answer) -> None:
        """Keeps an answer that can be used; the annotator stays for the next question."""
        if answer.concepts:
            self.concepts, self.concepts_by = answer.concepts, self.annotator
        else:
            self.rationale, self.rationale_by = answer.rationale, self.annotator
        self.attempt = 0

    def try_again(self, attempts: int) -> None:
        """Asks the same annotator again, or the next after too many attempts."""
        self.attempt += 1
        if self.attempt >= attempts:
            self.pass_on()

    def pass_on(self) -> None:
        """Gives the next annotator its turn; after the last, gives the problem up."""
        self.turn, self.attempt = self.turn + 1, 0
        if self.turn == len(self.order):
            self.end = "unreached" if self.obstacle else "failed"


def turns(seed: int, problem: str, shares: Mapping[str, float]) -> list[str]:
    """The annotators of a problem in the order of their turns; each comes first as often as its share says.

    Weighted rendezvous hashing: another annotator takes problems from the others and moves none between them.
    """

    def rank(name: str) -> tuple[float, str]:
        # Never 0, which has no logarithm, nor 1, whose logarithm makes all shares alike.
        chance = (derive(seed, "annotator", name, problem) + 1) / (2**31 + 1)
        return -math.log(chance) / shares[name], name

    return sorted(shares, key=rank)


class Wave:
    """Works problems off together, so that every annotator gets many questions at a time."""

    def __init__(self, recipe: Recipe, annotators: Mapping[str, Asked], on_end: Callable[[int], None]) -> None:
        """Takes who is asked, and what hears of problems that are done or given up."""
        self._recipe, self._annotators, self._on_end = recipe, annotators, on_end

    def run(self, number: int, works: Sequence[Work]) -> None:
        """Asks until every problem of wave `number` is done or given up."""
        begun = [work for work in works if work.next]
        self._on_end(len(works) - len(begun))
        turn = 0
        pool = ThreadPoolExecutor(len(self._annotators))
        try:
            while begun:
                self._turn(pool, derive(self._recipe.seed, "annotation", number, turn), begun)
                before = len(begun)
                begun = [work for work in begun if work.next]
                self._on_end(before - len(begun))
                turn += 1
        finally:
            # Whoever interrupts does not wait for answers; they end when the annotators or the workers do.
            pool.shutdown(wait=False, cancel_futures=True)

    def _turn(self, pool: ThreadPoolExecutor, seed: int, works: Sequence[Work]) -> None:
        """Asks each problem's next question, all annotators at a time."""
        batches = {name: [work for work in works if work.annotator == name] for name in self._annotators}
        asked = {
            name: pool.submit(self._ask, self._annotators[name], batch, derive(seed, name))
            for name, batch in batches.items()
            if batch
        }
        for name, answers in asked.items():
            for work, (found, drawn) in zip(batches[name], answers.result(), strict=True):
                self._settle(work, self._annotators[name], found, drawn)

    def _ask(self, annotator: Asked, batch: Sequence[Work], seed: int) -> list[tuple[Sample | Missing, int]]:
        return annotator.answer([self._question(work) for work in batch], seed)

    def _question(self, work: Work) -> AnnotatorQuestion:
        problem, templates = work.seed, self._recipe.domains[work.seed.domain].annotation
        if work.next == CONCEPTS:
            count = str(self._recipe.cold_start.annotation.concepts)
            prompt = formats.fill(templates.concepts, problem=problem.problem, count=count)
        else:
            listed = formats.numbered(work.concepts)
            prompt = formats.fill(templates.rationale, concepts=listed, level=problem.level, problem=problem.problem)
        seed = derive(self._recipe.seed, "annotation", work.annotator, problem.id, work.next, work.attempt)
        return AnnotatorQuestion(prompt, seed, work.attempt)

    def _settle(self, work: Work, annotator: Asked, found: Sample | Missing, seed: int) -> None:
        settings = self._recipe.cold_start.annotation
        if isinstance(found, Missing):
            if found.kind == "budget":
                work.end, work.obstacle = "budget", found.reason
                return
            work.answers.append(self._row(work, annotator, seed, found))
            if found.kind == "endpoint":
                work.obstacle = f"{annotator.name}: {found.reason}"
            work.pass_on()
            return
        wants_concepts = work.next == CONCEPTS
        answer = read_concepts(found, *settings.concept_bounds) if wants_concepts else read_rationale(found)
        work.answers.append(self._row(work, annotator, seed, found, answer.fault))
        if answer.fault:
            work.try_again(settings.attempts)
        else:
            work.take(answer)

    @staticmethod
    def _row(work: Work, annotator: Asked, seed: int, found: Sample | Missing, fault: str = "") -> AnnotatorAnswer:
        usage = TokenUsage()
        if isinstance(found, Missing):
            fault, excerpt = NO_ANSWER[found.kind], found.reason
        else:
            usage, excerpt = annotator.usage(found), found.text if fault else ""
        return AnnotatorAnswer(
            annotator=annotator.name,
            model=annotator.model,
            asked_for=work.next,
            attempt=work.attempt,
            seed=seed,
            temperature=annotator.temperature,
            fault=fault,
            excerpt=excerpt[:EXCERPT],
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cost=usage.cost,
        )
