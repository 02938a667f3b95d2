"""`selfplay serve` as a user starts it, over loopback; and the examples of docs/how-to/serve-rewards.md."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from selfplay.cli.serve import bind
from tests.docs.pages import pages
from tests.e2e.conftest import ROOT, command, environment, selfplay

pytestmark = pytest.mark.usefixtures("needs_sandbox")

DOCS = pages("how-to/serve-rewards.md", "reference/reward-service.md")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, re.S | re.M)
TOKEN = "correct-horse-battery"
GOOD = "```python\nprint(2 * int(input()))\n```"
SLOW = "```python\nimport time\ntime.sleep(1.5)\nprint(2 * int(input()))\n```"
DOUBLE = [{"input": "2\n", "output": "4\n"}]


def block(kind: str, holds: str) -> str:
    return next(text for language, text in BLOCKS if language == kind and holds in text)


def descendants(pid: int) -> set[int]:
    found: set[int] = set()
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found |= {child} | descendants(child)
    return found


@contextmanager
def served(*arguments: str | Path, token: str | None = None) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """The process, and a client of it; it is told to stop at the end."""
    variables = environment() | ({} if token is None else {"SELFPLAY_SERVE_TOKEN": token})
    process = subprocess.Popen(
        command("serve", "--port", "0", *arguments),
        cwd=ROOT,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        found = re.search(r"http://\S+", first)
        assert found, first + process.communicate(timeout=60)[1]
        with httpx.Client(base_url=found.group(), timeout=60, trust_env=False) as client:
            yield process, client
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    file = tmp_path_factory.mktemp("serve") / "serve.json"
    file.write_text(json.dumps({"verifiers": {"math": {"params": {"deadline_s": 1.0}}}}))
    with served("--verifiers", "code", "--verifiers-file", file, "--workers", "1") as (_, found):
        yield found


def test_the_curl_example_gives_the_answer_shown(client: httpx.Client) -> None:
    example = block("bash", "/v1/score").replace("http://127.0.0.1:8700", str(client.base_url).rstrip("/"))
    done = subprocess.run(["bash", "-c", example], capture_output=True, text=True, timeout=60, check=True)
    answer = json.loads(done.stdout)
    for verdict in answer["verdicts"]:
        assert set(verdict) - {"details", "seconds"} == {"id", "verifier", "passed", "reward", "status", "reason"}
        for name in ("reason", "details", "seconds"):
            verdict.pop(name)
    assert answer == json.loads(block("json", '"verdicts"'))


def test_right_wrong_and_not_checked(client: httpx.Client) -> None:
    call = {"verifier": "code", "tests": [{"args": [1, 2], "expected": 3}], "entry_point": "add"}
    items = [
        {"verifier": "code", "completion": GOOD, "tests": DOUBLE},
        {"verifier": "code", "completion": "```python\nprint(5)\n```", "tests": DOUBLE},
        {"verifier": "code", "completion": "```python\nprint(input(\x00))\n```", "tests": DOUBLE},
        {"verifier": "code", "completion": "no program", "tests": DOUBLE},
        {"verifier": "code", "completion": GOOD},
        {"completion": "```python\ndef add(a, b):\n    return a + b\n```"} | call,
        {"verifier": "math", "answer": "x+1", "completion": r"\boxed{9^{9^{9^{9^9}}}}"},
        {"verifier": "math", "answer": "(x+1)^2", "completion": r"\boxed{x^2+2x+1}"},
    ]
    verdicts = client.post("/v1/score", json={"items": items}).json()["verdicts"]
    assert [row["passed"] for row in verdicts] == [True, False, False, False, None, True, verdicts[6]["passed"], True]
    assert verdicts[6]["passed"] is not True
    assert [row["status"] for row in verdicts[:6]] == [
        "accepted",
        "wrong_answer",
        "runtime_error",
        "no_answer",
        "not_checked",
        "accepted",
    ]


def loaded(name: str, folder: Path, client: httpx.Client, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names in an example file, run against the service."""
    monkeypatch.setenv("REWARD_URL", str(client.base_url).rstrip("/"))
    source = block("python", name)
    names: dict[str, Any] = {}
    exec(compile(source, str(folder / name), "exec"), names)
    return names


