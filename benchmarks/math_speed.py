"""How fast answers are compared: our rate against math-verify's parse and verify, in one process.

Pairs are made here: MATH-like answers of every kind (62% of them equal as strings, as with a decent model's
answers to MATH-500), and whole numbers. Caches are emptied before each pass except where the cache is what
is measured.
"""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks._undecided import CLASSES, cases
from verifiers.mathematics import MathVerifier
from verifiers.model import Task

Pair = tuple[str, str]
_PASSES = 5


def math_like_pairs(count: int = 3000, seed: int = 0) -> list[Pair]:
    """Returns (gold, answer) pairs: integers, fractions, radicals, points, intervals, polynomials, words."""
    rng = random.Random(seed)
    pairs: list[Pair] = []
    for at in range(count):
        gold, other = _KINDS[at % len(_KINDS)](rng)
        pairs.append((gold, gold if rng.random() < 0.62 else other))
    return pairs


def integer_pairs(count: int = 3000, seed: int = 0) -> list[Pair]:
    """Returns (gold, answer) pairs of whole numbers, four in five of them equal."""
    rng = random.Random(seed)
    golds = [rng.randint(-10_000, 10_000) for _ in range(count)]
    return [(str(gold), str(gold if rng.random() < 0.8 else gold + 1)) for gold in golds]


def _integer(rng: random.Random) -> Pair:
    value = rng.randint(-500, 2000)
    return str(value), str(value + rng.choice((0, 1)))


def _fraction(rng: random.Random) -> Pair:
    top, bottom = rng.randint(1, 99), rng.randint(2, 99)
    return rf"\frac{{{top}}}{{{bottom}}}", f"{top}/{bottom + rng.choice((0, 1))}"


def _radical(rng: random.Random) -> Pair:
    factor, inner = rng.randint(2, 20), rng.choice((2, 3, 5, 7, 11))
    return rf"{factor}\sqrt{{{inner}}}", rf"\sqrt{{{factor * factor * inner}}}"


def _point(rng: random.Random) -> Pair:
    first, second = rng.randint(-9, 9), rng.randint(1, 9)
    return rf"\left( {first}, \frac{{\pi}}{{{second}}} \right)", rf"({first}, \pi/{second})"


def _interval(rng: random.Random) -> Pair:
    low = rng.randint(-9, 9)
    return rf"({low},\infty)", f"x > {low}"


def _polynomial(rng: random.Random) -> Pair:
    first, second = rng.randint(1, 9), rng.randint(1, 9)
    return f"x^2+{first + second}x+{first * second}", f"(x+{first})(x+{second})"


def _angle(rng: random.Random) -> Pair:
    value = rng.randint(1, 180)
    return rf"{value}^\circ", str(value)


def _word(rng: random.Random) -> Pair:
    name = rng.choice(("Evelyn", "even", "ellipse", "east"))
    return rf"\text{{{name}}}", name


_KINDS: Sequence[Callable[[random.Random], Pair]] = (
    *(_integer, _integer, _integer, _integer, _fraction, _fraction),
    *(_radical, _point, _interval, _polynomial, _angle, _word),
)


def _seconds_per_pair(judge: Callable[[Pair], object], pairs: Sequence[Pair], reset: Callable[[], None]) -> float:
    """Returns the median over passes of the wall seconds per pair."""
    passes = []
    for _ in range(_PASSES):
        reset()
        gc.collect()
        begun = time.perf_counter()
        for pair in pairs:
            judge(pair)
        passes.append((time.perf_counter() - begun) / len(pairs))
    return statistics.median(passes)


def _peer(pair: Pair) -> object:
    from math_verify import parse, verify

    gold, answer = (parse(f"${text}$", parsing_timeout=None) for text in pair)
    return verify(gold, answer, timeout_seconds=None)


