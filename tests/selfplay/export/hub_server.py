"""A stand-in for the hub on loopback, which takes a commit as the hub does."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub:
    """Remembers which data sets and models there are and which files they hold."""

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
                    where = f"{hub.url}{self.path.removeprefix('/api').partition('/commit/')[0]}/commit/abc"
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
