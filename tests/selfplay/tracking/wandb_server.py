"""A small stand-in for the W&B server, on the loopback: it keeps what wandb 0.31 sends as the real one does.

It answers the few questions that `wandb.init`, `log`, `alert`, `log_artifact` and `finish` ask. History lines are kept
by the offset at which the client puts them, so that what is sent twice is there once, as with the real server.
"""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = dict[str, Any]
PROJECT = {"id": "P1", "name": "a-project", "entity": {"id": "E1", "name": "somebody"}}


class KeptRun:
    """What the server holds of one run."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sessions = 0
        self.config: dict[str, Any] = {}
        self.display_name = ""
        self.history: dict[int, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        self.exit_code: int | None = None
        self.alerts: list[tuple[str, str]] = []
        self.used: list[str] = []

    def points(self, metric: str) -> list[tuple[int, Any]]:
        """(W&B step, value) of a metric, in the order of the history."""
        rows = [self.history[offset] for offset in sorted(self.history)]
        return [(row["_step"], row[metric]) for row in rows if metric in row]


class WandbServer:
    """Everything that was sent; `down` has it drop connections, `failing` answer 500."""

    def __init__(self) -> None:
        self.runs: dict[str, KeptRun] = {}
        self.files: dict[str, bytes] = {}
        self.artifacts: list[dict[str, Any]] = []
        self.down = False
        self.failing = False
        self.requests = 0
        self.unknown: list[str] = []
        self.url = ""
        self.lock = threading.Lock()

    @property
    def run(self) -> KeptRun:
        """The only run."""
        [run] = self.runs.values()
        return run

    def graphql(self, body: dict[str, Any]) -> Answer:
        """Answers a query by the name of its operation."""
        named = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
        name, variables = named[1] if named else "", body.get("variables") or {}
        answer: Callable[[dict[str, Any]], Answer] | None = getattr(self, f"_on_{name}", None)
        if answer is None:
            self.unknown.append(f"{name}: {body.get('query')}")
            return {"errors": [{"message": f"unknown operation {name}"}]}
        return {"data": answer(variables)}

    def _on_RunResumeStatus(self, variables: dict[str, Any]) -> Answer:
        run = self.runs.get(variables["name"])
        bucket = None
        if run is not None:
            last = run.history[max(run.history)] if run.history else {}
            bucket = {
                "id": run.name,
                "name": run.name,
                "summaryMetrics": json.dumps(run.summary),
                "displayName": run.display_name,
                "logLineCount": 0,
                "historyLineCount": len(run.history),
                "eventsLineCount": 0,
                "historyTail": json.dumps([json.dumps(last)] if last else []),
                "eventsTail": "[]",
                "config": json.dumps(run.config),
                "tags": [],
                "notes": "",
                "wandbConfig": json.dumps({"t": 1}),
            }
        return {"model": PROJECT | {"bucket": bucket}}

    def _on_UpsertBucket(self, variables: dict[str, Any]) -> Answer:
        name = variables.get("name") or variables["id"]
        inserted = name not in self.runs
        run = self.runs.setdefault(name, KeptRun(name))
        run.config |= json.loads(variables.get("config") or "{}")
        run.display_name = variables.get("displayName") or run.display_name
        if variables.get("summaryMetrics"):
            run.summary |= json.loads(variables["summaryMetrics"])
        bucket = {
            "id": name,
            "name": name,
            "displayName": run.display_name or name,
            "description": "",
            "config": json.dumps(run.config),
            "sweepName": None,
            "project": PROJECT,
            "historyLineCount": len(run.history),
        }
        return {"upsertBucket": {"bucket": bucket, "inserted": inserted}}

    def _on_CreateRunFiles(self, variables: dict[str, Any]) -> Answer:
        files = [{"name": f, "uploadUrl": f"{self.url}/upload/{variables['run']}/{f}"} for f in variables["files"]]
        return {"createRunFiles": {"runID": variables["run"], "uploadHeaders": [], "files": files}}

    def _on_Viewer(self, variables: dict[str, Any]) -> Answer:
        viewer = {"id": "E1", "entity": "somebody", "username": "somebody", "email": "", "flags": "{}"}
        return {"viewer": viewer | {"teams": {"edges": []}}}

    def _on_ServerFeaturesQuery(self, variables: dict[str, Any]) -> Answer:
        return {"serverInfo": {"features": []}}

    def _on_NotifyScriptableRunAlert(self, variables: dict[str, Any]) -> Answer:
        self.runs[variables["runName"]].alerts.append((variables["title"], variables["text"]))
        return {"notifyScriptableRunAlert": {"success": True}}

    def _on_ArtifactType(self, variables: dict[str, Any]) -> Answer:
        return {"project": {"artifact": None}}

    def _on_CreateArtifact(self, variables: dict[str, Any]) -> Answer:
        wanted = variables["input"]
        known = {kept["digest"]: kept for kept in self.artifacts}
        kept = known.get(wanted["digest"])
        if kept is None:
            kept = {
                "id": f"A{len(self.artifacts)}",
                "name": wanted["artifactCollectionName"],
                "type": wanted["artifactTypeName"],
                "digest": wanted["digest"],
                "metadata": json.loads(wanted.get("metadata") or "{}"),
                "run": wanted.get("runName"),
                "state": "PENDING",
                "files": [],
            }
            self.artifacts.append(kept)
        return {
            "createArtifact": {
                "artifact": {
                    "id": kept["id"],
                    "state": kept["state"],
                    "artifactSequence": {"id": "S", "latestArtifact": None},
                }
            }
        }

    def _on_CreateArtifactManifest(self, variables: dict[str, Any]) -> Answer:
        where = f"{self.url}/upload/{variables['artifactID']}/{variables['name']}"
        file = {"id": "F", "uploadUrl": where, "uploadHeaders": []}
        return {"createArtifactManifest": {"artifactManifest": {"id": f"M-{variables['artifactID']}", "file": file}}}

    def _on_UpdateArtifactManifest(self, variables: dict[str, Any]) -> Answer:
        where = f"{self.url}/upload/{variables['artifactManifestID']}"
        file = {"id": "F", "uploadUrl": where, "uploadHeaders": []}
        return {"updateArtifactManifest": {"artifactManifest": {"id": "M", "file": file}}}

    def _on_CreateArtifactFiles(self, variables: dict[str, Any]) -> Answer:
        edges = []
        for spec in variables["input"]["artifactFiles"]:
            path = f"{spec['artifactID']}/{spec['name']}"
            found = next(kept for kept in self.artifacts if kept["id"] == spec["artifactID"])
            found["files"].append(spec["name"])
            node = {
                "id": path,
                "name": spec["name"],
                "displayName": spec["name"],
                "uploadUrl": f"{self.url}/upload/{path}",
            }
            node |= {
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "storagePath": path,
                "artifact": {"id": found["id"]},
            }
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _on_CommitArtifact(self, variables: dict[str, Any]) -> Answer:
        found = next(kept for kept in self.artifacts if kept["id"] == variables["artifactID"])
        found["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": found["id"], "digest": found["digest"]}}}

    def _on_ArtifactByID(self, variables: dict[str, Any]) -> Answer:
        found = next(kept for kept in self.artifacts if kept["id"] == variables["id"])
        project = {"id": "P1", "internalId": "1", "name": "a-project", "entity": {"name": "somebody"}}
        artifact = {
            "__typename": "Artifact",
            "id": found["id"],
            "artifactSequence": {"__typename": "ArtifactSequence", "name": found["name"], "project": project},
            "versionIndex": 0,
            "artifactType": {"name": found["type"]},
            "description": None,
            "metadata": json.dumps(found["metadata"]),
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": found["state"],
            "size": 0,
            "digest": found["digest"],
            "commitHash": None,
            "fileCount": len(found["files"]),
            "createdAt": "2026-01-01T00:00:00Z",
            "updatedAt": None,
            "aliases": [],
        }
        return {"artifact": artifact}

    def _on_UseArtifact(self, variables: dict[str, Any]) -> Answer:
        wanted = variables.get("input") or variables
        run = self.runs[wanted.get("runName") or wanted["run"]]
        run.used.append(wanted["artifactID"])
        return {"useArtifact": {"artifact": {"id": wanted["artifactID"]}}}

    def stream(self, name: str, body: dict[str, Any]) -> None:
        """Takes a piece of a run's history and summary."""
        run = self.runs.setdefault(name, KeptRun(name))
        files = body.get("files") or {}
        chunk = files.get("wandb-history.jsonl")
        if chunk:
            for place, line in enumerate(chunk["content"]):
                run.history[chunk["offset"] + place] = json.loads(line)
        for line in (files.get("wandb-summary.json") or {}).get("content", []):
            run.summary = json.loads(line)
        if body.get("complete"):
            run.exit_code = body.get("exitcode")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: WandbServer

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def _body(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _send(self, answer: Any, code: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refused(self) -> bool:
        self.state.requests += 1
        if self.state.down:
            self.close_connection = True
            self.connection.close()
        elif self.state.failing:
            self._send({"error": "broken"}, 500)
        return self.state.down or self.state.failing

    def do_GET(self) -> None:
        if not self._refused():
            self._send({})

    def do_PUT(self) -> None:
        content = self._body()
        if not self._refused():
            with self.state.lock:
                self.state.files[self.path.removeprefix("/upload/")] = content
            self._send({})

    def do_POST(self) -> None:
        content = json.loads(self._body() or b"{}")
        if self._refused():
            return
        with self.state.lock:
            if self.path == "/graphql":
                answer = self.state.graphql(content)
            else:
                parts = self.path.strip("/").split("/")
                self.state.stream(parts[-2], content)
                answer = {"exitcode": None, "limits": {}}
        self._send(answer)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that went away are none of its business."""


@contextmanager
def running() -> Iterator[WandbServer]:
    """A server on a free port of the loopback."""
    state = WandbServer()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
