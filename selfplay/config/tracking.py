"""Who is told of a run: where its metrics go, what raises an alarm, and code of one's own that it calls.

Nothing here changes what the stages of ours produce.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import Field, model_validator

from selfplay.config.section import Name, Section

AlarmName = Literal[
    "diverged",
    "reward_hacking",
    "one_answer",
    "length_explosion",
    "entropy_collapse",
    "groups_alike",
    "verifier_errors",
    "falling_agreement",
]
Share = Annotated[float, Field(ge=0, le=1)]
WandbName = Annotated[str, Field(pattern=r"^[^/\\#?%:\s][^/\\#?%:\n]{0,127}$")]
"""The name of a project or an entity in W&B: part of an address, so without slashes."""


class WandbSettings(Section):
    """Weights & Biases."""

    mode: Literal["online", "offline", "disabled"] = "offline"
    """`offline` keeps the run on disk; `online` uploads it as it goes on; `disabled` writes nothing."""
    project: WandbName = "promptcot"
    """Project name."""
    entity: WandbName | None = None
    """User or team."""
    group: str | None = None
    """Group of runs that belong together, such as seeds of one experiment."""
    tags: tuple[str, ...] = ()
    """Tags by which the run is found."""
    system: bool = True
    """Logs how busy processors, memory and GPUs are, the commit of the working folder, and versions of packages."""
    artifacts: Literal["none", "tables", "models"] = "tables"
    """Artifacts that are kept: none, tables and the fingerprints of models, or tables and whole models."""


class Alarms(Section):
    """When a run is said to go wrong. Trends compare the median of the last `window` steps with that of the first."""

    stop: tuple[AlarmName, ...] = ()
    """Alarms that stop the run; take one out and run the same command to go on."""
    off: tuple[AlarmName, ...] = ()
    """Alarms that are not raised."""
    window: Annotated[int, Field(ge=1)] = 10
    """Training steps that a median is taken over; nothing is said before there are twice as many."""
    heldout_drop: Share = 0.03
    """reward_hacking: a fall of held-out accuracy, as a share, in a round whose reward rose."""
    answer_share: Share = 0.5
    """one_answer: share of a domain's labels that are one and the same answer, or of its rollouts that give one and the
    same wrong one."""
    length_factor: Annotated[float, Field(gt=1)] = 2.0
    """length_explosion: how many times longer completions became."""
    entropy_share: Share = 0.1
    """entropy_collapse: the share of its first entropy that is left to the policy."""
    alike_share: Share = 0.8
    """groups_alike: share of GRPO's groups whose completions all have one reward, over the last `window` steps."""
    error_rate: Share = 0.02
    """verifier_errors: share of completions on which no verdict was reached, which have no reward: by a verifier's own
    fault, or since a policy learned to write what can't be judged."""
    agreement_drop: Share = 0.1
    """falling_agreement: a fall of the votes' mean agreement, as a share, against the first labelling."""


class Tracking(Section):
    """Where metrics go; local JSON lines are always written."""

    wandb: WandbSettings = WandbSettings()
    """Weights & Biases settings."""
    tensorboard: bool = False
    """Also writes event files below RUN/tensorboard; needs the extra `promptcot[tensorboard]`."""
    trackio: Name | None = None
    """Project of trackio that gets a copy, in RUN/trackio or where TRACKIO_DIR says; needs `promptcot[trackio]`."""
    rollouts_every: Annotated[int, Field(ge=0)] = 25
    """Steps of self-play by GRPO after which a table of its newest rollouts is logged, with prompt, gold answer,
    verdict, reason and reward; 0 logs one when the round has ended, as all stages with rollouts do."""
    alarms: Alarms = Alarms()
    """Alarms of which a person is warned."""


Code = Annotated[str, Field(pattern=r"^[A-Za-z_][\w.-]*(:[A-Za-z_][\w.]*)?$")]
"""The name of an entry point, or `module:Name`."""
OwnName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
After = Literal[
    "seeds",
    "annotation",
    "base",
    "cold_start",
    "em",
    "synthesis",
    "curation",
    "labelling",
    "relabelling",
    "feedback",
    "teacher",
    "selfplay",
    "evaluation",
]
TAKEN = frozenset({*get_args(After), "selection", "own"})
"""Names that stages of ours have."""


class OwnStage(Section):
    """A stage of one's own: a function that reads what stages before it made, and leaves tables and figures."""

    run: Code
    """The function, as `module:name`, or an entry point of the group `selfplay.stages`."""
    after: After
    """The kind of stage that it follows, each time that there is one: its name is NAME_ROUND."""
    settings: dict[str, Any] = {}
    """Settings that it is given; another value makes it again."""


class Hooks(Section):
    """Code of one's own that a run calls."""

    callbacks: tuple[Code, ...] = ()
    """Classes that hear of stages and rounds, as `module:Name`, or entry points of the group `selfplay.callbacks`."""
    stages: dict[OwnName, OwnStage] = {}
    """Stages of one's own by name."""

    @model_validator(mode="after")
    def _names_are_free(self) -> Hooks:
        if taken := sorted(TAKEN & self.stages.keys()):
            raise ValueError(f"stages: {taken[0]} is the name of a stage of ours; choose another")
        return self
