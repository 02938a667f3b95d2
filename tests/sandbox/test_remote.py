"""The remote backend: the same executions as on this host, and never a verdict from a server that misbehaves."""

import ast
import base64
import gzip
import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox.inside import wire
from sandbox.model import Execution, Limits, Program, RemoteServer, SandboxUnavailable, Status
from sandbox.open import open_sandbox
from sandbox.probes import REACH
from sandbox.remote import backend as remote
from sandbox.remote import driver as remote_driver
from sandbox.remote.backend import RemoteSandbox
from sandbox.remote.fusion import FusionClient, _asked_pause, _TryAgain
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

sys.path.insert(0, str(Path(__file__).parent))
from fusion_server import (
    Answer,
    Contained,
    Fault,
    FusionServer,
    Uncontained,
    answers,
    cuts_the_answer,
    drips,
    hangs_up,
    never_answers,
    never_ends,
    serving,
)

LIMITS = Limits(cpu_s=5, wall_s=30, memory_mb=256, processes=16, output_bytes=1 << 20, disk_mb=8)
LIMITS_OF_SERVERS = (*REACH, "disk")
ONE = Program("print(int(input()) * 7)")
PAIR = Program("def f(x): return (x, {1: 'a'})")


@pytest.fixture(scope="module")
def running() -> Iterator[FusionServer]:
    with serving(Contained()) as server:
        yield server


@pytest.fixture
def server(running: FusionServer) -> FusionServer:
    running.reset()
    return running


def settings(server: FusionServer, **changes: Any) -> RemoteServer:
    return RemoteServer(server.url, **{"timeout_s": 5, "attempts": 3, "pause_s": 0.01, **changes})


@pytest.fixture
def sandbox(server: FusionServer) -> Iterator[RemoteSandbox]:
    with RemoteSandbox(settings(server)) as opened:
        yield opened


def run(sandbox: RemoteSandbox, source: str, data: bytes = b"", limits: Limits = LIMITS) -> Execution:
    return sandbox.run(Program(source), [data], limits)[0]


# What it gives


def test_programs_run_with_their_inputs_in_order(sandbox: RemoteSandbox) -> None:
    executions = sandbox.run(ONE, [b"%d\n" % n for n in range(6)], LIMITS)
    assert [e.stdout for e in executions] == [b"%d\n" % (7 * n) for n in range(6)]
    assert all(e.status is Status.OK and e.exit_code == 0 and e.peak_memory_mb > 1 for e in executions)


def test_bytes_are_carried_as_they_are(sandbox: RemoteSandbox) -> None:
    data = bytes(range(256)) * 40
    echo = "import sys; d = sys.stdin.buffer.read(); sys.stdout.buffer.write(d); sys.stderr.buffer.write(d[::-1])"
    execution = run(sandbox, echo, data)
    assert (execution.stdout, execution.stderr) == (data, data[::-1])


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("raise ValueError", Status.RUNTIME_ERROR),
        ("import os; os.kill(os.getpid(), 11)", Status.RUNTIME_ERROR),
        ("while True: pass", Status.TIME_LIMIT),
        ("import time; time.sleep(60)", Status.TIME_LIMIT),
        ("x = bytearray(1 << 40)", Status.MEMORY_LIMIT),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", Status.MEMORY_LIMIT),
        ("while True: print('x' * 4096)", Status.OUTPUT_LIMIT),
        ("import os\nwhile True: os.fork()", Status.RUNTIME_ERROR),
        ("for i in range(99): open(str(i), 'wb').write(bytes(1 << 20))", Status.RUNTIME_ERROR),
    ],
)
def test_statuses_are_those_of_this_host(sandbox: RemoteSandbox, source: str, status: Status) -> None:
    cpu_s, wall_s = (0.4, 0.8) if status is Status.TIME_LIMIT else (10, 20)
    limits = Limits(cpu_s=cpu_s, wall_s=wall_s, memory_mb=512, processes=16, output_bytes=1 << 18, disk_mb=8)
    execution = run(sandbox, source, limits=limits)
    assert execution.status is status, execution
    assert execution.reason


def test_calls_return_values(sandbox: RemoteSandbox) -> None:
    executions = sandbox.call(PAIR, "f", [[1], [{2}], [(3,)]], LIMITS)
    assert [e.value for e in executions] == [(1, {1: "a"}), ({2}, {1: "a"}), ((3,), {1: "a"})]
    together = sandbox.call_together(Program("def f(x): return x"), "f", [[2**70], ["\ud800"]], LIMITS)
    assert [e.value for e in together] == [2**70, "\ud800"]


