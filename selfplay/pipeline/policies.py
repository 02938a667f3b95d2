"""The models that a person means by a run, a folder, a name on the hub, or the address of an endpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from selfplay.config.annotation import Endpoint, OpenAIEngine
from selfplay.config.errors import UserError
from selfplay.config.evaluation import EVERY, ModelOptions
from selfplay.config.section import PretrainedModel
from selfplay.engines.base import ModelRef
from selfplay.engines.named_models import NamedModels, is_commit
from selfplay.run.directory import read_recipe
from selfplay.run.files import read_json
from selfplay.run.plan import Kind, manifest_of, read_plan
from selfplay.run.shapes import Summary, read_as
from selfplay.training.rules import POLICY
from selfplay.trl_trainers.model_folder import FINGERPRINT, trained_model, weights_hash

BASE, BEST = "base", "best"


HasTemplate = Callable[[ModelRef], bool]


class ModelUnknown(UserError):
    """The thing given is no model that can be measured; the message says what to give."""


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """A model to be measured: on this machine, or at an endpoint."""

    label: str
    """Its name within the evaluation, which is that of a folder, too."""
    model: ModelRef | OpenAIEngine
    round: int | None = None
    """Of self-play; 0 for the base, None for a model that is of no run."""
    best: bool = False
    """Whether its run chose it."""

    @property
    def identity(self) -> list[str | bool]:
        """Completions of it are known by this."""
        if isinstance(self.model, OpenAIEngine):
            known = self.model.model_dump_json(exclude=set(OpenAIEngine.changes_no_result))
            return [f"openai/{known}", self.model.endpoint.base_url]
        return [self.model.fingerprint, self.model.dtype, self.model.chat]


def find_models(
    given: str, options: ModelOptions, models: NamedModels, has_template: HasTemplate
) -> list[MeasuredModel]:
    """The models that are meant.

    Args:
        given: a run directory, a folder with a model, a hub name, or an address.
        models: tells which weights a name means.
        has_template: looks whether a model has a chat template; raises a UserError where it is no model.

    Raises:
        UserError: there is no such model, round or template.
    """
    if given.startswith(("http://", "https://")):
        return [_endpoint(given, options)]
    folder = Path(given)
    if (folder / "recipe.json").exists():
        return [_as_asked(one, options, has_template) for one in _of_run(folder, options, models)]
    home = run_of(given)
    if home is not None and options.style == "auto":
        options = dataclasses.replace(options, style=read_recipe(home).model.prompt_style)
    if options.rounds != EVERY:
        raise ModelUnknown(f"{given}: is no run, so that --round names nothing; drop it, or give a run directory")
    ref = _folder(folder, options, models) if folder.is_dir() else _hub(given, options, models)
    if options.style == "auto":
        ref = dataclasses.replace(ref, chat=has_template(ref))
    return [_as_asked(MeasuredModel(label_of(given), ref), options, has_template)]


def _as_asked(measured: MeasuredModel, options: ModelOptions, has_template: HasTemplate) -> MeasuredModel:
    """In the number format and the style of prompts that a person asks for, where one does, and stretched."""
    model = measured.model
    assert isinstance(model, ModelRef)
    if options.style == "chat" and not has_template(model):
        raise ModelUnknown(f"{model.path}: has no chat template, which --prompt-style chat needs; take raw")
    if options.style != "auto":
        model = dataclasses.replace(model, chat=options.style == "chat")
    if options.dtype != "auto":
        base = model.base and dataclasses.replace(model.base, dtype=options.dtype)
        model = dataclasses.replace(model, dtype=options.dtype, base=base)
    return dataclasses.replace(measured, model=model.stretched(options.yarn))


def run_of(given: str) -> Path | None:
    """The run that is meant, or the one in whose stages a policy's folder lies; None for what is of no run."""
    folder = Path(given)
    if (folder / "recipe.json").exists():
        return folder
    if not folder.is_dir():
        return None
    whole = folder.resolve()
    runs = (above for above in whole.parents if (above / "recipe.json").exists())
    return next((run for run in runs if whole.is_relative_to(run / "stages")), None)