def test_the_file_for_verl(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compute_score = loaded("verl_reward.py", tmp_path, client, monkeypatch)["compute_score"]

    def scored(solution: str, truth: Any, **kwargs: Any) -> Any:
        return compute_score(
            data_source="own", solution_str=solution, ground_truth=truth, extra_info={"num_turns": 2}, **kwargs
        )

    assert scored(r"\boxed{4}", "4") == {"score": 1.0, "checked": 1.0}
    assert scored(r"\boxed{5}", 4) == {"score": 0.0, "checked": 1.0}
    assert scored(r"\boxed{5}", "", unchecked=0.25) == {"score": 0.25, "checked": 0.0}
    assert scored(GOOD, json.dumps({"tests": DOUBLE}), verifier="code")["score"] == 1.0
    assert scored(GOOD, {"tests": DOUBLE}, verifier="code")["score"] == 1.0


def test_the_file_for_trl(client: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served_reward = loaded("trl_reward.py", tmp_path, client, monkeypatch)["served_reward"]
    chats = [[{"role": "assistant", "content": text}] for text in (r"\boxed{4}", r"\boxed{5}", "4")]
    assert served_reward(prompts=["p"] * 3, completions=chats, answer=["4", "4", None]) == [1.0, 0.0, None]
    assert served_reward(completions=[r"\boxed{4}"], answer=["4"]) == [1.0]


def test_what_openrlhf_sends() -> None:
    """As its client does: by requests, with the token in the address, to make tensors of the lists in the answer."""
    import requests

    with served("--verifiers", "math", token=TOKEN) as (_, client):
        url = f"http://any:{TOKEN}@{client.base_url.host}:{client.base_url.port}/v1/openrlhf?verifier=math"
        prompt = "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n"
        texts = ["It is \\boxed{4}<|im_end|>", "It is 5.<|im_end|>", "It is \\boxed{4}"]
        data = {"query": [prompt + text for text in texts], "prompts": [prompt] * 3, "labels": ["4", "4", ""]}
        answer = requests.post(url=url, json=data, headers={"Content-Type": "application/json"}, timeout=180)
        answer.raise_for_status()
        info = answer.json()
        logs = {"not_checked": [0.0, 0.0, 1.0], "passed": [1.0, 0.0, 0.0]}
        assert info == {"rewards": [1.0, 0.0, 0.5], "scores": [1.0, 0.0, 0.5], "extra_logs": logs}
        assert client.get("/v1/verifiers").status_code == 401


def test_the_verifiers_file_of_the_docs(tmp_path: Path) -> None:
    readme = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    (tmp_path / "my_rules.py").write_text(next(text for text in readme if "my_rules.py" in text))
    (tmp_path / "serve.yaml").write_text(block("yaml", "my_rules").replace("workers: 8", "workers: 1"))
    variables = environment() | {"PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    process = subprocess.Popen(
        command("serve", "--port", "0", "--verifiers-file", tmp_path / "serve.yaml"),
        env=variables,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("serving math, boxed, code, mine on http://127.0.0.1:")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_stopping_finishes_what_runs_and_leaves_nothing() -> None:
    with served("--verifiers", "math,code", "--workers", "1") as (process, client):
        answers: list[httpx.Response] = []
        items = [{"verifier": "code", "completion": SLOW, "tests": DOUBLE}] * 2
        sender = threading.Thread(target=lambda: answers.append(client.post("/v1/score", json={"items": items})))
        sender.start()
        running = 'selfplay_reward_running_items{verifier="code"} 2.0'
        until = time.monotonic() + 60
        while running not in client.get("/metrics").text:
            assert time.monotonic() < until
            time.sleep(0.02)
        family = descendants(process.pid)
        assert family
        process.send_signal(signal.SIGTERM)
        sender.join(60)
        assert [row["status"] for row in answers[0].json()["verdicts"]] == ["accepted", "accepted"]
        assert process.wait(60) == 0
        with pytest.raises(httpx.ConnectError):
            client.get("/health")
        until = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in family):
            assert time.monotonic() < until, "processes are left"
            time.sleep(0.02)
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "names no verifier; for example --verifiers math,code"),
        (["--verifiers", "maths"], "did you mean math"),
        (["--verifiers", "math", "--host", "0.0.0.0"], "it needs a token; set SELFPLAY_SERVE_TOKEN"),
        (["--verifiers", "math", "--host", "::"], "it needs a token"),
        (["--verifiers", "math", "--host", "nowhere.invalid"], "--host nowhere.invalid"),
        (["--verifiers", "math", "--token-file", "/nonexistent"], "--token-file /nonexistent: cannot be read"),
        (["--verifiers", "math", "--token-file", "/dev/null"], "/dev/null: cannot be read (is a device)"),
        (["--verifiers", "math", "--verifiers-file", "/nonexistent"], "/nonexistent: cannot be read"),
        (["--verifiers", "math", "--limit", "max_itms=3"], "there is no such limit; there are: max_items"),
        (["--verifiers", "math", "--limit", "max_items=many"], "--limit max_items: Input should be a valid integer"),
        (["--verifiers", "math", "--limit", "queue_items=3"], "would never find room"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_served_is_refused_in_one_sentence(arguments: list[str], says: str) -> None:
    done = selfplay("serve", "--port", "0", *arguments)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert done.stdout == ""


def test_no_sandbox_no_code_verifier(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("verifiers: {code: }\nsandbox: {packages: [no_such_package]}\n")
    done = selfplay("serve", "--port", "0", "--verifiers-file", file)
    assert done.returncode == 2
    assert done.stderr.startswith("verifier code runs programs, and has no sandbox here: ")
    assert "no_such_package" in done.stderr
    file.write_text("verifiers: {code: }\nsandbox: {backend: none-such}\n")
    done = selfplay("serve", "--port", "0", "--verifiers-file", file)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{file}: sandbox.backend: Input should be 'auto'")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_answers_are_not_held_back(host: str) -> None:
    """asyncio sets TCP_NODELAY only where the socket's protocol is TCP by name."""
    with bind(host, 0, None) as listening, socket.create_connection(listening.getsockname()[:2]) as client:
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.proto == socket.IPPROTO_TCP
            client.sendall(b"x")
            assert accepted.recv(1) == b"x"


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = selfplay("serve", "--verifiers", "math", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "--port" in done.stderr


def test_a_missing_extra_is_named() -> None:
    missing = "import sys\nsys.modules['uvicorn'] = None\n"
    code = f"{missing}from selfplay.cli.app import app\napp(['serve', '--verifiers', 'math'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment(), check=False
    )
    assert done.returncode == 2
    assert done.stderr == ("selfplay serve needs uvicorn: install the extra with `pip install 'promptcot[serve]'`\n")