def test_large_outputs_and_values_come_by_a_file(sandbox: RemoteSandbox, server: FusionServer) -> None:
    execution = run(sandbox, "import random; print(random.Random(1).randbytes(400_000).hex())")
    assert len(execution.stdout) == 800_001
    value = sandbox.call(Program("def f(): return 'x' * 2_000_000"), "f", [[]], LIMITS)[0].value
    assert value == "x" * 2_000_000
    huge = sandbox.call(Program("def f(): return 'x' * (20 << 20)"), "f", [[]], LIMITS)[0]
    assert huge.status is Status.RUNTIME_ERROR
    assert all(request["fetch_files"] == [remote_driver.REPORT_FILE] for request in server.requests)


def test_cpp_is_compiled_once(sandbox: RemoteSandbox, server: FusionServer) -> None:
    source = '#include <cstdio>\nint main(){int a; scanf("%d", &a); printf("%d", a * 7);}'
    executions = sandbox.run(Program(source, "cpp"), [b"1", b"2"], LIMITS)
    assert [e.stdout for e in executions] == [b"7", b"14"]
    assert sandbox.run(Program(source, "cpp"), [b"3"], LIMITS)[0].stdout == b"21"
    assert len(server.requests) == 4
    wrong = sandbox.run(Program("int main(){return x;}", "cpp"), [b"", b""], LIMITS)
    assert [e.status for e in wrong] == [Status.COMPILE_ERROR] * 2
    assert b"'x'" in wrong[0].stderr or "\u2018x\u2019".encode() in wrong[0].stderr


def test_set_order_is_fixed(sandbox: RemoteSandbox) -> None:
    order = {run(sandbox, "print(list({'a', 'b', 'c', 'd', 'e', 'f'}))").stdout for _ in range(3)}
    assert len(order) == 1


def test_environment_of_the_server_is_not_shown(sandbox: RemoteSandbox) -> None:
    shown = run(sandbox, "import os; print(sorted(os.environ), open('/proc/self/environ').read().count('SECRET'))")
    assert b"PATH" in shown.stdout
    assert shown.stdout.endswith(b" 0\n")
    assert b"CHANNEL" not in shown.stdout


# How it asks


def test_stop_ends_a_batch_early(sandbox: RemoteSandbox, server: FusionServer) -> None:
    seen: list[int] = []

    def stop(index: int, _: Execution) -> bool:
        seen.append(index)
        return index == 1

    assert len(sandbox.run(ONE, [b"1"] * 5, LIMITS, stop)) == 2
    assert len(sandbox.call(PAIR, "f", [[1]] * 5, LIMITS, stop)) == 2
    assert seen == [0, 1, 0, 1]
    assert len(server.requests) == 4
    assert server.most_at_once == 1


def test_without_stop_a_bounded_number_runs_at_a_time(server: FusionServer) -> None:
    with RemoteSandbox(settings(server, concurrency=2)) as sandbox:
        executions = sandbox.run(Program("import time; time.sleep(0.2); print(input())"), [b"1"] * 5, LIMITS)
    assert [e.stdout for e in executions] == [b"1\n"] * 5
    assert server.most_at_once == 2


def test_secrets_come_from_the_environment(server: FusionServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSION_TOKEN", " t0ken\n")
    monkeypatch.setenv("FUSION_TENANT", "blue")
    with RemoteSandbox(settings(server, token_env="FUSION_TOKEN", headers=(("X-Tenant", "FUSION_TENANT"),))) as sandbox:
        assert run(sandbox, "print(1)").stdout == b"1\n"
    assert server.headers[0]["Authorization"] == "Bearer t0ken"
    assert server.headers[0]["X-Tenant"] == "blue"
    for value in ("", "two\nlines"):
        monkeypatch.setenv("FUSION_TOKEN", value)
        with pytest.raises(SandboxUnavailable, match="FUSION_TOKEN"):
            RemoteSandbox(settings(server, token_env="FUSION_TOKEN"))


def test_the_request_is_one_of_run_code(sandbox: RemoteSandbox, server: FusionServer) -> None:
    run(sandbox, "print(1)")
    [request] = server.requests
    assert set(request) == {
        *("language", "code", "stdin", "run_timeout", "compile_timeout", "memory_limit_MB", "files", "fetch_files")
    }
    assert request["language"] == "python"
    assert request["run_timeout"] > LIMITS.wall_s
    assert request["memory_limit_MB"] > LIMITS.memory_mb


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://host:8080", "http://host:8080/run_code"),
        ("http://host:8080/", "http://host:8080/run_code"),
        ("https://host/some/run_code", "https://host/some/run_code"),
    ],
)
def test_endpoint(url: str, endpoint: str) -> None:
    assert RemoteServer(url).endpoint == endpoint


