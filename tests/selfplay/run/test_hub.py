"""A hub that is out of reach is asked once, and then by nobody."""

from __future__ import annotations

import os
import socket

import datasets
import pytest
from huggingface_hub import constants

from selfplay.run.hub import offline_without_hub


def test_where_nothing_answers_its_libraries_do_not_try(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert offline_without_hub()
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    assert constants.HF_HUB_OFFLINE
    assert datasets.config.HF_HUB_OFFLINE
