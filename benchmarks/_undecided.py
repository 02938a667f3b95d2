"""Answers that nobody can work out, made at random by class, each with a plain gold."""

from __future__ import annotations

import random
from collections.abc import Callable

PLAIN = ["5", r"\frac{2}{3}", r"\sqrt{2}+1", "x^2+1", "(1,2)", r"\{1,3\}", r"\frac{\pi}{6}", "12.5", "x>2", "y=3x"]


def towers(rng: random.Random) -> str:
    exponents = [str(rng.randint(2, 99)) for _ in range(rng.randint(4, 9))]
    tower = "".join(f"{part}^{{" for part in exponents)[:-2] + "}" * (len(exponents) - 1)
    return rng.choice([tower, rf"\ln({tower})", rf"\frac{{1}}{{{tower}}}", f"{tower}+{rng.randint(1, 9)}", f"-{tower}"])


def binomials(rng: random.Random) -> str:
    top = 10 ** rng.randint(7, 40)
    return rng.choice(
        [rf"\binom{{{top}}}{{{top // rng.randint(2, 9)}}}", f"{top}!", f"({rng.randint(60, 999)}!)!", f"{top}!!!"]
    )


def nests(rng: random.Random) -> str:
    depth = rng.choice([30, 300, 900])
    opened, closed = rng.choice(
        [
            ("(", ")"),
            (r"\sqrt{", "}"),
            ("{", "}"),
            (r"\frac{1}{2+", "}"),
            ("-(", ")"),
            ("2^{", "}"),
            ("|", "|"),
            (r"\sin(", ")"),
        ]
    )
    return opened * depth + str(rng.randint(6, 9)) + closed * depth


def chains(rng: random.Random) -> str:
    return (
        str(rng.randint(6, 9))
        + rng.choice(["!", r"\%", "^2", "/3", "^{x}", "-", "^-", ":"]) * rng.choice([50, 500, 1400])
        + "1"
    )


def sums(rng: random.Random) -> str:
    parts = [
        rng.choice(["{}", r"\sqrt{{{}}}", "x^{{{}}}", r"\frac{{1}}{{{}}}"]).format(rng.randint(2, 99))
        for _ in range(rng.choice([40, 200, 350]))
    ]
    return rng.choice(["+", "-", r"\cdot ", "*"]).join(parts)[:3900].rpartition("}")[0] + "}+7"


def symbols(rng: random.Random) -> str:
    return "+".join(
        f"{rng.choice('abcdkmnpqrstuvw')}_{{{rng.randint(1, 999)}}}" for _ in range(rng.choice([20, 200, 400]))
    )


def calculus(rng: random.Random) -> str:
    n = rng.randint(2, 9)
    return rng.choice(
        [
            rf"\int_0^{n} x^{{x^{{x}}}} dx",
            rf"\int_0^1 \sin(x^{{{n}}}) e^{{x^{{{n + 1}}}}} dx",
            rf"\sum_{{k=1}}^{{10^{{{n + 6}}}}} \frac{{1}}{{k^k+{n}}}",
            rf"\prod_{{k=1}}^{{10^{n + 5}}} (k+{n})",
            rf"\lim_{{x\to 0}} \frac{{\sin(x^x)^{{x^{n}}}}}{{\ln x}}",
            rf"\sum_{{i=1}}^{{9}}\sum_{{j=1}}^{{10^{n}}}\sum_{{k=1}}^{{10^{n}}} \frac{{i}}{{j^k+k^j}}",
        ]
    )


CLASSES: dict[str, Callable[[random.Random], str]] = {
    one.__name__: one for one in (towers, binomials, nests, chains, sums, symbols, calculus)
}


def cases(name: str, count: int, seed: int = 0) -> list[tuple[str, str]]:
    """(gold, answer) pairs of a class."""
    rng = random.Random(f"{name} {seed}")
    return [(rng.choice(PLAIN), CLASSES[name](rng)) for _ in range(count)]
