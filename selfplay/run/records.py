"""The rows of a run's tables. Every row has a stable id, and the ids of the rows it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from verifiers.model import Task


@dataclass(frozen=True, slots=True)
class Seed:
    """A task that a run starts from, with what its designer thought; training seeds may lack the label."""

    version: ClassVar[int] = 2
    id: str
    domain: str
    split: str
    """train, dev or heldout."""
    source: str
    concepts: tuple[str, ...]
    level: str
    rationale: str
    task: Task
    solution: str
    """A worked completion, empty where the source has none."""
    solution_is_right: bool | None
    """Whether the solution is known to be right or wrong; None where there is none."""

    @property
    def problem(self) -> str:
        """The text of the problem."""
        return self.task.problem


@dataclass(frozen=True, slots=True)
class AnnotatorAnswer:
    """One answer of an annotator about one problem, or its failure to give any."""

    annotator: str
    model: str
    asked_for: str
    """`concepts` or `rationale`."""
    attempt: int
    """0 for the first answer of this annotator to this question."""
    seed: int
    """The seed of the sample."""
    temperature: float
    fault: str
    """Why it could not be used; empty where it was."""
    excerpt: str
    """The beginning of an answer that could not be used."""
    prompt_tokens: int
    completion_tokens: int
    cost: float
    """In the currency of the annotator's prices."""


@dataclass(frozen=True, slots=True)
class Annotation:
    """How a seed problem came to its concepts and its rationale."""

    version: ClassVar[int] = 1
    id: str
    seed_id: str
    domain: str
    split: str
    concepts_by: str
    """The annotator, `seed` where the problem carried them, or empty where nobody found them."""
    rationale_by: str
    """Likewise; empty too where none was needed, as for held-out problems."""
    attempts: int
    """Answers that were asked for."""
    prompt_tokens: int
    completion_tokens: int
    cost: float
    dropped: str
    """Empty for a triple, else why the problem became none."""
    log_p_rationale: float | None
    """log p(z|c), nats, under the recipe's scorer; None without one."""
    log_p_problem: float | None
    """log p(x|z,c), nats, under the recipe's scorer; None without one."""
    answers: tuple[AnnotatorAnswer, ...]
    """In the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the K rationales that the E-step weighs for a pair (concepts, problem)."""

    version: ClassVar[int] = 1
    id: str
    seed_id: str
    round: int
    index: int
    rationale: str
    token_ids: tuple[int, ...]
    complete: bool
    """False when the rationale was cut at the token limit; such a candidate is never chosen."""
    log_p_rationale: float
    """log p(z|c), nats, summed over tokens."""
    log_p_problem: float
    """log p(x|z,c), nats, summed over tokens."""
    reward: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class CandidateWeight:
    """A candidate in soft EM: its share of the pair's importance weights, and how often q learns from it."""

    version: ClassVar[int] = 1
    candidate_id: str
    log_q: float
    """log q(z|c,x), nats, of the sampled token ids."""
    weight: float
    """Normalised over the pair's candidates; 0 for one that cannot be chosen."""
    copies: int


@dataclass(frozen=True, slots=True)
class Prompt:
    """A synthesised problem, or a completion that failed to be one (`dropped` says why)."""

    version: ClassVar[int] = 2
    id: str
    domain: str
    concepts: tuple[str, ...]
    level: str
    rationale: str
    problem: str
    completion: str
    dropped: str
    """Empty when kept, else stage and reason, such as `parse: no problem block`."""
    model: str
    temperature: float
    seed: int
    round: int = 1
    """The round of self-play that it was made for."""
    parents: tuple[str, ...] = ()
    """For each concept the id of the first seed that names it; empty for one that the recipe's own list brought."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A judge's scores of a prompt."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    judge: str
    model: str
    criteria: tuple[str, ...]
    scores: tuple[int, ...]
    """A score a criterion; none where the judge was not understood."""
    reason: str
    fault: str
    """Why the judge counts as silent; empty where it was understood."""


@dataclass(frozen=True, slots=True)
class LabelledTask:
    """A prompt's problem with the label that a vote or its source gave it, or the reason why it has none."""

    version: ClassVar[int] = 5
    id: str
    prompt_id: str
    domain: str
    task: Task
    agreement: float | None
    """Share of all votes that the winning answer got; 1 where a person vouches for it; None where nothing was voted on,
    such as a program's outputs without an input."""
    pass_rate: float | None
    """Share of completions that agree with the label, without the bias of an early stop; None where nobody knows: there
    is no label, or nothing was tried."""
    dropped: str
    label_correct: bool | None
    """Measured against an exact solver where the source has one; never used to train. None: not measurable."""
    tried: int = 0
    """Completions behind the pass rate: rollouts of the policy where it was measured by itself, else the votes."""
    pass_rate_low: float | None = None
    """Lower end of the pass rate's Wilson interval; None where nothing was tried, or an early stop cut it short."""
    pass_rate_high: float | None = None
    """Its upper end."""
    flag: str = ""
    """A later policy's finding: that it contradicts the label, and what became of it; empty where nothing."""

    @property
    def problem(self) -> str:
        """The text of the problem."""
        return self.task.problem

    @classmethod
    def unlabelled(cls, prompt: Prompt, task: Task) -> LabelledTask:
        """A prompt as a task without a label (`formats.new_task`); its id is the prompt's."""
        return cls(
            id=prompt.id,
            prompt_id=prompt.id,
            domain=prompt.domain,
            task=task,
            agreement=1.0,
            pass_rate=None,
            dropped="",
            label_correct=None,
        )

    @property
    def has_label(self) -> bool:
        """Whether there is an answer or tests; the task may be dropped for its difficulty."""
        return self.task.answer is not None or bool(self.task.tests)


