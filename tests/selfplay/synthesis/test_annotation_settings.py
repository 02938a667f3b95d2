"""Settings of annotation: what is refused, what is asked before a run, and what makes another recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from selfplay.config.load import RecipeError, load_recipe
from selfplay.engines.base import ModelRef
from selfplay.preflight.recipe import PreflightError, annotators, check_endpoints, check_models
from selfplay.run.files import RunError
from tests.selfplay.engines.openai_server import OpenAIServer, faults, scores_of
from tests.selfplay.synthesis.annotators import annotate, annotator, problem, recipe_file


def test_only_what_changes_results_is_another_recipe(server: OpenAIServer, tmp_path: Path, in_process: Any) -> None:
    recipe = recipe_file(tmp_path, {"t": annotator(server.url)}, [problem(0)])
    annotate(tmp_path / "run", recipe, in_process)
    engine = "cold_start.annotators.t.engine"
    harmless = [
        f"{engine}.endpoint.base_url=http://127.0.0.1:1/v1",
        f"{engine}.endpoint.concurrency=1",
        f"{engine}.prices.prompt=2",
        f"{engine}.budget.cost=5",
        "cold_start.annotation.budget.tokens=5",
    ]
    annotate(tmp_path / "run", load_recipe(recipe, harmless), in_process)
    for change, says in (
        (f"{engine}.model=small", r'engine\.model: "big" -> "small"'),
        ("cold_start.annotation.concepts=4", "concepts: 3 -> 4"),
    ):
        with pytest.raises(RunError, match=says):
            annotate(tmp_path / "run", load_recipe(recipe, [change]), in_process)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("cold_start.annotators.t.engine.endpoint.api_key_env=sk-live-123", "must be the name of an environment"),
        ("cold_start.annotators.t.engine.endpoint.base_url=http://me:secret@host/v1", "looks like a secret"),
        ("cold_start.annotators.t.engine.endpoint.base_url=host:80", "must be an address such as"),
        ("cold_start.annotators.t.engine.endpoint.timout_s=3", "did you mean `timeout_s`?"),
        ("cold_start.annotators.t.engine.knd=openai", "did you mean `kind`?"),
        ("cold_start.annotation.budget.cost=3", "no prices are set"),
        ("cold_start.annotators.t.engine.budget.cost=3", "no prices are set"),
        ("cold_start.annotation.fewest_concepts=4", "more than the 3 that are asked for"),
        ("domains.math.annotation.concepts=Name them.", "concepts lacks the field {problem}"),
        ("engine.kind=openai", "an endpoint cannot be given their weights"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(tmp_path: Path, override: str, says: str) -> None:
    recipe = recipe_file(tmp_path, {"t": annotator("http://127.0.0.1:1/v1")}, [problem(0)])
    with pytest.raises(RecipeError) as error:
        load_recipe(recipe, [override])
    assert says in str(error.value)
    assert "sk-live" not in str(error.value).partition(": ")[2]
    assert "me:secret" not in str(error.value).partition(": ")[2]


def test_a_scorer_needs_a_tokenizer(tmp_path: Path) -> None:
    scorer = {"scorer": annotator("http://127.0.0.1:1/v1")["engine"]}
    recipe = recipe_file(tmp_path, {"t": annotator("http://127.0.0.1:1/v1")}, [problem(0)], annotation=scorer)
    with pytest.raises(RecipeError, match=r"scorer\.tokenizer is missing"):
        load_recipe(recipe)


def test_endpoints_are_asked_before_the_run(
    server: OpenAIServer, tmp_path: Path, tiny_model: ModelRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checked(annotation: dict[str, Any] | None = None, **settings: Any) -> list[str]:
        settings = {"endpoint": {"attempts": 1}} | settings
        given = annotator(server.url, **settings)
        recipe = recipe_file(tmp_path, {"t": given}, [problem(0)], annotation=annotation or {})
        return [finding.detail for finding in check_endpoints(annotators(load_recipe(recipe)))]

    scorer = {"scorer": annotator(server.url, tokenizer=tiny_model.path)["engine"]}
    server.score = scores_of(tiny_model.path)
    assert checked(scorer) == [f"big at {server.url} answers", "scores by prompt_logprobs"]
    assert server.requests[0]["max_tokens"] == 16
    server.score_modes = ()
    with pytest.raises(PreflightError, match=r"annotation\.scorer: .* gives no log-probabilities of prompts"):
        checked(scorer)
    server.faults = faults("404")
    with pytest.raises(PreflightError, match=r"/chat/completions answered 404: .*fault 404"):
        checked()
    server.faults = faults("503")
    with pytest.raises(PreflightError, match=r"cold_start\.annotators\.t\.engine: http.*answered 503"):
        checked()
    monkeypatch.delenv("TEACHER_KEY", raising=False)
    with pytest.raises(PreflightError, match=r"annotators\.t\.engine: the environment variable TEACHER_KEY is not set"):
        checked(endpoint={"api_key_env": "TEACHER_KEY"})
    server.usage = False
    assert checked()
    with pytest.raises(PreflightError, match="does not say how many tokens an answer took"):
        checked({"budget": {"tokens": 5}})
    (tmp_path / "nowhere").mkdir()
    lost = {"scorer": annotator(server.url, tokenizer=str(tmp_path / "nowhere"))["engine"]}
    with pytest.raises(PreflightError, match=r"annotation\.scorer: .*nowhere.*tokenizer.json: cannot be read"):
        checked(lost)


def test_local_models_are_looked_up_before_the_run(tmp_path: Path, tiny_model: ModelRef) -> None:
    def checked(**engine: Any) -> list[str]:
        local = {"engine": {"kind": "local", "name": tiny_model.path} | engine}
        return [
            finding.name for finding in check_models(load_recipe(recipe_file(tmp_path, {"t": local}, [problem(0)])))
        ]

    assert checked(prompt_style="raw") == ["cold_start.annotators.t.engine"]
    with pytest.raises(PreflightError, match=r"annotators\.t\.engine\.prompt_style: .* has no chat template"):
        checked()
    with pytest.raises(PreflightError, match=r"annotators\.t\.engine\.name: .*cannot be loaded"):
        checked(name=str(tmp_path))
