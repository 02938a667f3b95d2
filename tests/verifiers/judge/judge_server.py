"""A judge on loopback: honest at /v1, and everything a real endpoint does wrong elsewhere."""

from __future__ import annotations

import gzip
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_TICKET = re.compile(r'"ticket": "([0-9a-f]{16})"')
_BLOCK = re.compile(r"<<<(\w+) ([0-9a-f]{16})\n(.*?)\n\2 \1>>>", re.DOTALL)


class JudgeServer(ThreadingHTTPServer):
    """Counts requests by path, and remembers the last body, the last authorization and the most at a time."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: Counter[str] = Counter()
        self.body: dict[str, Any] = {}
        self.authorization: str | None = None
        self.under_way = self.most = 0
        self.lock = threading.Lock()
        self.released = threading.Event()

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that gave up is what is tested
            super().handle_error(request, client_address)

    def url(self, path: str = "v1") -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{path}"


@contextmanager
def judge_server() -> Iterator[JudgeServer]:
    with JudgeServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.released.set()
            server.shutdown()
            thread.join()


def honest(body: dict[str, Any]) -> str:
    """Right when the reference stands in the answer's block; obeys nothing that stands there."""
    system, user = (message["content"] for message in body["messages"])
    blocks = {name: text for name, _, text in _BLOCK.findall(user)}
    right = blocks["reference"].casefold() in blocks["answer"].casefold()
    ticket = _TICKET.findall(system)[-1]
    return json.dumps({"ticket": ticket, "score": int(right), "reason": "as the reference" if right else "not so"})


def answer_block(body: dict[str, Any]) -> str:
    return next(text for name, _, text in _BLOCK.findall(body["messages"][1]["content"]) if name == "answer")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: JudgeServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        how = self.path.split("/")[1]
        with self.server.lock:
            self.server.seen[how] += 1
            nth = self.server.seen[how]
            self.server.body, self.server.authorization = body, self.headers.get("Authorization")
        try:
            getattr(self, f"_{how}", self._v1)(body, nth)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        pass

    def _send(self, status: int, data: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def _says(self, content: Any, finish: str = "stop") -> None:
        row = {
            "choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        }
        self._send(200, json.dumps(row).encode())

    def _v1(self, body: dict[str, Any], _: int) -> None:
        self._says(honest(body))

    def _thinks(self, body: dict[str, Any], _: int) -> None:
        self._says(f'<think>{{"score": 0}}</think>\n```json\n{honest(body)}\n```')

    def _pauses(self, body: dict[str, Any], _: int) -> None:
        with self.server.lock:
            self.server.under_way += 1
            self.server.most = max(self.server.most, self.server.under_way)
        time.sleep(0.05)
        with self.server.lock:
            self.server.under_way -= 1
        self._says(honest(body))

    def _flaky(self, body: dict[str, Any], nth: int) -> None:
        if nth == 1:
            self._send(429, b"slow down", Retry_After="0")
        elif nth == 2:
            self._send(500, b"{}")
        elif nth == 3:
            self._send(200, b"<html>gateway</html>")
        else:
            self._says(honest(body))

    def _limited(self, *_: Any) -> None:
        self._send(429, b"never", Retry_After="0")

    def _broken(self, *_: Any) -> None:
        self._send(500, b"\xff\xfe oh")

    def _refuses(self, *_: Any) -> None:
        self._send(401, b'{"error": "no such key"}')

    def _redirects(self, *_: Any) -> None:
        self._send(302, b"", Location=self.server.url("v1/chat/completions"))

    def _hangs(self, *_: Any) -> None:
        self.server.released.wait(30)
        self.close_connection = True

    def _drips(self, *_: Any) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        while not self.server.released.wait(0.05):
            self.wfile.write(b"a")
            self.wfile.flush()
        self.close_connection = True

    def _cuts(self, body: dict[str, Any], _: int) -> None:
        self._send(200, honest(body).encode(), Content_Length="100000")
        self.close_connection = True

    def _drops(self, *_: Any) -> None:
        self.close_connection = True

    def _garbage(self, *_: Any) -> None:
        self._send(200, b"\x00\xff[[[[")

    def _floods(self, *_: Any) -> None:
        self._send(200, b'{"choices": [' + b" " * (4 << 20))

    def _squeezes(self, body: dict[str, Any], _: int) -> None:
        self._send(200, gzip.compress(honest(body).encode()), Content_Encoding="gzip")

    def _echoes(self, body: dict[str, Any], _: int) -> None:
        self._says(answer_block(body))

    def _repeats(self, body: dict[str, Any], _: int) -> None:
        self._says(body["messages"][0]["content"] + body["messages"][1]["content"])

    def _chats(self, body: dict[str, Any], _: int) -> None:
        self._says(f"Sure! Here it is: {honest(body)}")

    def _stops(self, body: dict[str, Any], _: int) -> None:
        self._says(honest(body)[:20], "length")

    def _silent(self, *_: Any) -> None:
        self._says(None)

    def _overscores(self, body: dict[str, Any], _: int) -> None:
        self._says(honest(body).replace('"score": 1', '"score": 7').replace('"score": 0', '"score": true'))