@pytest.mark.parametrize("url", ["host:8080", "ftp://host", "http://", "", "http://user:secret@host"])
def test_unusable_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        RemoteServer(url)


# Servers that misbehave

GARBAGE: dict[str, Fault] = {
    "no JSON": answers(200, b"<html>"),
    "empty": answers(200, b""),
    "list": answers(200, b"[]"),
    "deep": answers(200, b"[" * 200_000),
    "other shape": answers(200, b'{"stdout": "42\\n"}'),
    "unknown status": answers(200, b'{"status": "Fine"}'),
    "not UTF-8": answers(200, b'{"status": "\xff"}'),
    "wrong types": answers(200, b'{"status": "Success", "run_result": {"status": "Finished", "stdout": 42}}'),
    "nothing ran": answers(200, b'{"status": "Success"}'),
    "no report": answers(
        200, b'{"status": "Success", "run_result": {"status": "Finished", "return_code": 0, "stdout": "42\\n"}}'
    ),
    "sandbox error": answers(200, b'{"status": "SandboxError", "message": "no workers"}'),
    "time limit": answers(200, b'{"status": "Failed", "run_result": {"status": "TimeLimitExceeded"}}'),
    "not found": answers(404, b"{}"),
    "unauthorised": answers(401, b"{}"),
    "moved": answers(302, b"", Location="http://127.0.0.1:9/run_code"),
    "compressed": answers(200, gzip.compress(bytes(1 << 20)), Content_Encoding="gzip"),
    "endless": never_ends,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_unusable_answer_is_no_verdict(sandbox: RemoteSandbox, server: FusionServer, name: str) -> None:
    server.faults = [GARBAGE[name]]
    execution = run(sandbox, "print(1)")
    assert execution.status is Status.SANDBOX_ERROR, execution
    assert len(execution.reason) > 20
    assert len(server.requests) == 1, "it is not a fault that may pass"
    assert run(sandbox, "print(1)").status is Status.OK


PASSING: dict[str, Fault] = {
    "500": answers(500),
    "503": answers(503, b"", Retry_After="0"),
    "429": answers(429, b"{}", Retry_After="1"),
    "cut": cuts_the_answer,
    "hung up": hangs_up,
}


@pytest.mark.parametrize("name", PASSING)
def test_fault_that_may_pass_is_tried_again(sandbox: RemoteSandbox, server: FusionServer, name: str) -> None:
    server.faults = [PASSING[name]]
    assert run(sandbox, "print(1)").status is Status.OK
    assert len(server.requests) == 2


@pytest.mark.parametrize("name", ["500", "cut"])
def test_fault_that_stays_is_no_verdict(sandbox: RemoteSandbox, server: FusionServer, name: str) -> None:
    server.faults = [PASSING[name]] * 3
    execution = run(sandbox, "print(1)")
    assert execution.status is Status.SANDBOX_ERROR
    assert len(server.requests) == 3


@pytest.mark.parametrize("drip", [False, True])
def test_answer_that_does_not_come_is_no_verdict(
    server: FusionServer, monkeypatch: pytest.MonkeyPatch, drip: bool
) -> None:
    monkeypatch.setattr(remote, "_DRIVER_S", 0.1)
    release = threading.Event()
    server.faults = [drips if drip else never_answers(release)] * 2
    with RemoteSandbox(settings(server, timeout_s=0.2, attempts=2)) as sandbox:
        execution = run(sandbox, "print(1)", limits=Limits(wall_s=0.1))
    release.set()
    assert execution.status is Status.SANDBOX_ERROR
    assert "in time" in execution.reason


def test_server_that_is_not_there_is_no_verdict() -> None:
    with RemoteSandbox(RemoteServer("http://127.0.0.1:9", attempts=2, pause_s=0.01)) as sandbox:
        executions = sandbox.run(ONE, [b"1"] * 20, LIMITS)
    assert [e.status for e in executions] == [Status.SANDBOX_ERROR] * 20
    assert "cannot be reached" in executions[0].reason


def test_a_server_that_fails_is_not_asked_for_a_whole_batch(sandbox: RemoteSandbox, server: FusionServer) -> None:
    server.faults = [answers(404)] * 50
    executions = sandbox.run(ONE, [b"1"] * 50, LIMITS)
    assert {e.status for e in executions} == {Status.SANDBOX_ERROR}
    assert len(server.requests) <= 8


def test_pause_that_a_server_asks_for_is_bounded(server: FusionServer) -> None:
    client = FusionClient(settings(server))
    for asked, least, most in (("86400", 30, 30), ("2", 2, 2), ("-5", 0, 1), ("Wed, 21 Oct 2026 07:28:00 GMT", 0, 1)):
        fault = _TryAgain("busy", _asked_pause(asked))
        state: Any = SimpleNamespace(attempt_number=1, outcome=SimpleNamespace(exception=lambda fault=fault: fault))
        assert least <= client._pause(state) <= most
    client.close()


def _forge(change: Callable[[bytes], bytes]) -> Callable[[Answer], Answer]:
    def forged(answer: Answer) -> Answer:
        printed = answer["run_result"]["stdout"].strip()
        nonce, body, _ = printed.split(":")
        body = base64.b64encode(change(base64.b64decode(body))).decode()
        answer["run_result"]["stdout"] = f"{nonce}:{body}:{nonce}"
        return answer

    return forged


@pytest.mark.parametrize(
    "change",
    [
        lambda body: b"",
        lambda body: body[:10],
        lambda body: body[:-1],
        lambda body: body + b"x",
        lambda body: bytes(wire.REPLY.size) + body[wire.REPLY.size :][:5],
        lambda body: b"\xff" * wire.REPLY.size + body[wire.REPLY.size :],
        lambda body: body[: wire.REPLY.size] + b"\xff" * 24 + body[wire.REPLY.size + 24 :],
    ],
)
def test_damaged_report_is_no_verdict(
    sandbox: RemoteSandbox, server: FusionServer, change: Callable[[bytes], bytes]
) -> None:
    server.change = _forge(change)
    assert run(sandbox, "print(1)").status is Status.SANDBOX_ERROR


def test_report_of_another_request_is_no_verdict(sandbox: RemoteSandbox, server: FusionServer) -> None:
    earlier: list[Answer] = []

    def repeat(answer: Answer) -> Answer:
        earlier.append(answer)
        return earlier[0]

    server.change = repeat
    assert run(sandbox, "print(1)").status is Status.OK
    assert run(sandbox, "print(2)").status is Status.SANDBOX_ERROR


def test_missing_file_is_no_verdict(sandbox: RemoteSandbox, server: FusionServer) -> None:
    server.change = lambda answer: {**answer, "files": {}}
    assert run(sandbox, "print(1)").status is Status.OK
    execution = run(sandbox, "print('x' * 500_000)")
    assert execution.status is Status.SANDBOX_ERROR
    assert "fetch_files" in execution.reason


# Programs that misbehave


@pytest.mark.parametrize(
    "body",
    [
        "import os\ndef f(): os._exit(0)",
        "def f():\n    print('V', 42, {'value': 42}, flush=True)\n    raise SystemExit(0)",
        "import os\ndef f():\n    os.write(1, b'0' * 32 + b':AAAA:' + b'0' * 32)\n    os._exit(0)",
        "import os\ndef f():\n    open('../sandbox-report', 'wb').write(b'0' * 4000)\n    os._exit(0)",
        "class A(int):\n    def __eq__(self, o): return True\ndef f(): return A(1)",
    ],
)
def test_forged_results_gain_nothing(sandbox: RemoteSandbox, body: str) -> None:
    execution = sandbox.call(Program(body), "f", [[]], LIMITS)[0]
    assert execution.status is Status.RUNTIME_ERROR, execution
    assert execution.value is None


def test_a_program_does_not_hold_the_nonce(sandbox: RemoteSandbox, server: FusionServer) -> None:
    look = (
        "import re\n"
        "found = set()\n"
        "with open('/proc/self/maps') as maps, open('/proc/self/mem', 'rb', 0) as memory:\n"
        "    for line in maps:\n"
        "        begin, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
        "        if line.split()[1].startswith('r') and '[v' not in line:\n"
        "            memory.seek(begin)\n"
        "            found |= set(re.findall(rb'[0-9a-f]{32}', memory.read(end - begin)))\n"
        "known = '0123456789abcdef' * 2\n"
        "print(known.encode() in found, sorted(found))"
    )
    execution = run(sandbox, look)
    assert execution.stdout.startswith(b"True"), "the search works"
    assert server.requests[0]["stdin"][-32:].encode() not in execution.stdout


def test_program_that_ends_its_driver_gets_no_verdict(sandbox: RemoteSandbox) -> None:
    kill = "import os, time\nprint('done', flush=True)\nos.kill(os.getppid(), 9)\ntime.sleep(9)"
    execution = run(sandbox, kill)
    assert execution.status is Status.SANDBOX_ERROR
    assert "without a report" in execution.reason


def test_what_a_program_leaves_behind_is_ended(sandbox: RemoteSandbox) -> None:
    daemon = (
        "import os, time\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0: time.sleep(100)\n    os._exit(0)\n"
        "os.wait()"
    )
    execution = run(sandbox, daemon)
    assert execution.status is Status.OK
    assert execution.wall_s < 60


# Around it


def test_live_test_finds_what_the_server_lacks(server: FusionServer) -> None:
    with pytest.raises(SandboxUnavailable, match="remote cannot enforce disk, other_processes on its server"):
        open_sandbox("remote", server=settings(server))
    asked = len(server.requests)
    with open_sandbox("remote", waive=["disk", "other_processes"], server=settings(server)) as sandbox:
        assert len(server.requests) == asked, "the live test runs once"
        assert sandbox.run(ONE, [b"6"], LIMITS)[0].stdout == b"42\n"
        assert sandbox.unenforced == {"disk", "other_processes"}


def test_server_without_isolation_is_refused() -> None:
    with serving(Uncontained()) as server:
        with pytest.raises(SandboxUnavailable, match="disk, host_read, host_write, network, other_processes"):
            open_sandbox("remote", server=settings(server))
        with open_sandbox("remote", waive=LIMITS_OF_SERVERS, server=settings(server)) as sandbox:
            assert sandbox.run(ONE, [b"6"], LIMITS)[0].stdout == b"42\n"


def test_server_that_runs_nothing_is_refused(server: FusionServer) -> None:
    server.faults = [answers(401)]
    with pytest.raises(SandboxUnavailable, match="is the token right"):
        open_sandbox("remote", waive=LIMITS_OF_SERVERS, server=settings(server, concurrency=3))


def test_backend_and_server_go_together(server: FusionServer) -> None:
    for backend, given in (("remote", None), ("bubblewrap", settings(server)), ("auto", settings(server))):
        with pytest.raises(ValueError, match="needs a server"):
            open_sandbox(backend, server=given)


def test_verifier_judges_by_it(server: FusionServer) -> None:
    verifier = CodeVerifier(workers=2, open_sandbox=lambda: RemoteSandbox(settings(server)))
    task = Task(tests=(Test("2\n", "1975308642\n"), Test("3\n", "2962962963\n")))
    right, wrong = "```python\nprint(int(input()) * 987654321)\n```", "```python\nprint(1975308642)\n```"
    statuses = [v.status for v in verifier.verify_many([(task, right), (task, wrong)])]
    assert statuses == ["accepted", "wrong_answer"]
    sent = json.dumps(server.requests)
    assert "2962962963" not in sent
    assert base64.b64encode(b"2962962963").decode()[:12] not in sent
    server.faults = [answers(500)] * 100
    broken = verifier.verify(task, right)
    assert (broken.status, broken.reward) == ("not_checked", None)
    verifier.close()


def test_the_shipped_code_needs_no_new_python() -> None:
    for name, text in remote._shipped_modules():
        ast.parse(text, name, feature_version=(3, 9))
    outside = {"sandbox", *sys.stdlib_module_names}
    for _, text in remote._shipped_modules():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= outside
            elif isinstance(node, ast.ImportFrom):
                assert str(node.module).split(".")[0] in outside


def test_close_twice_then_use_is_refused(server: FusionServer) -> None:
    sandbox = RemoteSandbox(settings(server))
    sandbox.close()
    sandbox.close()
    with pytest.raises(RuntimeError, match="closed"):
        sandbox.run(ONE, [b"1"], LIMITS)