def _endpoint(address: str, options: ModelOptions) -> MeasuredModel:
    if options.served is None:
        raise ModelUnknown(f"{address}: an endpoint may serve several models; name one with --served")
    if options.yarn != 1:
        raise ModelUnknown(f"{address}: whoever serves a model decides how far it reaches; leave out yarn")
    try:
        engine = OpenAIEngine(
            kind="openai",
            model=options.served,
            prompt_style="raw" if options.style == "raw" else "chat",
            keep_thinking=True,
            endpoint=Endpoint(base_url=address, api_key_env=options.api_key_env),
        )
    except ValueError as error:
        raise ModelUnknown(f"{address}: is no address of an endpoint, such as http://127.0.0.1:8000/v1") from error
    return MeasuredModel(label_of(options.served), engine)


def _folder(folder: Path, options: ModelOptions, models: NamedModels) -> ModelRef:
    if (folder / FINGERPRINT).exists():
        return trained_model(_as_kept(folder))
    if not (folder / "config.json").is_file():
        raise ModelUnknown(f"{folder}: is neither a run (recipe.json) nor a model (config.json); give one of them")
    return ModelRef.local(folder, models.identity(str(folder), None)[0], options.dtype, chat=False)


def _as_kept(folder: Path) -> Path:
    """A trained model's folder, whose fingerprint must be that of its weights: others may have come into it since."""
    known = read_json(folder / FINGERPRINT)
    if "base" not in known and known.get("sha256") != weights_hash(folder):
        raise ModelUnknown(
            f"{folder}: its weights are not those that {FINGERPRINT} names; put those back, or delete that file to "
            "measure the folder as it is"
        )
    return folder


def _hub(name: str, options: ModelOptions, models: NamedModels) -> ModelRef:
    return ModelRef(name, *models.identity(name, options.revision), options.dtype)


def _base_of(run: Path, settings: PretrainedModel, models: NamedModels) -> ModelRef:
    """The base that a recipe names: of a model on the hub the commit that the run began with."""
    began_with = (manifest_of(run, Kind.BASE).get("models") or {}).get("model", "").rpartition("@")[2]
    pinned = settings.model_copy(update={"revision": began_with}) if is_commit(began_with) else settings
    return models.ref(pinned)


def _of_run(run: Path, options: ModelOptions, models: NamedModels) -> list[MeasuredModel]:
    """The policies of a run as far as it has come, the base first."""
    recipe = read_recipe(run)
    chat = recipe.model.prompt_style == "chat"
    stages = run / "stages"
    base = (
        _base_of(run, recipe.model, models)
        if isinstance(recipe.model, PretrainedModel)
        else trained_model(stages / Kind.BASE / "model")
        if manifest_of(run, Kind.BASE)
        else None
    )
    found = {} if base is None else {0: dataclasses.replace(base, chat=chat)}
    for stage in read_plan(run).of_kind(Kind.SELFPLAY):
        if manifest_of(run, stage.name):
            found[stage.round] = trained_model(stages / stage.name / POLICY, chat)
    summary = run / "summary.json"
    ended = read_as(summary, Summary).get("best") if summary.exists() else None
    best = int(ended["round"]) if ended else None
    policies = [
        MeasuredModel(f"round-{number}" if number else BASE, model, number, number == best)
        for number, model in found.items()
    ]
    return [one for one in policies if _is_wanted(one, run, options.rounds, policies)]


def _is_wanted(model: MeasuredModel, run: Path, rounds: str, known: list[MeasuredModel]) -> bool:
    if rounds == EVERY:
        return True
    asked = rounds.split(",")
    if BEST in asked and not any(one.best for one in known):
        raise ModelUnknown(f"--round {rounds}: {run} has not ended, so that nothing is its best; give a number")
    wanted = {"0" if one == BASE else one for one in asked if one != BEST}
    there = {str(one.round) for one in known}
    if not wanted <= there:
        raise ModelUnknown(f"--round {rounds}: {run} has the rounds {', '.join(sorted(there, key=int))}")
    return str(model.round) in wanted or (BEST in asked and model.best)


def label_of(name: str) -> str:
    """A name as that of a folder: of a path the last two parts."""
    name = "/".join(Path(name).parts[-2:])
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name.strip("/"))
    return kept.strip(".-")[-80:] or "model"
