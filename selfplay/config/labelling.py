"""The recipe's settings of labels and difficulty. Importing it loads no heavy library."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfplay.config.annotation import LocalEngine, OpenAIEngine
from selfplay.config.programs import POLICY, CheckerWriter, LabelEngine, PolicyEngine, TestWriter
from selfplay.config.section import Name, SamplingSettings, Section

Share = Annotated[float, Field(ge=0, le=1)]
LabelFilter = Literal["truncated", "proof", "empty_answer", "trivial_answer", "foreign_script"]
DropRule = Literal["always_solved", "at_least_half_solved", "above_half_solved", "never_solved"]
HALF_RULES: tuple[DropRule, ...] = ("at_least_half_solved", "above_half_solved")
"""Those that presume a labeller stronger than the policy."""


class Labeller(Section):
    """A model whose completions vote on labels."""

    engine: LabelEngine = POLICY
    """The model that answers."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How its completions are drawn."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 8
    """k, its completions a prompt."""
    weight: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Weight of each of its votes, relative to the votes of the others."""


class Verification(Section):
    """Answers are looked at once more: a model says of a solution whether it is right, and its class gains or loses."""

    templates = {"template": ("problem", "solution")}

    engine: LabelEngine = POLICY
    """The model that is asked; it must be able to follow an instruction."""
    sampling: SamplingSettings = SamplingSettings(temperature=0.7, max_new_tokens=1024)
    """How its opinions are drawn."""
    samples: Annotated[int, Field(ge=1, le=64)] = 2
    """Opinions on each class of equal answers."""
    classes: Annotated[int, Field(ge=1, le=16)] = 3
    """Classes of a prompt that are looked at, the largest first; the others count as if nobody believed in them."""
    template: str = (
        "Here is a problem, and a proposed solution of it.\n\n<problem>\n{problem}\n</problem>\n\n"
        "<solution>\n{solution}\n</solution>\n\n"
        "Check every step of the solution. End with one word on a line of its own: RIGHT if its final answer is the "
        "right one, WRONG if it is not."
    )
    """Its prompt; fields: problem, solution."""


class Band(Section):
    """Pass rates that are worth learning from, both ends included."""

    low: Share = 0.0
    """Least pass rate."""
    high: Share = 1.0
    """Greatest pass rate."""

    @model_validator(mode="after")
    def _not_empty(self) -> Band:
        if self.low > self.high:
            raise ValueError(f"low, {self.low:g}, is above high, {self.high:g}")
        return self


class Difficulty(Section):
    """The policy's pass rate against the label, by rollouts of its own."""

    rollouts: Annotated[int, Field(ge=1, le=1024)] = 8
    """k, most rollouts a prompt."""
    wave: Annotated[int, Field(ge=1, le=1024)] = 2
    """Rollouts of a prompt that are drawn before it is looked at again."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How they are drawn."""
    stop: Literal["never", "certain", "likely"] = "certain"
    """When fewer than k do: `certain`, once no further rollout can change the decision; `likely`, once the interval
    lies on one side of every bound."""
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    """Level of the Wilson interval, for `likely` and for the table."""