@dataclass(frozen=True, slots=True)
class Vote:
    """A labeller's vote on a prompt's label."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    domain: str
    round: int
    """0 for the labels of the first round, else the round before which they were voted on."""
    labeller: str
    """Name in the recipe; empty for the policy where nobody is named."""
    index: int
    answer: str | None
    """The final answer, or the program; None where the completion has none."""
    weight: float


@dataclass(frozen=True, slots=True)
class UnitTest:
    """A test of a programming problem, and what became of it."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    kind: str
    """The kind that was asked for, or `seed` where the input is that of a seed problem."""
    input: str
    written: str
    """The output that its writer expected; empty where nobody did."""
    output: str
    """The output by consensus of the programs; empty where there is none."""
    agreement: float
    """Share of the votes whose programs print that."""
    outcome: str
    """`confirmed`, `mended` (the programs agree on something else than its writer), `given` (nobody had expected
    anything), or `dropped: ` and why."""


@dataclass(frozen=True, slots=True)
class WrittenChecker:
    """A checker that a model wrote for a problem whose programs print different outputs, and what became of it."""

    version: ClassVar[int] = 1
    id: str
    prompt_id: str
    attempt: int
    """0 for the first checker of a problem."""
    source: str
    """Empty where the answer held none."""
    outcome: str
    """`accepted`, or `refused: ` and why."""
    share: float
    """Share of the votes whose programs it takes on all inputs that became tests."""
    rejected: float
    """Share of the changed outputs that it refuses; 0 where it did not come to that."""


TOKENS = ("token_ids", "logprobs")
"""The fields of a rollout that most readers of a table leave out."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """A completion of a task with its verdict."""

    version: ClassVar[int] = 2
    id: str
    task_id: str
    domain: str
    round: int
    mode: str
    """How it was sampled, such as `T=1.0` or `greedy`."""
    index: int
    completion: str
    passed: bool | None
    reward: float | None
    status: str
    reason: str
    token_ids: tuple[int, ...] = ()
    """The sampled ids, without the end-of-sequence token; empty where an endpoint does not give them."""
    logprobs: tuple[float, ...] = ()
    """Log-probability of each of them under the model itself, at temperature 1, nats; empty where the engine has none
    (docs/explanation/engines.md)."""


@dataclass(frozen=True, slots=True)
class RoundPrompt:
    """A task that a round of self-play trains on, and where its prompt came from."""

    version: ClassVar[int] = 3
    id: str
    round: int
    """0 before one has drawn it."""
    task: LabelledTask
    source: str
    """`synthesised`, or `external`."""
    origin: str
    """Of an external prompt, the source that its row names; empty for others."""
    made_in: int
    """The round that the prompt was made for."""
    replayed: bool
    """Whether it is here because an earlier round trained on it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """A teacher's solution of a prompt, for SFT."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    domain: str
    prompt: str
    """The policy's prompt."""
    completion: str
    """`<think>…</think>` and an answer, whatever the teacher's format was."""
    source: str
    """`teacher`, or `files`."""
    origin: str
    """The model that wrote it, or where in a file it stands."""
    index: int
    tokens: int | None
    """Length of prompt and completion by the policy's tokenizer; None where it was not measured."""
    dropped: str
    """Why it is not trained on; empty where it is."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A right and a wrong completion of one prompt."""

    version: ClassVar[int] = 1
    id: str
    task_id: str
    prompt: str
    chosen: str
    rejected: str
    source: str


@dataclass(frozen=True, slots=True)
class PolicyTask:
    """A task that a policy learns from in a loop of its own."""

    version: ClassVar[int] = 2
    task_id: str
    domain: str
    prompt: str
    """The policy's prompt."""
    task: Task


@dataclass(frozen=True, slots=True)
class Example:
    """An example for maximum likelihood: a prompt, and the segments that follow it.

    Each part is tokenised on its own, as in scoring.
    """

    version: ClassVar[int] = 1
    prompt: str
    segments: tuple[str, ...]