def algebra_pairs(count: int, seed: int = 0) -> list[Pair]:
    """Returns pairs that only the workers' algebra can decide, none of them twice."""
    rng = random.Random(seed)
    pairs: dict[Pair, None] = {}
    while len(pairs) < count:
        a, b, c = rng.randint(1, 400), rng.randint(1, 400), rng.randint(2, 30)
        pairs[rf"\frac{{x^2+{a + b}x+{a * b}}}{{{c}}}", rf"\frac{{1}}{{{c}}}(x+{a})(x+{b})"] = None
        pairs[rf"{a}\sqrt{{{c}}}+{b}", rf"{b}+\sqrt{{{a * a * c}}}"] = None
    return list(pairs)[:count]


def mixed_pairs(count: int, seed: int = 1) -> list[Pair]:
    """Returns MATH-like pairs among which one in three needs algebra, none of them twice."""
    hard = algebra_pairs(count // 3, seed)
    easy = [(str(n), str(n + n % 2)) for n in range(count - len(hard))]
    pairs = hard + easy
    random.Random(seed).shuffle(pairs)
    return pairs


def _batch(verifier: MathVerifier, pairs: Sequence[Pair]) -> tuple[float, float, float]:
    """Judges a batch; returns wall seconds, and the processor seconds of the caller and of the workers."""
    items = [(Task(answer=gold), rf"\boxed{{{answer}}}") for gold, answer in pairs]
    verifier.forget()
    gc.collect()
    workers, caller, begun = _worker_cpu_s(verifier), time.process_time(), time.perf_counter()
    verdicts = verifier.verify_many(items)
    wall, caller = time.perf_counter() - begun, time.process_time() - caller
    assert all(verdict.passed is not None for verdict in verdicts)
    return wall, caller, _worker_cpu_s(verifier) - workers


def _worker_cpu_s(verifier: MathVerifier) -> float:
    """Returns the processor seconds of the workers' children so far, of those that were renewed too."""
    ticks = 0
    pools = (verifier._comparer._readers, verifier._comparer._algebra)
    for worker in (worker for pool in pools for worker in pool._idle):
        keeper = worker.process.pid
        ticks += sum(_ticks(keeper)[2:])
        for child in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split():
            ticks += sum(_ticks(int(child))[:2])
    return ticks / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int) -> list[int]:
    """User and system time of a process, and of its children that have ended, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return [int(field) for field in fields[11:15]]


def scaling(pairs: Sequence[Pair], passes: int = _PASSES) -> dict[str, float]:
    """Returns what two workers gain over one on a batch: medians and minima of passes that alternate between the two.

    On a machine that others use, wall time says little: `bound` is the gain that the processor times allow on two
    cores, where the caller's own work is not spread.
    """
    verifiers = {count: MathVerifier(workers=count) for count in (1, 2)}
    for verifier in verifiers.values():
        _batch(verifier, pairs)
    measured: dict[int, list[tuple[float, float, float]]] = {1: [], 2: []}
    for _ in range(passes):
        for count, verifier in verifiers.items():
            measured[count].append(_batch(verifier, pairs))
    for verifier in verifiers.values():
        verifier.close()
    seconds = {count: [wall for wall, *_ in found] for count, found in measured.items()}
    caller = {count: statistics.median(cpu for _, cpu, _ in found) for count, found in measured.items()}
    workers = {count: statistics.mean(cpu for *_, cpu in found) for count, found in measured.items()}
    one, two = (statistics.median(seconds[count]) for count in (1, 2))
    return {
        "one_worker_ms": round(one * 1e3, 1),
        "two_workers_ms": round(two * 1e3, 1),
        "gain": round(one / two, 2),
        "best_gain": round(min(seconds[1]) / min(seconds[2]), 2),
        "caller_cpu_ms": round(caller[2] * 1e3, 1),
        "one_worker_cpu_ms": round(workers[1] * 1e3, 1),
        "two_workers_cpu_ms": round(workers[2] * 1e3, 1),
        "bound": round(max(workers[1], caller[1]) / max((workers[2] + caller[2]) / 2, caller[2]), 2),
    }


def kill_cost() -> dict[str, float]:
    """Returns what a hard kill costs a worker beyond the deadline: wall milliseconds to the next verdict."""
    verifier = MathVerifier(workers=1, deadline_s=0.2)
    verifier.compare(r"\sqrt{8}", r"2\sqrt{2}")
    costs = []
    for at in range(_PASSES):
        verifier.compare(r"\ln(9^{9^{9^{9}}})", str(at))
        begun = time.perf_counter()
        verifier.compare(rf"\sqrt{{{2 * (at + 3) ** 2}}}", rf"{at + 3}\sqrt{{2}}")
        after_kill = time.perf_counter() - begun
        begun = time.perf_counter()
        verifier.compare(rf"\sqrt{{{3 * (at + 3) ** 2}}}", rf"{at + 3}\sqrt{{3}}")
        costs.append(after_kill - (time.perf_counter() - begun))
    verifier.close()
    return {"kill_cost_ms": round(statistics.median(costs) * 1e3, 1)}


def against_peer(pairs: Sequence[Pair]) -> dict[str, float]:
    """Compares a batch with the library on the same pairs, by turns; each pass has workers that know nothing.

    Microseconds of processor time a pair, of the caller and the worker together, which is what one core does; and by
    the clock, in a batch and for a single verdict.
    """
    cpu, wall, theirs, single = [], [], [], []
    for _ in range(_PASSES):
        math = MathVerifier(workers=1)
        math.verify(Task(answer="1"), r"\boxed{1}")
        elapsed, caller, worker = _batch(math, pairs)
        cpu.append((caller + worker) / len(pairs))
        wall.append(elapsed / len(pairs))
        begun = time.perf_counter()
        for gold, text in pairs[:100]:
            math.verify(Task(answer=gold), rf"\boxed{{{text}}}")
        single.append((time.perf_counter() - begun) / 100)
        math.close()
        begun = time.process_time()
        for pair in pairs[:300]:
            _peer(pair)
        theirs.append((time.process_time() - begun) / 300)
    ours, peer = statistics.median(cpu), statistics.median(theirs)
    return {
        "batch_cpu_us": round(ours * 1e6, 1),
        "batch_us": round(statistics.median(wall) * 1e6, 1),
        "single_us": round(statistics.median(single) * 1e6, 1),
        "math_verify_cpu_us": round(peer * 1e6, 1),
        "ratio": round(peer / ours, 1),
    }


def undecided_cost(count: int = 40) -> dict[str, dict[str, float]]:
    """Returns what answers that nobody can work out cost a worker, by class: median and worst seconds, against plain
    golds; all are wrong."""
    found = {}
    for name in CLASSES:
        math = MathVerifier(workers=1)
        items = [(Task(answer=gold), rf"\boxed{{{text}}}") for gold, text in cases(name, count)]
        math.verify(*items[0])
        verdicts = [math.verify(*item) for item in items]
        math.close()
        seconds = [verdict.seconds for verdict in verdicts]
        found[name] = {
            "median_s": round(statistics.median(seconds), 4),
            "worst_s": round(max(seconds), 2),
            "wrong": sum(verdict.passed is False for verdict in verdicts) / count,
        }
    return found


def run() -> dict[str, object]:
    """Measures and returns the figures: microseconds a pair, and ratios of rates (ours over the peer's)."""
    math = MathVerifier(workers=1)
    math.compare(r"\sqrt{8}", r"2\sqrt{2}")
    _peer(("1", r"\frac{1}{2}"))
    sets = {"math_like": math_like_pairs(), "integers": integer_pairs()}
    results: dict[str, object] = {}
    for name, pairs in sets.items():
        results |= {f"{name}_{figure}": value for figure, value in against_peer(pairs).items()}
    for pair in sets["math_like"]:
        math.compare(*pair)
    repeated = _seconds_per_pair(lambda pair: math.compare(*pair), sets["math_like"], lambda: None)
    results["repeated_pairs_per_s"] = round(1 / repeated)
    math.close()
    results["scaling_algebra"] = scaling(algebra_pairs(300))
    results["scaling_mixed"] = scaling(mixed_pairs(900))
    results["undecided"] = undecided_cost()
    results |= kill_cost()
    return results
