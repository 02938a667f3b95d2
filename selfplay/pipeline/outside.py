"""Whatever a stage depends on outside its run: files, the models that its settings name, verifiers, and versions of
libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from selfplay.engines.named_models import NamedModels, demand_same, libraries, named_in, versions_of
from selfplay.run.directory import RunDirectory
from selfplay.run.plan import Kind
from selfplay.run.store import content_key
from selfplay.stage.spec import StageSpec

WITHOUT_MODELS = (Kind.SEEDS, Kind.OWN)
"""Kinds of stages that no library of models has a part in."""
CURATING = ("py3langid", "rensa")
"""Libraries whose versions change what curation keeps: languages, and hashes of near duplicates."""


@dataclass(frozen=True, slots=True)
class Outside:
    """The world outside a run, as a stage read it."""

    files: str
    """A hash of its files."""
    models: dict[str, str]
    """The models that its settings name: fingerprints by field."""
    versions: dict[str, str]
    """Of the libraries that decide what it computes."""
    verifiers: dict[str, str]
    """Fingerprints of those that it judges with, by domain."""

    @property
    def key(self) -> str:
        """A hash of all of it."""
        return content_key(self.files, self.models, self.versions, *([self.verifiers] if self.verifiers else []))


def outside(spec: StageSpec, run: RunDirectory, verifiers: Mapping[str, str]) -> Outside:
    """The world of a stage as it is now.

    Args:
        run: whose recipe names models.
        verifiers: fingerprints of those that it may judge with, by domain; none where it may not.
    """
    versions = {} if spec.kind in WITHOUT_MODELS else dict(libraries(run.recipe.engine.kind))
    versions |= versions_of(CURATING) if spec.kind is Kind.CURATION else {}
    return Outside(spec.contents(), models_of(spec, run), versions, dict(sorted(verifiers.items())))


def models_of(spec: StageSpec, run: RunDirectory) -> dict[str, str]:
    """The fingerprints of the models that a stage's settings name, by field."""
    models = NamedModels(run.store_folder)
    named = {field: models.identity(name, revision)[0] for field, name, revision in named_in(run.recipe, spec.sections)}
    return dict(sorted(named.items()))


def demand_same_models(run: RunDirectory, table: Mapping[str, StageSpec]) -> None:
    """Refuses to go on with a run whose finished stages read other weights than its recipe names now.

    Raises:
        RunError: names the field.
    """
    for spec in table.values():
        stage = run.stage(spec.name)
        if stage.done and (before := stage.manifest.get("models")):
            demand_same(run.path, spec.name, before, models_of(spec, run))
