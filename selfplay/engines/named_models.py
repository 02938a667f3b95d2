"""Models that a recipe names: which weights those are, by content on this machine and by commit on the hub.

A name says little: a folder's weights may be replaced, and a branch of the hub moves. What was computed with a model is
kept under a fingerprint of its files, or of the commit, which is looked up once a run. Hashes of large files are kept
with the file's size and times, so that a file is read once.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from selfplay.config.recipe import Recipe
from selfplay.config.section import NamedModel
from selfplay.config.synthesis import OWN_BASE, ConceptEmbeddings
from selfplay.engines.base import ModelRef
from selfplay.engines.model_files import PICKLES
from selfplay.run.files import RunError, contents_hash, read_json, write_json
from verifiers.untrusted.files import read_text

FILE = "models.json"
"""Within a run's store: commits by name and revision, and hashes of files by path."""
BEGINNINGS = (".", "README", "LICENSE", "NOTICE", "events.out.tfevents.")
ENDINGS = (
    *(".md", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".log", "_results.json"),
    *("fingerprint.json", "trainer_state.json"),
    *sorted(PICKLES),
)
"""How names of files begin and end that change nothing: about the model, of its training, and weights in formats that
are never loaded. All others may be read by some tokenizer, model or template."""
TEMPLATES = "additional_chat_templates/*.jinja"
DECIDING = ("torch", "transformers", "tokenizers", "peft", "trl", "accelerate")
"""Libraries whose versions change what a model computes or learns."""
COMMIT = 40
HUB_TIMEOUT_S = 20.0


class NamedModels:
    """The models that a recipe names, as one run sees them."""

    def __init__(self, store: Path) -> None:
        """Takes the run's store, in which it keeps what it finds out."""
        self._file = store / FILE

    def ref(self, settings: NamedModel) -> ModelRef:
        """The reference to a model, its revision the commit."""
        fingerprint, revision = self.identity(settings.name, settings.revision)
        chat = settings.prompt_style == "chat"
        return ModelRef(settings.name, fingerprint, revision, settings.dtype, chat)

    def identity(self, name: str, revision: str | None) -> tuple[str, str | None]:
        """A fingerprint of a model's files, and the revision to load: its commit, where it is on the hub.

        Where it is neither on this machine nor to be asked for at the hub, its name and revision must do: nothing can
        be computed with it either.
        """
        folder = Path(name)
        if folder.is_dir():
            digest = hashlib.sha256()
            for file in model_files(folder):
                digest.update(f"{file.relative_to(folder)} {self._hash(file)}\n".encode())
            return f"{folder.resolve().name}@{digest.hexdigest()}", revision
        commit = self._commit(name, revision or "main")
        return f"{name}@{commit or revision or 'main'}", commit or revision

    def _hash(self, file: Path) -> str:
        """A file's SHA-256; it is read only where its size or its times are not those of the last time."""
        place, seen = str(file.resolve()), file.stat()
        mark = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns]
        known = self._known()
        found = known["files"].get(place)
        if found is None or found["mark"] != mark:
            found = known["files"][place] = {"mark": mark, "sha256": contents_hash([file])}
            write_json(self._file, known)
        return str(found["sha256"])

    def _commit(self, name: str, revision: str) -> str | None:
        """The commit of a model on the hub, as this run found it first."""
        if is_commit(revision):
            return revision
        known, place = self._known(), f"{name}@{revision}"
        if place not in known["commits"]:
            if (found := commit_on_the_hub(name, revision)) is None:
                return None
            known["commits"][place] = found
            write_json(self._file, known)
        return str(known["commits"][place])

    def _known(self) -> dict[str, Any]:
        known = read_json(self._file) if self._file.exists() else {}
        return {"commits": known.get("commits", {}), "files": known.get("files", {})}


def is_commit(revision: str) -> bool:
    """Whether a revision of the hub is a commit, and so means the same weights for ever."""
    return len(revision) == COMMIT and set(revision) <= set("0123456789abcdef")


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder that decide what it computes."""
    own = (file for file in folder.iterdir() if not (file.name.startswith(BEGINNINGS) or file.name.endswith(ENDINGS)))
    return sorted(file for file in (*own, *folder.glob(TEMPLATES)) if file.is_file())


def commit_on_the_hub(name: str, revision: str) -> str | None:
    """The commit of a branch or tag: the hub's, else that of what was downloaded last; None without either."""
    import httpx
    from huggingface_hub import HfApi, constants
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.file_download import repo_folder_name

    try:
        return HfApi().model_info(name, revision=revision, timeout=HUB_TIMEOUT_S).sha
    except HFValidationError:
        return None
    except (HfHubHTTPError, OfflineModeIsEnabled, httpx.HTTPError, OSError):
        folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=name, repo_type="model")
    file = folder / "refs" / revision
    return read_text(file, RunError).strip() if file.is_file() else None


def named_in(recipe: Recipe, sections: Iterable[str]) -> Iterator[tuple[str, str, str | None]]:
    """The models that some sections of a recipe name: the field, the name and the revision."""
    for section in sections:
        found: Any = recipe
        for key in section.split("."):
            found = found.get(key) if isinstance(found, dict) else getattr(found, key, None)
        yield from _below(section, found)


def _below(field: str, value: Any) -> Iterator[tuple[str, str, str | None]]:
    if isinstance(value, NamedModel):
        yield field, value.name, value.revision
    elif isinstance(value, ConceptEmbeddings):
        if value.model != OWN_BASE:
            yield field, value.model, value.revision
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _below(f"{field}.{name}", getattr(value, name))
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _below(f"{field}.{name}", inner)


@functools.cache
def libraries(engine: str) -> dict[str, str]:
    """Versions of the libraries that decide results under an engine, `transformers` or `vllm`."""
    return versions_of((*DECIDING, *(["vllm"] if engine == "vllm" else [])))


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    """Versions of those of some packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def demand_same(run: Path, stage: str, before: dict[str, str], now: dict[str, str]) -> None:
    """Refuses to go on where a model that a finished stage read has other weights now.

    Raises:
        RunError: names the field.
    """
    for field, fingerprint in before.items():
        if now.get(field, fingerprint) != fingerprint:
            raise RunError(
                f"{run}: {field} names other weights than those that the finished stage {stage} read "
                f"({_short(now[field])}, before {_short(fingerprint)}); put them back, or start anew in another "
                f"--run-dir, with --reuse {run} for what they do not concern"
            )


def _short(fingerprint: str) -> str:
    name, _, content = fingerprint.rpartition("@")
    return f"{name}@{content[:12]}"
