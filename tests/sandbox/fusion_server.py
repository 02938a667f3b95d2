"""A small server that speaks SandboxFusion's run_code over loopback, and can misbehave in every way we know.

It runs what it is sent through a runner: our own bubblewrap sandbox (`Contained`), or an ordinary process of this
host (`Uncontained`), which is what a server without isolation is.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from sandbox.model import Limits, Program, Status
from sandbox.pool import SandboxPool

Answer = dict[str, Any]
Runner = Callable[[dict[str, Any]], Answer]
Fault = Callable[[BaseHTTPRequestHandler], None]

_OUTER = Limits(cpu_s=120, wall_s=180, memory_mb=4096, processes=200, output_bytes=64 << 20, disk_mb=256)
# What SandboxFusion does around a program: files in, a command with a time limit, files out.
_AROUND = """
import base64, json, os, subprocess, sys, time
request = json.loads(sys.stdin.read())
for name, content in request["files"].items():
    open(name, "wb").write(base64.b64decode(content))
open("code.py", "w").write(request["code"])
begun = time.time()
try:
    done = subprocess.run([sys.executable, "code.py"], input=request["stdin"].encode(), capture_output=True,
                          timeout=request["run_timeout"])
    result = {"status": "Finished", "return_code": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
except subprocess.TimeoutExpired as late:
    result = {"status": "TimeLimitExceeded", "stdout": late.stdout or b"", "stderr": late.stderr or b""}
for name in ("stdout", "stderr"):
    result[name] = result[name][:1 << 20].decode()
result["execution_time"] = time.time() - begun
files = {}
for name in request["fetch_files"]:
    if os.path.isfile(name):
        files[name] = base64.b64encode(open(name, "rb").read()).decode()
print(json.dumps({"run_result": result, "files": files}))
"""


class Contained:
    """Runs requests in sandboxes of this host, several at a time."""

    def __init__(self, workers: int = 2) -> None:
        self._pool = SandboxPool(workers, "bubblewrap")

    def __call__(self, request: dict[str, Any]) -> Answer:
        with self._pool.borrow() as sandbox:
            execution = sandbox.run(Program(_AROUND), [json.dumps(request).encode()], _OUTER)[0]
        if execution.status is not Status.OK:
            return {"status": "SandboxError", "message": f"{execution.reason} {execution.stderr[-300:]!r}"}
        return _with_status(json.loads(execution.stdout))

    def close(self) -> None:
        self._pool.close()


class Uncontained:
    """Runs requests as ordinary processes."""

    def __call__(self, request: dict[str, Any]) -> Answer:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-c", _AROUND],
                input=json.dumps(request).encode(),
                capture_output=True,
                check=True,
                cwd=folder,
            )
        return _with_status(json.loads(done.stdout))

    def close(self) -> None:
        return


def _with_status(answer: Answer) -> Answer:
    result = answer["run_result"]
    good = result["status"] == "Finished" and result["return_code"] == 0
    return {"status": "Success" if good else "Failed", "message": "", "compile_result": None, **answer}


class FusionServer:
    """A server on a free port of loopback. `faults` are used up one a request, before it is served."""

    def __init__(self, runner: Contained | Uncontained) -> None:
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.faults: list[Fault] = []
        self.change: Callable[[Answer], Answer] = lambda answer: answer
        """What is done to an answer before it is sent."""
        self.most_at_once = 0
        self._runner = runner
        self._now = 0
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def reset(self) -> None:
        """Forgets what was asked and how to misbehave."""
        self.requests.clear()
        self.headers.clear()
        self.faults.clear()
        self.change = lambda answer: answer
        self.most_at_once = 0

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server._serve(self, body)

            def log_message(self, *_: Any) -> None:
                return

        return Handler

    def _serve(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        with self._lock:
            self.requests.append(json.loads(body))
            self.headers.append(dict(handler.headers))
            fault = self.faults.pop(0) if self.faults else None
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            if fault is not None:
                fault(handler)
            elif handler.path != "/run_code":
                send(handler, 404, b"{}")
            else:
                send(handler, 200, json.dumps(self.change(self._runner(json.loads(body)))).encode())
        except (BrokenPipeError, ConnectionResetError):
            handler.close_connection = True  # the client had enough
        finally:
            with self._lock:
                self._now -= 1


@contextmanager
def serving(runner: Contained | Uncontained) -> Iterator[FusionServer]:
    """A running server."""
    server = FusionServer(runner)
    try:
        yield server
    finally:
        server.close()
        runner.close()


def send(handler: BaseHTTPRequestHandler, status: int, body: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def answers(status: int, body: bytes = b"", **headers: str) -> Fault:
    """The same answer whatever was asked."""
    return lambda handler: send(handler, status, body, **headers)


def never_answers(release: threading.Event) -> Fault:
    """Nothing until the test is over."""

    def fault(handler: BaseHTTPRequestHandler) -> None:
        release.wait(30)
        handler.close_connection = True

    return fault


def cuts_the_answer(handler: BaseHTTPRequestHandler) -> None:
    """Promises more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'{"status": "Success"')
    handler.close_connection = True


def hangs_up(handler: BaseHTTPRequestHandler) -> None:
    """Ends the connection without a word."""
    handler.close_connection = True


def never_ends(handler: BaseHTTPRequestHandler) -> None:
    """An answer without end."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    while True:
        handler.wfile.write(b" " * (1 << 20))


def drips(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then."""
    handler.send_response(200)
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    while True:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)
