"""The one place that talks to the hub: a folder becomes a data set or a model there."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from selfplay.config.errors import FAILED, UserError

Kind = Literal["dataset", "model"]


class HubError(UserError):
    """The hub did not take what was pushed; the message says why and what helps."""

    exit_code = FAILED
    of_run = "The run has ended, and its report is in {folder}; but {error}"


def push_folder(folder: Path, name: str, private: bool, kind: Kind = "dataset") -> str:
    """Uploads a folder as a data set or a model, by the token that `hf auth login` keeps or HF_TOKEN holds.

    Args:
        name: `user/name` on the hub.
        private: whether only its owner sees it, where it is new.
        kind: what it becomes.

    Returns:
        Its address.

    Raises:
        HubError: the hub refuses it or cannot be reached.
    """
    import httpx
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    api = HfApi()
    try:
        api.create_repo(name, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder, commit_message="Export of a selfplay run")
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled, httpx.HTTPError) as error:
        reason = " ".join(str(error).split())[:300]
        instead = "export to a folder" if kind == "dataset" else "run the same command again to try once more"
        raise HubError(f"hub:{name}: was not taken ({reason}); log in with `hf auth login`, or {instead}") from error
    return f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{name}"