class Relabelling(Section):
    """Labels that are looked at again before each round after the first, by the policy that the last round made."""

    votes: Literal["contradicted", "all"] = "contradicted"
    """Whose label is voted on again, with the votes of all rounds: that which the new policy contradicts, or every."""
    samples: Annotated[int, Field(ge=1, le=1024)] = 8
    """k, completions of the new policy a prompt; they are votes, and measure the difficulty too."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How they are drawn."""
    contradiction: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Least share of its completions that must agree on one thing else, and outnumber the label's, to contradict it."""
    decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Weight of a vote that is one round older; 1 counts all alike."""
    revive: bool = True
    """Whether prompts that had no label, or were too easy or too hard, get another chance."""


class Labelling(Section):
    """Answers and tests without a teacher (paper section 4.1)."""

    samples: Annotated[int, Field(ge=2, le=1024)] = 8
    """k, completions of the policy a prompt, where `labellers` names nobody."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How they are drawn."""
    labellers: dict[Name, Labeller] = {}
    """Models that vote in place of the policy alone, by name; `engine: {kind: policy}` is the policy."""
    min_agreement: Share = 0.5
    """Smallest share of all votes that the winner needs."""
    ties: Literal["drop", "first"] = "drop"
    """Whether two answers that tie leave the prompt without a label."""
    votes: Literal["equal", "likelihood"] = "equal"
    """`likelihood` weighs a vote by the mean log-probability of its completion's tokens; not for endpoints."""
    sharpness: Annotated[float, Field(gt=0, le=1000)] = 30.0
    """For `likelihood`: a vote weighs exp(sharpness x mean log-probability of a token), in nats."""
    verification: Verification | None = None
    """A second look at the answers; none trusts the votes."""
    filters: tuple[LabelFilter, ...] = ()
    """Prompts that go: `truncated` or `proof` statements; answers that are empty, trivial (0, 1, no …) or foreign."""
    scripts: Annotated[tuple[str, ...], Field(min_length=1)] = ("Latin", "Greek")
    """For `foreign_script`: Unicode scripts that an answer's letters may be of."""
    inputs: Literal["seeds", "generated"] = "seeds"
    """Code: tests take their inputs from the seeds of the domain, or a model writes them."""
    test_writer: TestWriter = TestWriter()
    """Code: who writes them, and how."""
    tests: Annotated[int, Field(ge=1, le=64)] = 4
    """Code: inputs of the seeds a problem."""
    checkers: CheckerWriter | None = None
    """Code: who writes checkers for problems with many right outputs, and how; none leaves them without a label."""
    min_tests: Annotated[int, Field(ge=1, le=64)] = 2
    """Code: a problem with fewer confirmed tests is dropped."""
    drop: tuple[DropRule, ...] = ("always_solved",)
    """Difficulty filters by the pass rate: the share of votes that agree with the label, or what `difficulty` finds."""
    band: Band | None = None
    """A further filter: pass rates to keep."""
    difficulty: Difficulty | None = None
    """Rollouts of the policy that measure the pass rate; none takes the votes for them."""
    relabelling: Relabelling | None = None
    """Labels and difficulty by the policy of each round; none keeps those of the start."""

    @property
    def voters(self) -> dict[str, Labeller]:
        """Who votes, by name; the policy under the empty name where nobody is named."""
        return self.labellers or {"": Labeller(sampling=self.sampling, samples=self.samples)}

    @property
    def engines(self) -> dict[str, tuple[LocalEngine | OpenAIEngine, SamplingSettings]]:
        """The engines that are asked besides the policy, and how, by the field that names them."""
        asked: dict[str, Labeller | Verification | TestWriter | CheckerWriter] = {
            f"labelling.labellers.{name}": labeller for name, labeller in self.labellers.items()
        }
        if self.verification is not None:
            asked["labelling.verification"] = self.verification
        if self.inputs == "generated":
            asked["labelling.test_writer"] = self.test_writer
        if self.checkers is not None:
            asked["labelling.checkers"] = self.checkers
        return {
            field: (one.engine, one.sampling)
            for field, one in asked.items()
            if not isinstance(one.engine, PolicyEngine)
        }

    @property
    def self_labelled(self) -> bool:
        """Whether the policy alone votes."""
        return all(isinstance(labeller.engine, PolicyEngine) for labeller in self.voters.values())

    @model_validator(mode="after")
    def _can_be_met(self) -> Labelling:
        if sum(labeller.samples for labeller in self.voters.values()) < 2:
            raise ValueError("one vote agrees with itself; name more labellers, or give them more samples")
        most = len(self.test_writer.kinds) * self.test_writer.each if self.inputs == "generated" else self.tests
        if self.min_tests > most:
            raise ValueError(f"min_tests is {self.min_tests}, but there will be only {most} tests a problem")
        if self.votes == "likelihood":
            _demand_likelihoods(self.labellers)
        return self

    @property
    def votes_count_alike(self) -> bool:
        """Whether a label's agreement is the plain share of the votes, which the pass rate is, too."""
        weights = {labeller.weight for labeller in self.voters.values()}
        return self.votes == "equal" and self.verification is None and len(weights) == 1

    @model_validator(mode="after")
    def _leaves_something(self) -> Labelling:
        if not self.votes_count_alike:
            return self
        half = sorted(set(HALF_RULES) & set(self.drop))
        high = self.band.high if self.band else 1.0
        if self.self_labelled and self.min_agreement >= 0.5 and half:
            raise ValueError(
                f"drop {half} with min_agreement {self.min_agreement:g} leaves no prompt: the policy labels its own "
                "prompts, so one it agrees on is one it solves at least half the time; drop always_solved, set a band, "
                "lower min_agreement, or name stronger labellers"
            )
        if self.difficulty is None and half and self.min_agreement >= 0.5:
            raise ValueError(
                f"drop {half} with min_agreement {self.min_agreement:g} leaves no prompt: the pass rate is that of the "
                "votes themselves; set difficulty, so that the policy's own pass rate is measured"
            )
        if (self.self_labelled or self.difficulty is None) and high < self.min_agreement:
            raise ValueError(
                f"band.high, {high:g}, is below min_agreement, {self.min_agreement:g}, and both look at how often the "
                "same model gives the label: no prompt is left; raise band.high or lower min_agreement"
            )
        return self


def _demand_likelihoods(labellers: dict[str, Labeller]) -> None:
    for name, labeller in labellers.items():
        if isinstance(labeller.engine, OpenAIEngine):
            raise ValueError(
                f"votes: likelihood needs log-probabilities of completions, which labellers.{name} does not give: only "
                "models on this machine do; set votes: equal"
            )
