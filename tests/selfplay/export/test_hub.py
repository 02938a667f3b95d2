"""The push to the hub, against a stand-in on loopback that takes a commit as the hub does."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from selfplay.export.export import export_prompts
from selfplay.export.hub import HubError, push_folder


class Hub:
    """Remembers which data sets there are and which files they hold."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.tokens: set[str] = set()
        self.refuses = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hub.tokens.add(self.headers.get("Authorization", ""))
                if hub.refuses:
                    self._answer(hub.refuses, {"error": "you may not"})
                elif self.path == "/api/repos/create":
                    row = json.loads(body)
                    hub.repositories[f"{row.get('organization')}/{row['name']}"] = row
                    self._answer(200, {"url": f"{hub.url}/datasets/somebody/{row['name']}", "name": row["name"]})
                elif "/preupload/" in self.path:
                    files = json.loads(body)["files"]
                    plain = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in files]
                    self._answer(200, {"files": plain})
                elif "/commit/" in self.path:
                    for line in body.splitlines():
                        row = json.loads(line)
                        if row["key"] == "file":
                            hub.files[row["value"]["path"]] = base64.b64decode(row["value"]["content"])
                    where = f"{hub.url}/datasets/somebody/own/commit/abc"
                    self._answer(200, {"commitUrl": where, "commitOid": "abc", "success": True})
                else:
                    self._answer(200, {})

            def do_GET(self) -> None:
                self._answer(200, {"id": "somebody/own", "sha": "0" * 40, "private": True, "siblings": []})

            def _answer(self, status: int, row: dict[str, Any]) -> None:
                text = json.dumps(row).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: Any) -> None:
                pass

        return Handler


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants

    hub = Hub()
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "hf_own")
    yield hub
    hub.close()


def test_a_folder_becomes_a_data_set(hub: Hub, run: Path, tmp_path: Path) -> None:
    where, counts = export_prompts(run, "hub:somebody/own", ("prompts", "sft"))
    assert where == f"{hub.url}/datasets/somebody/own"
    assert counts == {"prompts": 4, "sft": 2}
    made = hub.repositories["somebody/own"]
    assert made.get("visibility") == "private" or made.get("private") is True
    assert hub.repositories["somebody/own"]["type"] == "dataset"
    assert set(hub.files) == {"README.md", "prompts/train-00000.parquet", "sft/train-00000.parquet"}
    assert hub.tokens == {"Bearer hf_own"}
    export_prompts(run, str(tmp_path / "here"), ("prompts", "sft"))
    for name, content in hub.files.items():
        assert (tmp_path / "here" / name).read_bytes() == content


def test_a_refusal_says_what_helps(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("x")
    hub.refuses = 403
    with pytest.raises(HubError, match=r"hub:somebody/own: was not taken .*hf auth login"):
        push_folder(tmp_path, "somebody/own", private=True)
    with pytest.raises(HubError, match="was not taken"):
        push_folder(tmp_path, "no good/name/at all", private=True)
