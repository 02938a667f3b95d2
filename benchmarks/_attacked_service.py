"""Latency of honest requests to the reward service, quiet and under attack by twenty hostile clients."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

import httpx

from benchmarks._service_attacks import BODIES, SOCKETS, WORK

CLIENTS, WARM_UP_S, QUIET_S, SETTLE_S, ATTACK_S = 20, 2.0, 6.0, 4.0, 15.0
_PATIENCE_S = 10.0
"""For one answer, which counts as late after that, and for the end of the attackers: no run takes much longer than
its parts."""
_HONEST = [
    ("1/2", r"So it is \boxed{\frac{2}{4}}."),
    ("42", r"We get \boxed{42}."),
    ("x^2+2x+1", r"Hence \boxed{(x+1)^2}."),
    ("7", r"Thus \boxed{8}."),
    (r"\frac{\pi}{2}", r"The area is \boxed{\pi/2}."),
]


class _Watch:
    """Sends honest items one after the other, and asks for health, each from a connection that is kept."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=_PATIENCE_S, trust_env=False)
        self._sent = 0
        self.refused = self.late = 0

    def watch(self, seconds: float) -> tuple[list[float], list[float]]:
        """Seconds that each item and each question for health took, for so long."""
        items: list[float] = []
        health: list[float] = []
        until = time.perf_counter() + seconds
        while (begun := time.perf_counter()) < until:
            answer, completion = _HONEST[self._sent % len(_HONEST)]
            self._sent += 1
            item = {"verifier": "math", "answer": answer, "completion": f"{self._sent}. {completion}"}
            status = self._status("POST", "/v1/score", {"items": [item]})
            asked = time.perf_counter()
            if status == 200 or not status:
                items.append(asked - begun)
            else:
                self.refused += 1
            self._status("GET", "/health")
            health.append(time.perf_counter() - asked)
            time.sleep(0.01)
        return items, health

    def _status(self, method: str, path: str, body: object = None) -> int:
        """The status code of an answer; 0 if there was none in time."""
        try:
            return self._client.request(method, path, json=body).status_code
        except httpx.TransportError:
            self.late += 1
            return 0

    def close(self) -> None:
        self._client.close()


def under_attack(url: str) -> dict[str, Any]:
    """All attacks that aim at the work, from addresses of their own, and from that of the honest client."""
    return {
        "from_other_addresses": attacked(url, apart=True, kinds="work"),
        "from_the_same_address": attacked(url, apart=False, kinds="work"),
        "math_and_programs_from_other_addresses": attacked(url, apart=True, kinds="math,program"),
    }


def _milliseconds(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [float("nan")]
    return {
        "p50_ms": round(1e3 * statistics.median(ordered), 2),
        "p95_ms": round(1e3 * ordered[int(0.95 * (len(ordered) - 1))], 2),
        "worst_ms": round(1e3 * ordered[-1], 1),
        "count": len(seconds),
    }


def _last_words(attackers: subprocess.Popen[str]) -> str:
    """What the attackers say at their end, for which they have so long."""
    try:
        return attackers.communicate("", timeout=_PATIENCE_S)[0]
    except subprocess.TimeoutExpired:
        attackers.kill()
        return attackers.communicate()[0] or "{}"


def attacked(url: str, *, apart: bool, kinds: str) -> dict[str, Any]:
    """Quiet figures and figures under attack of one service, and the ratio of the honest items' p50."""
    address = httpx.URL(url)
    watch = _Watch(url)
    watch.watch(WARM_UP_S)
    items, health = watch.watch(QUIET_S)
    wanted = {"all": [*BODIES, *SOCKETS], "work": list(WORK)}.get(kinds, kinds.split(","))
    command = [sys.executable, "-m", "benchmarks._service_attacks", address.host, str(address.port)]
    options = ["--clients", str(CLIENTS), "--kinds", ",".join(wanted), *(["--apart"] if apart else [])]
    # In a session of their own, by which some kernels share the processor out.
    attackers = subprocess.Popen(
        [*command, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        watch.watch(SETTLE_S)
        watch.refused = watch.late = 0
        under, health_under = watch.watch(ATTACK_S)
    finally:
        said = _last_words(attackers)
        watch.close()
    seen = json.loads(said)
    found: dict[str, Any] = {"quiet": _milliseconds(items), "attacked": _milliseconds(under)}
    return found | {
        "refused": watch.refused,
        "late": watch.late,
        "p50_ratio": round(statistics.median(under) / statistics.median(items), 2) if under else None,
        "health_quiet": _milliseconds(health),
        "health_attacked": _milliseconds(health_under),
        "attacks": sum(seen.values()),
        "seen": seen,
    }
