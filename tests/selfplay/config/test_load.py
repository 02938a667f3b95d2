"""A recipe that cannot be used ends in one sentence with file, line, field and remedy."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from selfplay.config.load import RecipeError, deciding, differences, load_recipe, recipe_of, with_line
from selfplay.config.recipe import Recipe
from selfplay.config.values.places import flat

MINIMAL = """\
name: small
model: {kind: scratch}
domains:
  math:
    seeds: {kind: quickstart, grammar: math}
"""
CONFIGS = sorted((Path(__file__).resolve().parents[3] / "configs").glob("*.yaml"))


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(MINIMAL)
    return path


def refused(path: Path, *overrides: str) -> str:
    with pytest.raises(RecipeError) as error:
        load_recipe(path, overrides)
    return str(error.value)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_recipes_load(path: Path) -> None:
    assert load_recipe(path).name


def test_defaults_fill_in(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path)
    assert (recipe.em.candidates, recipe.training.algorithm) == (8, "grpo")


def test_overrides_are_typed_by_yaml(recipe_path: Path) -> None:
    recipe = load_recipe(recipe_path, ["em.rounds=1", "labelling.drop=[always_solved]", "training.grpo.args.beta=0.04"])
    assert recipe.em.rounds == 1
    assert recipe.training.grpo.args == {"beta": 0.04}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("em: {rouns: 3}", "line 6: `em.rouns` is not a setting; did you mean `rounds`?"),
        (
            "training: {pool: {external: {math: {kind: file, path: p.csv, fields: {prblem: question}}}}}",
            "line 6: `training.pool.external.math.fields.prblem` is not a setting; did you mean `problem`?",
        ),
        ("training: {rounds: many}", 'line 6: `training.rounds` is "many"'),
        ("labelling: {drop: [at_least_half_solved]}", "leaves no prompt"),
        ("evaluation: {problems: 5000}", "makes only 400"),
        ("engine: {kind: warp}", "`engine.kind`"),
        ("seed: -1", "`seed` is -1"),
    ],
)
def test_a_bad_setting_is_named_with_its_line(recipe_path: Path, line: str, says: str) -> None:
    recipe_path.write_text(MINIMAL + line + "\n")
    assert says in refused(recipe_path)


def test_a_nested_setting_is_named(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL.replace("grammar: math", "grammar: math, heldouts: 3"))
    message = refused(recipe_path)
    assert "line 5: `domains.math.seeds.heldouts` is not a setting; did you mean `heldout`?" in message


def test_a_slip_on_the_command_line_is_told_of_there(recipe_path: Path) -> None:
    for given, says in (
        ("training.grp.args.max_steps=3", "`training.grp` is not a setting; did you mean `grpo`?"),
        ("model.name=../qwen", "`model.name` is a setting of another kind; set `model.kind`, too, to one of"),
    ):
        with pytest.raises(RecipeError) as error:
            load_recipe(recipe_path, [given])
        assert f"command line, '{given}': {says}" in str(error.value)


def test_a_section_of_the_command_line_may_be_given_again(recipe_path: Path) -> None:
    given = ["training.grpo.args.max_steps=3", "training.grpo={}"]
    assert load_recipe(recipe_path, given).training.grpo.args == {"max_steps": 3}


def test_the_nearest_shipped_recipe_is_named(tmp_path: Path) -> None:
    for given in ("quickstrat", str(tmp_path / "quickstrat.yaml")):
        with pytest.raises(RecipeError, match=r"No such file .*; did you mean `quickstart`\? give a recipe's path"):
            load_recipe(given)
    with pytest.raises(RecipeError, match="; give a recipe's path, or a name that"):
        load_recipe("zzz")


def test_a_missing_setting_is_named(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL.replace("name: small\n", ""))
    assert "`name` is missing" in refused(recipe_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6),
        ("1E3", 1000.0),
        ("[1, 2.5]", [1, 2.5]),
        ("{b: {c: yes}}", {"b": {"c": True}}),
        ("", None),
        ("a=b", "a=b"),
        ("2024-05-01", "2024-05-01"),
        ("${home}", "${home}"),
        ("'7'", "7"),
        ("0x1F", 31),
    ],
)
def test_an_override_is_yaml(recipe_path: Path, text: str, value: Any) -> None:
    changed = load_recipe(recipe_path, ["training.grpo.args.a.b=old", f"training.grpo.args.x={text}"])
    assert changed.training.grpo.args == {"a": {"b": "old"}, "x": value}


def test_a_later_override_adds_to_an_earlier_one(recipe_path: Path) -> None:
    changed = load_recipe(recipe_path, ["training.grpo.args={a: {b: 1}}", "training.grpo.args.a.c=2"])
    assert changed.training.grpo.args == {"a": {"b": 1, "c": 2}}


def test_a_setting_that_stands_twice_is_refused(recipe_path: Path) -> None:
    assert "found duplicate key b" in refused(recipe_path, "training.grpo.args={b: 1, b: 2}")
    recipe_path.write_text(recipe_path.read_text() + "em: {rounds: 1}\nem: {rounds: 2}\n")
    assert "is not valid YAML: found duplicate key em" in refused(recipe_path)


def test_a_bad_override_is_named(recipe_path: Path) -> None:
    assert "'em.rounds=[1': cannot be read as an override" in refused(recipe_path, "em.rounds=[1")
    assert "written `a.b.c=value`" in refused(recipe_path, "em.rounds")
    assert "command line, 'em.rounds=x'" in refused(recipe_path, "em.rounds=x")


@pytest.mark.parametrize(
    "override", ["tracking.wandb.project=../../etc/x", "tracking.wandb.entity='a b/c'", "curation.language=English"]
)
def test_names_have_the_form_of_what_they_name(recipe_path: Path, override: str) -> None:
    assert f"`{override.partition('=')[0]}` is " in refused(recipe_path, override)
    assert load_recipe(recipe_path, ["tracking.wandb.project='my project'", "curation.language=en"]).curation.language


def test_a_template_without_its_field_is_refused(recipe_path: Path) -> None:
    assert "lacks the field {problem}" in refused(recipe_path, "domains.math.solver_template=Solve it")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "a: [", "name: x\nextends: nowhere.yaml\n"])
def test_files_that_are_no_recipes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert str(tmp_path) in refused(path)


def test_a_missing_file(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path / "none.yaml")


def test_extends_merges_deeply_and_replaces_other_kinds(recipe_path: Path) -> None:
    child = recipe_path.with_name("child.yaml")
    child.write_text("extends: small.yaml\nname: child\nmodel: {kind: pretrained, name: some/model}\nem: {rounds: 1}\n")
    recipe = load_recipe(child)
    assert recipe.name == "child"
    assert recipe.model.kind == "pretrained"
    assert recipe.domains["math"].verifier == "math"


def test_a_domain_set_to_null_is_left_out(recipe_path: Path) -> None:
    two = recipe_path.read_text() + "  other:\n    seeds: {kind: quickstart, grammar: code}\n"
    recipe_path.write_text(two)
    assert list(load_recipe(recipe_path).domains) == ["math", "other"]
    assert list(load_recipe(recipe_path, ["domains.math=null"]).domains) == ["other"]
    assert "domains" in refused(recipe_path, "domains.math=null", "domains.other=null")


def test_benchmarks_and_labellers_set_to_null_are_left_out() -> None:
    """Such as those of a shipped recipe, without a network or for want of room."""
    recipe = load_recipe("qwen3-4b", ["curation.benchmarks.math500=null", "labelling.labellers.larger=null"])
    assert list(recipe.curation.benchmarks) == ["aime24", "aime25", "hmmt25"]
    assert list(recipe.labelling.labellers) == ["policy"]
    with pytest.raises(RecipeError, match=r"command line, .*labelling.samples"):
        load_recipe("qwen3-4b", ["labelling.samples=null"])


@pytest.mark.parametrize("name", ["score", "rollouts"])
def test_a_domain_is_not_called_as_other_figures_are(recipe_path: Path, name: str) -> None:
    """The accuracy of a domain `score` stood in place of the mean over domains, by which the best round is chosen."""
    with pytest.raises(RecipeError, match=f"domains.{name}: figures of a run are called {name}"):
        load_recipe(recipe_path, [f"domains.{name}={{seeds: {{kind: quickstart, grammar: math}}}}"])


def test_a_temperature_that_stands_twice_is_refused(recipe_path: Path) -> None:
    """Its completions were drawn by the same seed: pass@4 was shown as pass@8, of four distinct completions."""
    assert "names one twice" in refused(recipe_path, "evaluation.temperatures=[1.0, 0.6, 1]")


def test_a_circle_of_extends_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("extends: b.yaml\n")
    (tmp_path / "b.yaml").write_text("extends: a.yaml\n")
    assert "extends itself" in refused(tmp_path / "a.yaml")


def test_a_seed_file_must_exist(recipe_path: Path) -> None:
    recipe_path.write_text(
        MINIMAL.replace("{kind: quickstart, grammar: math}", "{kind: file, train: t.jsonl, heldout: h.jsonl}")
    )
    assert "there is no file" in refused(recipe_path)


def test_what_changes_no_result_is_left_out(recipe_path: Path) -> None:
    def decides(*overrides: str) -> dict[str, Any]:
        return deciding(load_recipe(recipe_path, list(overrides)).model_dump(mode="json"))

    assert decides() == decides("tracking.wandb.mode=disabled", "compute.workers=1")
    assert decides() != decides("seed=1")


def test_a_module_beside_the_recipe_comes_before_one_where_the_user_works(
    recipe_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder in (elsewhere, recipe_path.parent):
        (folder / "my_own_rule.py").touch()
        (folder / "json.py").touch()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr(sys, "path", [*sys.path, str(elsewhere)])
    load_recipe(recipe_path)
    found = PathFinder.find_spec("my_own_rule")
    assert found is not None
    assert found.origin == str(recipe_path.parent / "my_own_rule.py")
    package = PathFinder.find_spec("json")
    assert package is not None
    assert str(tmp_path) not in str(package.origin), "neither hides a package"


def test_differences_are_listed_by_setting() -> None:
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 4}) == ["a.c: 2 -> 3", "d: null -> 4"]


def test_exponents_are_numbers(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL + "training: {grpo: {args: {learning_rate: 1e-6, beta: 2.5e-2, run_name: 1e}}}\n")
    assert load_recipe(recipe_path).training.grpo.args == {"learning_rate": 1e-6, "beta": 0.025, "run_name": "1e"}


def test_a_stop_rule_needs_development_problems(recipe_path: Path) -> None:
    assert "domains.math.seeds.dev has none" in refused(recipe_path, "em.stop.patience=2")


def test_code_from_files_needs_one_input_format(recipe_path: Path) -> None:
    for name in ("t", "h"):
        recipe_path.with_name(f"{name}.jsonl").write_text("")
    recipe_path.write_text(
        MINIMAL.replace("{kind: quickstart, grammar: math}", "{kind: file, train: t.jsonl, heldout: h.jsonl}")
        + "    verifier: code\n"
    )
    assert "domains.math.shared_input_format" in refused(recipe_path)
    assert load_recipe(recipe_path, ["domains.math.shared_input_format=true"]).domains["math"].shared_input_format


def test_paths_are_relative_to_the_file_that_says_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe_path: Path
) -> None:
    """Of data and of models, in a recipe, in the one that it extends, and on the command line."""
    base, elsewhere = tmp_path / "base", tmp_path / "elsewhere"
    for folder in (base, elsewhere):
        (folder / "model").mkdir(parents=True)
        (folder / "t.csv").write_text("")
    (base / "base.yaml").write_text(
        MINIMAL.replace(
            "kind: quickstart, grammar: math", "kind: file, train: t.csv, heldout: {kind: file, path: t.csv}"
        ).replace("{kind: scratch}", "{kind: pretrained, name: ./model}")
    )
    recipe_path.write_text("extends: base/base.yaml\ngenerator: {kind: pretrained, name: elsewhere/model}\n")
    recipe = load_recipe(recipe_path)
    assert recipe.model.model_dump()["name"] == str(base / "model")
    assert recipe.generator is not None
    assert recipe.generator.name == str(elsewhere / "model")
    seeds = recipe.domains["math"].seeds.model_dump()
    assert (seeds["train"]["path"], seeds["heldout"]["path"]) == (str(base / "t.csv"),) * 2
    monkeypatch.chdir(elsewhere)
    changed = load_recipe(recipe_path, ["model.name=model", "domains.math.seeds.heldout=t.csv"])
    assert changed.model.model_dump()["name"] == str(elsewhere / "model")
    seeds = changed.domains["math"].seeds.model_dump()
    assert (seeds["train"]["path"], seeds["heldout"]["path"]) == (str(base / "t.csv"), str(elsewhere / "t.csv"))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("./qwen", "there is no folder {here}/qwen, and './qwen' is not looked for on the hub"),
        ("../qwen/x", "is not looked for on the hub"),
        ("/nowhere/qwen", "there is no folder /nowhere/qwen"),
        ("models/qwen", "there is no folder {here}/models/qwen"),
        ("a/b/c", "is not looked for on the hub"),
        ("qwen/", "is not looked for on the hub"),
        ("small.yaml", "small.yaml is a file's name"),
    ],
)
def test_a_mistyped_folder_is_never_looked_for_on_the_hub(recipe_path: Path, name: str, says: str) -> None:
    (recipe_path.parent / "models").mkdir()
    recipe_path.write_text(MINIMAL.replace("{kind: scratch}", f"{{kind: pretrained, name: {name}}}"))
    message = refused(recipe_path)
    assert message.startswith(f"{recipe_path}, line 2: model.name: ")
    assert says.format(here=recipe_path.parent) in message


@pytest.mark.parametrize("name", ["Qwen/Qwen3-4B", "gpt2", "me/my_model.v2"])
def test_a_hub_name_stays(recipe_path: Path, name: str) -> None:
    recipe_path.write_text(MINIMAL.replace("{kind: scratch}", f"{{kind: pretrained, name: {name}}}"))
    assert load_recipe(recipe_path).model.model_dump()["name"] == name


def test_a_file_is_no_data_set(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL.replace("{kind: quickstart, grammar: math}", "{kind: dataset, name: problems.csv}"))
    assert "line 5: domains.math.seeds.name: problems.csv is a file's name" in refused(recipe_path)


def test_every_reference_to_a_file_has_its_line(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL + "training: {pool: {arm: external, external: {math: lost.csv}}}\n")
    assert "line 6: training.pool.external.math.path: there is no file" in refused(recipe_path)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (
            "kind: quickstart, ",
            "",
            "line 5: `domains.math.seeds` lacks `kind`; add one of quickstart, reasoning_gym, file",
        ),
        ("{kind: scratch}", "{name: x}", "line 2: `model` lacks `kind`; add one of pretrained, scratch"),
        ("kind: quickstart", "kind: quikstart", "`domains.math.seeds.kind` is 'quikstart'; did you mean `quickstart`?"),
        ("model:", "\tmodel:", "found a tab where only blanks may indent, line 2, column 1"),
        ("name: small\n", "name: small\nname: other\n", "found duplicate key name, line 2, column 1"),
    ],
)
def test_common_slips_are_named(recipe_path: Path, old: str, new: str, says: str) -> None:
    recipe_path.write_text(MINIMAL.replace(old, new))
    message = refused(recipe_path)
    assert message.startswith(str(recipe_path))
    assert says in message


def test_what_is_found_out_later_has_its_line_too(recipe_path: Path) -> None:
    recipe_path.write_text(MINIMAL + "training:\n  grpo:\n    args: {learning_rte: 1}\n")
    load_recipe(recipe_path)
    assert with_line("training.grpo.args.learning_rte: no such thing").startswith(f"{recipe_path}, line 8: training.")
    assert with_line("domains.math.verifier: none").startswith(f"{recipe_path}, line 4: ")
    assert with_line("a sentence: about no setting") == "a sentence: about no setting"
    load_recipe(recipe_path, ["training.grpo.args.beta=x"])
    assert with_line("training.grpo.args.beta: bad").startswith("command line, 'training.grpo.args.beta=x': ")


def _sections(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    waiting = [model]
    while waiting:
        for field in waiting.pop().model_fields.values():
            inner = {one for one in flat(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)}
            waiting += inner - found
            found |= inner
    return found


def test_every_field_has_a_description() -> None:
    """The schema, and what is made of it, says what each setting is."""
    silent = [
        f"{section.__name__}.{name}"
        for section in _sections(Recipe)
        for name, field in section.model_fields.items()
        if not field.description and name != "kind"
    ]
    assert silent == []


def test_the_schema_takes_what_the_reader_takes() -> None:
    schema = Recipe.model_json_schema()
    rows = schema["$defs"]["FileSeeds"]["properties"]["train"]
    assert {"type": "string"}.items() <= rows["anyOf"][0].items()
    assert set(schema["properties"]) == set(Recipe.model_fields)


def test_wording_may_stand_in_files(tmp_path: Path) -> None:
    """Relative to the recipe that says so, braces and all; what cannot be read is refused in its line."""
    (tmp_path / "wording").mkdir()
    (tmp_path / "wording" / "p.txt").write_text("Concepts:\n{concepts}\nLevel {level}, {as it is}\n")
    (tmp_path / "base.yaml").write_text(
        "name: w\nmodel: {kind: scratch}\ndomains:\n  math:\n    seeds: {kind: quickstart, grammar: math}\n"
        "    prompt_template: {file: wording/p.txt}\n"
    )
    (tmp_path / "below").mkdir()
    own = tmp_path / "below" / "own.yaml"
    own.write_text("extends: ../base.yaml\n")
    assert load_recipe(own).domains["math"].prompt_template.endswith("Level {level}, {as it is}\n")
    said = load_recipe(own, ["domains.math.prompt_template='{concepts} {level}'"]).domains["math"]
    assert said.prompt_template == "{concepts} {level}"
    own.write_text("extends: ../base.yaml\ndomains:\n  math:\n    solver_template: {file: wording/s.txt}\n")
    with pytest.raises(
        RecipeError, match=r"own.yaml, line 4: domains.math.solver_template: .*s.txt.*give a file of UTF-8"
    ):
        load_recipe(own)
    (tmp_path / "wording" / "p.txt").write_text("nothing to fill in\n")
    with pytest.raises(RecipeError, match=r"domains.math: prompt_template lacks the field {concepts}"):
        load_recipe(tmp_path / "base.yaml")


@pytest.mark.parametrize("at", ["labelling", "sandbox", "domains", ""])
def test_half_of_a_character_in_a_name_is_told_of(at: str) -> None:
    """JSON can spell it, and no file can hold it."""
    settings: dict[str, Any] = {"name": "r", "model": {"kind": "scratch"}, "domains": {}}
    within = settings.setdefault(at, {}) if at else settings
    within["\ud800"] = 1
    with pytest.raises(RecipeError, match="holds half of a character; remove it"):
        recipe_of(settings)
