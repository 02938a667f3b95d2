"""The main loop: every stage of the table, in order. Each is done once; a run that was cut off goes on from there.

seeds         problems to start from, with concepts, rationale, and answer or tests
annotation    annotators give them the concepts and rationales they lack (only where the recipe names annotators)
base          the model that everything starts from (trained here only when the recipe makes one from scratch)
cold_start    maximum likelihood of the prompt model p and the rationale model q on the seeds
em_N          E-step: q learns the best of K rationales; M-step: p learns from the rationales of the new q
synthesis     new prompts from p, on new combinations of concepts
curation      duplicates and contaminated prompts are set aside
labelling     the policy solves each prompt k times; the majority is the label
evaluation_0  held-out accuracy of the base
selfplay_N    a round of grpo, dpo or rft on the labelled prompts, or of SFT on a teacher's traces
evaluation_N  held-out accuracy of the policy after it

Later rounds may begin with stages of their own: feedback_N (p and q learn from what was learnable), synthesis_N and
curation_N (new prompts), labelling_N or relabelling_N (labels by the policy of the last round); and end with
selection_N (accuracy on development problems, by which the best round is named, and the run may end). Which stages a
recipe has, and what each depends on, is the table in `stages`; their work is in `work`. A recipe may have stages of its
own among them (`own`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfplay.pipeline.own import Callers
from selfplay.pipeline.stage_runner import StageRunner
from selfplay.pipeline.summary import summarise
from selfplay.run.plan import Kind
from selfplay.stage.context import Context
from selfplay.stage.spec import StageSpec


def run_pipeline(
    context: Context, table: Mapping[str, StageSpec], until: str | None = None, callers: Callers | None = None
) -> dict[str, Any]:
    """Runs every stage that is not done; returns the summary.

    Raises:
        Reached: the stage `until` is done.
        HookFailed: code of the recipe's own raised.
    """
    runner = StageRunner(context, table, until, callers)
    over: set[Kind] = set()
    for spec in table.values():
        if spec.kind in over or spec.follows in runner.passed:
            runner.pass_over(spec)
            continue
        result = runner.run_stage(spec)
        if spec.ends and getattr(result, "stopped", None):
            over |= spec.ends
    return summarise(context.run, runner.done, context.clock)
