"""Hostile clients of the reward service, for its benchmark, its tests and its soak.

`python -m benchmarks._service_attacks HOST PORT` attacks until its standard input ends.
Each attack is made by chance from a seed. They come over plain sockets, since no HTTP library would send most of them.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

Address = tuple[str, int]
_JSON = b"Content-Type: application/json\r\n"
_TOWERS = (
    r"9^{9^{9^{9}}}",
    r"9^9^9^9",
    r"(((10!)!)!)!",
    r"\binom{10^{9}}{5\cdot 10^{8}}",
    r"\sum_{k=1}^{10^{12}} \frac{1}{k^{k}}",
    r"\int_0^1 x^x dx",
    r"\sqrt[7]{2^{999999999}}+x",
    r"\prod_{n=1}^{10^9} (x+n)",
)
_SPINS = (
    "while True: pass",
    "x = 'a'\nwhile True: x += x",
    "import os\nwhile True: os.fork()",
    "print('x' * 10**9)",
    "import time\ntime.sleep(60)",
    "raise SystemExit(0)",
)
_ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    1e308,
    10**400,
    "",
    "\x00",
    [],
    {},
    [[[]]],
    {"a": {"b": []}},
    "x" * 5000,
    [None],
)
_FIELDS = (
    *("verifier", "id", "completion", "answer", "problem", "tests", "entry_point", "language", "time_limit_s"),
    *("memory_mb", "float_tolerance", "tolerance_kind", "comparison", "checker", "__class__"),
)
_GOLDS = (
    "",
    " " * 5000,
    "{" * 4000,
    r"\text{" * 2000,
    "1" * 4000,
    "x+" * 900 + "1",
    "5!" + "!" * 400,
    "\\frac{1}{" * 300,
)


def _item(**fields: Any) -> dict[str, Any]:
    return {"verifier": "math", "answer": "4", "completion": r"\boxed{4}"} | fields


def _items(*items: dict[str, Any]) -> bytes:
    return json.dumps({"items": items}).encode()


def _math(rng: random.Random) -> bytes:
    tower = rng.choice(_TOWERS).replace("9", str(rng.randint(7, 9)), 1)
    return _items(*[_item(answer="x+1", completion=rf"\boxed{{{tower}+{at}}}") for at in range(rng.randint(1, 4))])


def _nest(rng: random.Random) -> bytes:
    deep = rng.choice((100, 1000, 5000))
    pairs = (("(", ")"), (r"\frac{1}{", "}"), (r"\sqrt{", "}"), ("{", "}"), ("-", ""), (r"\left[", r"\right]"))
    left, right = rng.choice(pairs)
    return _items(_item(answer=rng.choice(_GOLDS), completion=rf"\boxed{{{left * deep}x{right * deep}}}"))


def _gold(rng: random.Random) -> bytes:
    return _items(_item(answer=rng.choice(_GOLDS + _TOWERS)))


def _program(rng: random.Random) -> bytes:
    tests = [{"input": "2\n", "output": "4\n"}] * rng.randint(1, 3)
    source = f"```python\n{rng.choice(_SPINS)}\n```"
    return _items(_item(verifier="code", completion=source, tests=tests, time_limit_s=rng.choice((1.0, 5.0))))


def _huge(rng: random.Random) -> bytes:
    count = rng.randint(1, 12)
    return _items(*[_item(completion=rng.choice(("x", "\n", '"', "é")) * 900_000) for _ in range(count)])


def _many(rng: random.Random) -> bytes:
    return _items(*[_item(answer=str(at), completion=f"\\boxed{{{at}}}") for at in range(rng.choice((2000, 16_000)))])


def _structure(rng: random.Random) -> bytes:
    return b'{"items": [' + rng.choice((b"{},", b"[],", b"null,", b'{"tests":[{}]},')) * 100_000 + b"{}]}"


def _deep(rng: random.Random) -> bytes:
    deep = rng.choice((150, 199, 3000, 50_000))
    if rng.random() < 0.5:
        return b'{"items": [{"completion": "", "tests": [{"args": %s, "expected": 1}]}]}' % (b"[" * deep + b"]" * deep)
    return b'{"items": ' + b'{"a":' * deep + b"1" + b"}" * deep + b"}"


def _types(rng: random.Random) -> bytes:
    """A value of the wrong type in each field, the outer ones included."""
    if rng.random() < 0.2:
        return json.dumps(rng.choice((*_ODD, {"items": rng.choice(_ODD)}))).encode()
    return _items(_item(), _item(**{rng.choice(_FIELDS): rng.choice(_ODD)}))


def _numbers(rng: random.Random) -> bytes:
    odd = rng.choice(("NaN", "Infinity", "-Infinity", "1e999", "-0", "9" * 5000, "1e-400", "0x10", "1_0"))
    field = rng.choice(("answer", "id", "time_limit_s", "memory_mb", "float_tolerance"))
    return f'{{"items": [{{"verifier": "math", "completion": "", "{field}": {odd}}}]}}'.encode()


def _twice(rng: random.Random) -> bytes:
    field = rng.choice(_FIELDS[:4])
    return f'{{"items": [], "items": [{{"{field}": "a", "{field}": "b", "completion": "\\ud800"}}]}}'.encode()


def _torn(rng: random.Random) -> bytes:
    body = bytearray(_math(rng))
    for _ in range(rng.randint(1, 5)):
        body[rng.randrange(len(body))] = rng.randrange(256)
    return bytes(body[: rng.randint(1, len(body))])


BODIES: dict[str, Callable[[random.Random], bytes]] = {
    "math": _math,
    "nest": _nest,
    "gold": _gold,
    "program": _program,
    "huge": _huge,
    "many": _many,
    "structure": _structure,
    "deep": _deep,
    "types": _types,
    "numbers": _numbers,
    "twice": _twice,
    "torn": _torn,
}
"""Bodies of whole requests."""


def _head(extra: bytes = b"", path: bytes = b"/v1/score") -> bytes:
    return b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\n" + extra


def _post(body: bytes, extra: bytes = _JSON) -> bytes:
    return _head(extra + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)) + body


def _half_headers(connection: socket.socket, rng: random.Random) -> None:
    head = _head(_JSON)
    connection.sendall(head[: rng.randint(0, len(head))])
    time.sleep(rng.uniform(0.5, 2.0))


def _dripping_headers(connection: socket.socket, rng: random.Random) -> None:
    for at in range(20):
        connection.sendall(b"X-%d: y\r\n" % at if at else _head())
        time.sleep(rng.uniform(0.05, 0.3))


def _huge_headers(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(_head() + b"X: " + b"y" * rng.choice((60_000, 1_000_000)) + b"\r\n\r\n")
    connection.recv(4096)


def _many_headers(connection: socket.socket, rng: random.Random) -> None:
    count = rng.choice((500, 5000))
    connection.sendall(_head() + b"".join(b"X-%d: y\r\n" % at for at in range(count)) + b"\r\n")
    connection.recv(4096)


def _slow_body(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(_head(_JSON + b"Content-Length: 5000\r\n\r\n"))
    for _ in range(10):
        connection.sendall(b" ")
        time.sleep(rng.uniform(0.05, 0.3))


def _no_body(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(_head(_JSON + b"Content-Length: 30000000\r\n\r\n"))
    time.sleep(rng.uniform(0.5, 2.0))


def _leaves(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(_post(rng.choice((_math, _program, _many, _huge))(rng)))


def _leaves_by_reset(connection: socket.socket, rng: random.Random) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    body = _post(_math(rng))
    connection.sendall(body[: rng.randint(1, len(body))])


def _idle(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    connection.recv(4096)
    time.sleep(rng.uniform(0.5, 2.0))


def _never_reads(connection: socket.socket, rng: random.Random) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.sendall(_post(_many(rng)))
    time.sleep(rng.uniform(1.0, 3.0))


def _pipelined(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * rng.randint(2, 200))
    connection.recv(4096)


def _no_http(connection: socket.socket, rng: random.Random) -> None:
    connection.sendall(rng.choice((b"\x16\x03\x01\x02\x00" + rng.randbytes(200), b"\r\n" * 500, rng.randbytes(3000))))
    connection.recv(4096)


def _chunks(connection: socket.socket, rng: random.Random) -> None:
    head = _head(_JSON + b"Transfer-Encoding: chunked\r\n\r\n")
    connection.sendall(
        head + rng.choice((b"FFFFFFFFFFFFFFFFFF\r\n", b"1\r\n{\r\n" * 500, b"-1\r\n", b"0;" + b"x" * 9000))
    )
    connection.recv(4096)


def _chopped(connection: socket.socket, rng: random.Random) -> None:
    pieces = b"".join(b"1\r\n%c\r\n" % byte for byte in b'{"items": []}' + b" " * rng.choice((3_000, 100_000)))
    connection.sendall(_head(_JSON + b"Transfer-Encoding: chunked\r\n\r\n") + pieces + b"0\r\n\r\n")
    connection.recv(4096)


SOCKETS: dict[str, Callable[[socket.socket, random.Random], None]] = {
    part.__name__[1:]: part
    for part in (
        *(_half_headers, _dripping_headers, _huge_headers, _many_headers, _slow_body, _no_body, _leaves),
        *(_leaves_by_reset, _idle, _never_reads, _pipelined, _no_http, _chunks, _chopped),
    )
}
"""What a client may do to a connection."""
_LAST_S = 3.0
"""How long attacks under way may take to end; the others are left out of what is told."""
WORK = ("math", "nest", "gold", "program", "huge", "many", "structure", "deep")
"""The attacks that aim at the work rather than at the connections."""


def attack(address: Address, kind: str, rng: random.Random, source: str = "", timeout_s: float = 120.0) -> str:
    """Makes one attack; returns the status code it got, or what became of it."""
    try:
        with socket.create_connection(address, timeout_s, (source, 0) if source else None) as connection:
            if kind in SOCKETS:
                SOCKETS[kind](connection, rng)
                return "done"
            connection.sendall(_post(BODIES[kind](rng)))
            answer = connection.recv(65536)
            while connection.recv(65536):
                pass
            return answer[9:12].decode("ascii", "replace") or "cut"
    except TimeoutError:
        return "silence"
    except OSError:
        return "cut"


def attack_until(
    stop: threading.Event, address: Address, seed: int, kinds: Sequence[str], source: str = ""
) -> Counter[str]:
    """One hostile client: attack upon attack; returns what became of them."""
    rng = random.Random(seed)
    seen: Counter[str] = Counter()
    while not stop.is_set():
        kind = rng.choice(kinds)
        seen[f"{kind} {attack(address, kind, rng, source)}"] += 1
    return seen


def main(arguments: Sequence[str] | None = None) -> int:
    """Attacks until standard input ends, then prints what became of it as JSON."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--kinds", default=",".join([*BODIES, *SOCKETS]))
    parser.add_argument("--apart", action="store_true", help="each client from an address of its own in 127.0.0.0/8")
    given = parser.parse_args(arguments)
    stop, seen, lock = threading.Event(), Counter[str](), threading.Lock()

    def one(seed: int) -> None:
        source = f"127.0.1.{seed + 1}" if given.apart else ""
        found = attack_until(stop, (given.host, given.port), seed, given.kinds.split(","), source)
        with lock:
            seen.update(found)

    threads = [threading.Thread(target=one, args=(seed,), daemon=True) for seed in range(given.clients)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    stop.set()
    until = time.monotonic() + _LAST_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    with lock:
        print(json.dumps(dict(sorted(seen.items()))))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
