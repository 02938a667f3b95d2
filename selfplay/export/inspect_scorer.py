"""Our verifiers as scorers of inspect-ai (the extra `inspect`).

`from selfplay.export.inspect_scorer import verified` gives a scorer for a task; by its entry point it is also known
to inspect's command line, as `selfplay/verified`. A sample's target is the answer, and any of several targets is right;
tests and the other fields of a task stand in the sample's metadata, under the names that rows of tasks have.

    Task(dataset=[Sample(input="Half of 1?", target="1/2")], solver=generate(), scorer=verified("math"))
    Task(dataset=[Sample(input="Double.", metadata={"tests": [...]})], solver=generate(), scorer=verified("code"))
"""

from __future__ import annotations

from typing import Any

from anyio import to_thread
from inspect_ai.scorer import Score, Scorer, Target, accuracy, scorer, stderr
from inspect_ai.solver import TaskState

from selfplay.export.sample_tasks import beside_score, decisive, tasks_of
from verifiers import registry
from verifiers.model import Verdict


@scorer(metrics=[accuracy(), stderr()])
def verified(verifier: str = "math", **params: Any) -> Scorer:
    """Scores by a verifier; what it could not check is unscored, and so in no metric, rather than wrong.

    Args:
        verifier: a name that `selfplay verifiers list` shows, or `module:Name`.
        params: parameters of the verifier.

    Raises:
        UnknownVerifier: there is none of this name, or it does not take these parameters.
        UnusableSample: while it scores: a field in a sample's metadata is none of a task's values.
    """
    judging = registry.load(verifier, params)

    async def score(state: TaskState, target: Target) -> Score:
        tasks = tasks_of(state.metadata, list(target), state.input_text, programs=verifier == "code")
        items = [(task, state.output.completion) for task in tasks]
        # Verifiers wait for processes, and are safe from any thread.
        return _score_of(decisive(await to_thread.run_sync(judging.verify_many, items)))

    return score


def _score_of(verdict: Verdict) -> Score:
    """A verdict as a score: its reward, or none."""
    if verdict.reward is None:
        return Score.unscored(reason=verdict.status, **beside_score(verdict))
    return Score(value=verdict.reward, **beside_score(verdict))
