"""A long mixture of honest, wrong, hostile and broken requests: every verdict right, nothing left over."""

from __future__ import annotations

import json
import random
import re
import socket
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[3]
CLIENTS, ROUNDS, WARM_UP = 16, 60, 15
DOUBLE = [{"input": "2\n", "output": "4\n"}, {"input": "-7\n", "output": "-14\n"}]


def program(source: str) -> dict[str, Any]:
    return {"verifier": "code", "completion": f"```python\n{source}\n```", "tests": DOUBLE, "time_limit_s": 0.5}


def math(gold: Any, text: str) -> dict[str, Any]:
    return {"verifier": "math", "answer": gold, "completion": text}


def item(rng: random.Random) -> tuple[dict[str, Any], set[bool | None]]:
    """An item, and the outcomes that are right for it."""
    number = rng.randint(2, 10**6)
    kinds: list[tuple[dict[str, Any], set[bool | None]]] = [
        (math(number, rf"\boxed{{{number}}}"), {True}),
        (math(f"(x+{number})^2", rf"\boxed{{x^2+{2 * number}x+{number * number}}}"), {True}),
        (math(number, rf"\boxed{{{number + 1}}}"), {False}),
        (math("", rf"\boxed{{{number}}}"), {None}),
        (math("x+1", rf"\boxed{{{number}^{{9^{{9^{{9}}}}}}}}"), {False, None}),
        (math(number, "\\frac{" * 5000), {False}),
        (math(number, "\x00\n" * 100), {False}),
        (program(f"print(2 * int(input()))  # {number}"), {True}),
        (program(f"print({number})"), {False}),
        (program("raise SystemExit(1)"), {False}),
        (program("import os\nprint(4)\nos._exit(0)"), {False}),
        ({"verifier": "code", "completion": "```python\nprint(1)\n```"}, {None}),
    ]
    if rng.random() < 0.02:
        return program("while True: pass"), {False}
    return kinds[rng.randrange(len(kinds))]


def leave(url: httpx.URL, body: bytes, whole: bool) -> None:
    """Sends a request, or half of one, and goes."""
    with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
        head = "POST /v1/score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        connection.sendall(body if whole else body[: len(body) // 2])


def converse(url: httpx.URL, seed: int, rounds: int) -> Counter[str]:
    """One client's part; returns what it saw."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
        for _ in range(rounds):
            batch = [item(rng) for _ in range(rng.choice((1, 1, 4, 16)))]
            body = json.dumps({"items": [one for one, _ in batch]}).encode()
            turn = rng.random()
            if turn < 0.1:
                leave(url, body, rng.random() < 0.5)
                seen["left"] += 1
                continue
            if turn < 0.2:
                answer = client.post("/v1/score", content=body[:-1], headers={"Content-Type": "application/json"})
                assert answer.status_code == 400
                seen["refused"] += 1
                continue
            answer = client.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
            if answer.status_code == 503:
                time.sleep(float(answer.headers["retry-after"]) * 0.1)
                seen["pushed back"] += 1
                continue
            assert answer.status_code == 200, answer.text
            for (asked, outcomes), row in zip(batch, answer.json()["verdicts"], strict=True):
                assert row["passed"] in outcomes, (asked, row)
                seen["judged"] += 1
    return seen


def resident_mb(pid: int) -> float:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found.group(1)) / 1024


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.long
def test_a_long_mixture_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "serve.json"
    file.write_text(json.dumps({"verifiers": {"math": {"params": {"deadline_s": 1.0}}, "code": None}}))
    command = [sys.executable, "-m", "selfplay", "serve", "--port", "0", "--verifiers-file", str(file)]
    process = subprocess.Popen(
        [*command, "--limit", "max_items=16", "--limit", "queue_items=200"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+", process.stdout.readline())
        assert found is not None
        url = httpx.URL(found.group())
        with ThreadPoolExecutor(CLIENTS) as clients:
            warm = list(clients.map(lambda seed: converse(url, seed, WARM_UP), range(CLIENTS)))
            before = resident_mb(process.pid)
            seen = sum(clients.map(lambda seed: converse(url, 1000 + seed, ROUNDS), range(CLIENTS)), Counter[str]())
        assert all(part["judged"] for part in warm)
        assert seen["judged"] > 1000
        assert min(seen["left"], seen["refused"]) > 10
        with httpx.Client(base_url=url, timeout=120, trust_env=False) as client:
            until = time.monotonic() + 120
            while not re.search(r'^selfplay_reward_queue_items\{verifier="code"\} 0\.0$', page(client), re.M):
                assert time.monotonic() < until
                time.sleep(0.1)
            assert re.search(r"^selfplay_reward_queue_bytes 0\.0$", page(client), re.M)
            assert client.get("/ready").json()["ready"] is True
            assert resident_mb(process.pid) < before * 1.3 + 20
            assert descriptors(process.pid) < 150
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "Traceback" not in errors


def page(client: httpx.Client) -> str:
    return client.get("/metrics").text
