"""The settings of the cold start, and of expectation-maximisation: the paper's loop, its alternatives, its guards."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from selfplay.config.annotation import AnnotationSettings, Annotator, check_budget
from selfplay.config.section import Name, SamplingSettings, Section, TrainerArguments

Share = Annotated[float, Field(ge=0, le=1)]


class ColdStart(Section):
    """Triples from annotators, and the warm start of the prompt model and the rationale model (paper section 2.2)."""

    annotators: dict[Name, Annotator] = {}
    """Models that give seed problems the concepts and the rationales they lack, by name; none expects whole seeds."""
    annotation: AnnotationSettings = AnnotationSettings()
    """How they are asked."""
    enabled: bool = True
    """False starts EM from the generator as it is: an ablation, for generators that write the blocks unasked."""
    prompt_model_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for p."""
    rationale_model_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for q."""

    @model_validator(mode="after")
    def _budget_can_be_reached(self) -> ColdStart:
        check_budget(self.annotation.budget, self.annotators)
        return self


class EMStop(Section):
    """When the loop ends before `rounds`."""

    min_gain: float = 0.0
    """Smallest fall of the held-out joint NLL a round, nats a problem, that counts as progress."""
    patience: Annotated[int, Field(ge=1)] = 1
    """Rounds without progress before the loop ends."""


class EMGuards(Section):
    """Dangers of EM, measured every round; one that passes its threshold ends the loop, and the best round stays."""

    min_length_ratio: Annotated[float, Field(ge=0)] | None = None
    """Collapse: least mean tokens of greedy rationales, as a share of the cold start's; none only measures."""
    min_distinct_ratio: Annotated[float, Field(ge=0)] | None = None
    """Collapse: least distinct 2-grams of greedy rationales, as a share of the cold start's; none only measures."""
    max_copy_rate: Share | None = None
    """Copying: greatest mean share of a problem's words in one run within its rationale; none only measures."""
    min_parse_rate: Share | None = None
    """Degenerate p: least share of its sampled completions that are well formed; none only measures."""
    max_repetition: Share | None = None
    """Degenerate p: greatest mean share of repeated 4-grams in its sampled completions; none only measures."""
    max_nll_rise: Annotated[float, Field(ge=0)] | None = None
    """Greatest rise of the joint NLL above its lowest so far, nats a problem; none only measures."""
    max_bound_rise: Annotated[float, Field(ge=0)] | None = None
    """Greatest rise of the importance-weighted bound above its lowest so far, nats a problem; none only measures."""

    @property
    def active(self) -> bool:
        """Whether any guard can end the loop."""
        return any(getattr(self, name) is not None for name in type(self).model_fields)


class EM(Section):
    """Expectation-maximisation (paper 2.3), and what it may be compared with (docs/explanation/method.md)."""

    rounds: Annotated[int, Field(ge=0, le=100)] = 3
    """Greatest number of rounds."""
    candidates: Annotated[int, Field(ge=1, le=1024)] = 8
    """K, rationales drawn from q for each observed pair."""
    rationales: bool = True
    """False is the ablation without z: p learns c -> x at once, and there is no q."""
    e_step: Literal["trained", "frozen", "annotated"] = "trained"
    """Controls: `frozen` keeps q as the cold start left it; `annotated` trains p on the seeds' own rationales."""
    assignment: Literal["hard", "soft"] = "hard"
    """`hard` fits q to the best of K (the paper); `soft` to all of them by weights p(z,x|c) / q(z|c,x)."""
    soft_copies: Annotated[int, Field(ge=0, le=1024)] = 0
    """Soft: rationales a pair that q is fitted to, resampled by weight; 0 takes as many as there are candidates."""
    reward: Literal["sum", "mean", "information_gain"] = "sum"
    """log p(x|z,c) + log p(z|c) summed (the paper), or each a token; or log p(x|z,c) - log p(x|c)."""
    rationale_weight: Annotated[float, Field(ge=0, le=10)] = 1.0
    """Weight of log p(z|c) in the rewards `sum` and `mean`."""
    min_rationale_tokens: Annotated[int, Field(ge=0)] = 0
    """Candidates with fewer tokens, markers counted, are never chosen."""
    min_reward: float | None = None
    """A pair whose best candidate has less reward is left out of the round's E-step; none keeps all."""
    m_step_rationales: Literal["greedy", "sampled"] = "greedy"
    """Rationales of the updated q that p learns from: greedy (the paper), or drawn as the candidates are."""
    pairs: Annotated[int, Field(ge=0)] = 0
    """Observed pairs (c, x) of each domain used in a round; 0 takes all training seeds."""
    sampling: SamplingSettings = SamplingSettings(temperature=1.0)
    """How the candidates are drawn."""
    heldout_pairs: Annotated[int, Field(ge=1)] = 64
    """Held-out pairs of each domain on which the round is measured."""
    bound_samples: Annotated[int, Field(ge=1)] = 32
    """Rationales a held-out pair for the importance-weighted bound."""
    e_step_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for the update of q."""
    m_step_args: TrainerArguments = {}
    """Arguments of TRL's SFTConfig for the update of p."""
    stop: EMStop | None = None
    """Early stop; none runs all rounds."""
    guards: EMGuards = EMGuards()
    """Dangers that end the loop."""

    @property
    def decides(self) -> bool:
        """Whether measures of a round can end the loop, which makes them a choice and no report."""
        return self.stop is not None or self.guards.active

    @model_validator(mode="after")
    def _combinations(self) -> EM:
        if self.reward == "information_gain" and self.rationale_weight != 1.0:
            raise ValueError("reward information_gain has no log p(z|c): leave rationale_weight out, or take `sum`")
        if self.assignment == "soft" and self.reward != "sum":
            raise ValueError(
                f"assignment soft weighs by p(z,x|c) / q(z|c,x), which reward {self.reward} is not: take `sum`, or "
                "assignment hard"
            )
        drawn = self.sampling
        whole = (drawn.temperature, drawn.top_p, drawn.top_k, drawn.min_p) == (1.0, 1.0, 0, 0.0)
        if self.assignment == "soft" and not whole:
            raise ValueError(
                "assignment soft divides by q(z|c,x), so candidates must come from q itself: "
                "set sampling.temperature and sampling.top_p to 1, and leave out top_k and min_p"
            )
        return self
