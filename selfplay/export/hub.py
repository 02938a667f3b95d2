"""The one place that talks to the hub: a folder becomes a data set there."""

from __future__ import annotations

from pathlib import Path


class HubError(RuntimeError):
    """The hub did not take the data set; the message says why and what helps."""


def push_folder(folder: Path, name: str, private: bool) -> str:
    """Uploads a folder as a data set, by the token that `hf auth login` keeps or HF_TOKEN holds.

    Args:
        folder: what to upload, whole.
        name: `user/name` on the hub.
        private: whether only its owner sees it, where it is new.

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
        api.create_repo(name, repo_type="dataset", private=private, exist_ok=True)
        api.upload_folder(
            repo_id=name, repo_type="dataset", folder_path=folder, commit_message="Export of a selfplay run"
        )
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled, httpx.HTTPError) as error:
        reason = " ".join(str(error).split())[:300]
        raise HubError(
            f"hub:{name}: was not taken ({reason}); log in with `hf auth login`, or export to a folder"
        ) from error
    return f"{api.endpoint}/datasets/{name}"
