"""How `math` and `math_verify` agree, by notation: on pairs made here whose truth is known, and on labelled data.

Made pairs are a gold answer with another spelling of it, and with an answer of another value, COUNT of each a notation.
Labelled pairs come from `math/verification_cases.jsonl` in the folder that SELFPLAY_SHARED_DATA names; without it they
are left out. A verifier that could not check a pair is not right about it.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from verifiers.mathematics import MathVerifier, MathVerifyVerifier
from verifiers.mathematics.reading.forms import form_of
from verifiers.model import Task, Verdict


class LabelledPair(NamedTuple):
    """A gold answer, a completion, and whether it should pass."""

    gold: str
    completion: str
    equal: bool


Spelled = tuple[str, str, str]
"""A gold answer, another spelling of it, and an answer of another value."""


def _fraction(rng: random.Random) -> Spelled:
    value = Fraction(rng.randint(1, 60), rng.randint(2, 40))
    times = rng.randint(2, 5)
    top, bottom = value.numerator, value.denominator
    return rf"\frac{{{top}}}{{{bottom}}}", f"{top * times}/{bottom * times}", f"{top + 1}/{bottom}"


def _decimal(rng: random.Random) -> Spelled:
    value = Fraction(rng.randint(1, 999), rng.choice((2, 4, 5, 8, 10, 20, 40)))
    return f"{float(value):.6g}", rf"\frac{{{value.numerator}}}{{{value.denominator}}}", f"{float(value) + 0.01:.6g}"


def _percent(rng: random.Random) -> Spelled:
    value = rng.randint(1, 99)
    return rf"{value}\%", f"{value} percent", rf"{value + 1}\%"


def _thousands(rng: random.Random) -> Spelled:
    value = rng.randint(10_000, 9_999_999)
    return str(value), rng.choice((f"{value:,}", f"{value:,}".replace(",", "{,}"))), f"{value + 10:,}"


def _mixed_number(rng: random.Random) -> Spelled:
    whole, bottom = rng.randint(1, 20), rng.randint(3, 12)
    top = rng.randint(1, bottom - 1)
    improper = rf"\frac{{{whole * bottom + top}}}{{{bottom}}}"
    return improper, rf"{whole}\frac{{{top}}}{{{bottom}}}", rf"{whole + 1}\frac{{{top}}}{{{bottom}}}"


def _radical(rng: random.Random) -> Spelled:
    factor, inner = rng.randint(2, 20), rng.choice((2, 3, 5, 7, 11))
    return rf"{factor}\sqrt{{{inner}}}", rf"\sqrt{{{factor**2 * inner}}}", rf"\sqrt{{{factor**2 * inner + 1}}}"


def _power(rng: random.Random) -> Spelled:
    base, exponent = rng.randint(2, 9), rng.randint(20, 90)
    return f"{base}^{{{exponent}}}", rf"{base}\cdot {base}^{{{exponent - 1}}}", f"{base}^{{{exponent + 1}}}"


def _small_power(rng: random.Random) -> Spelled:
    exponent = rng.randint(20, 90)
    return f"2^{{-{exponent}}}", rf"\frac{{1}}{{2^{{{exponent}}}}}", f"2^{{-{exponent + 1}}}"


def _set(rng: random.Random) -> Spelled:
    members = rng.sample(range(-30, 30), rng.randint(2, 4))
    return _joined(r"\{", members, r"\}"), _joined(r"\{", members[::-1], r"\}"), _joined(r"\{", members[:-1], r"\}")


def _interval(rng: random.Random) -> Spelled:
    low, high = sorted(rng.sample(range(-30, 30), 2))
    return f"[{low},{high})", rf"\left[{low},\, {high}\right)", f"[{low},{high}]"


def _inequality(rng: random.Random) -> Spelled:
    low, high = sorted(rng.sample(range(-30, 30), 2))
    return f"({low},{high}]", rf"{low} < x \le {high}", rf"{low} \le x \le {high}"


def _union(rng: random.Random) -> Spelled:
    a, b, c = sorted(rng.sample(range(-30, 30), 3))
    left, right = rf"(-\infty,{a})", f"({b},{c})"
    return rf"{left}\cup{right}", rf"{right} \cup {left}", rf"{left}\cup({b},{c}]"


def _tuple(rng: random.Random) -> Spelled:
    first, second = rng.sample(range(-30, 30), 2)
    return f"({first},{second})", rf"\left( {first}, {second} \right)", f"({second},{first})"


def _list(rng: random.Random) -> Spelled:
    first, second = rng.sample(range(-30, 30), 2)
    return f"{first},{second}", rf"{second} \text{{ and }} {first}", f"{first},{second + 1}"


def _matrix(rng: random.Random) -> Spelled:
    a, b, c, d = (rng.randint(-9, 9) for _ in range(4))
    text = rf"\begin{{%s}} {a} & {b} \\ {c} & {d} \end{{%s}}"
    return text % (("pmatrix",) * 2), text % (("bmatrix",) * 2), text.replace(f"{d} ", f"{d + 1} ") % (("pmatrix",) * 2)


def _units(rng: random.Random) -> Spelled:
    value = rng.randint(2, 400)
    gold, unit, other = rng.choice(((r"\text{ cm}", " cm", " km"), (r"\text{ m}^2", r"\text{ m}^2", r"\text{ km}^2")))
    return f"{value}{gold}", f"{value}{unit}", f"{value}{other}"


def _money(rng: random.Random) -> Spelled:
    value = f"{rng.randint(1, 300)}.{rng.choice(('05', '50', '95'))}"
    return rf"\${value}", rng.choice((value, f"{value} dollars")), rf"\$1{value}"


def _degrees(rng: random.Random) -> Spelled:
    value = rng.randint(1, 179)
    return rf"{value}^\circ", rng.choice((str(value), f"{value} degrees")), rf"{value + 1}^\circ"


def _words(rng: random.Random) -> Spelled:
    one, other = rng.sample(("Evelyn", "even", "ellipse", "east", "hyperbola", "Monday", "yes", "tetrahedron"), 2)
    return rf"\text{{{one}}}", one, rf"\text{{{other}}}"


def _choice(rng: random.Random) -> Spelled:
    one, other = rng.sample("ABCDE", 2)
    return one, rng.choice((rf"\text{{({one})}}", f"({one})", rf"\textbf{{{one}}}")), rf"\text{{({other})}}"


def _assignment(rng: random.Random) -> Spelled:
    value = rng.randint(-50, 50)
    return str(value), f"x = {value}", f"x = {value + 1}"


def _equation(rng: random.Random) -> Spelled:
    a, b = rng.randint(2, 9), rng.randint(1, 30)
    return f"y = {a}x + {b}", f"{a}x - y + {b} = 0", f"y = {a}x - {b}"


def _polynomial(rng: random.Random) -> Spelled:
    a, b = rng.randint(1, 9), rng.randint(1, 9)
    return f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{b})", f"(x+{a})(x-{b})"


def _transcendental(rng: random.Random) -> Spelled:
    a = rng.randint(2, 40)
    gold, other = rng.choice(((rf"\ln {a * a}", rf"2\ln {a}"), (rf"\frac{{\pi}}{{{a}}}", rf"\pi/{a}")))
    return gold, other, f"{other} + 1"


def _calculus(rng: random.Random) -> Spelled:
    n = rng.randint(2, 9)
    other = rng.choice((rf"\int_0^1 {n} x^{{{n - 1}}}\,dx + {n}", rf"1 + \sum_{{k=1}}^{{{n}}} 1"))
    return str(n + 1), other, f"{other} + 1"


def _foreign(rng: random.Random) -> Spelled:
    a = rng.randint(2, 9)
    other = rng.choice(
        (
            rf"\operatorname{{tr}}\begin{{pmatrix}} {a} & 1 \\ 0 & 1 \end{{pmatrix}}",
            rf"\frac{{\partial}}{{\partial x}}({a + 1}x)",
        )
    )
    return str(a + 1), other, f"{other} + 1"


def _joined(opening: str, members: Sequence[int], closing: str) -> str:
    return opening + ", ".join(map(str, members)) + closing


NOTATIONS: Mapping[str, Callable[[random.Random], Spelled]] = {
    "fractions": _fraction,
    "decimals": _decimal,
    "percentages": _percent,
    "thousands": _thousands,
    "mixed numbers": _mixed_number,
    "radicals": _radical,
    "large powers": _power,
    "small powers": _small_power,
    "sets": _set,
    "intervals": _interval,
    "inequalities": _inequality,
    "unions": _union,
    "tuples": _tuple,
    "lists": _list,
    "matrices": _matrix,
    "units": _units,
    "money": _money,
    "degrees": _degrees,
    "words": _words,
    "choices": _choice,
    "x = value": _assignment,
    "equations": _equation,
    "polynomials": _polynomial,
    "logarithms, pi": _transcendental,
    "calculus": _calculus,
    "beyond our grammar": _foreign,
}


def made_pairs(count: int, seed: int = 0) -> Iterator[tuple[str, LabelledPair]]:
    """Yields pairs by notation: `count` of the same value, and as many of another."""
    for name, make in NOTATIONS.items():
        rng = random.Random(f"{seed}/{name}")
        for _ in range(count):
            gold, same, other = make(rng)
            yield name, LabelledPair(gold, rf"\boxed{{{same}}}", True)
            yield name, LabelledPair(gold, rf"\boxed{{{other}}}", False)


def labelled_pairs(file: Path) -> Iterator[tuple[str, LabelledPair]]:
    """Yields the pairs of a file by the notation of their gold answer, but for those that hinge on a convention."""
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["kind"] != "policy":
            yield _notation_of(row["gold"]), LabelledPair(row["gold"], row["pred"], row["expected"])


def _notation_of(gold: str) -> str:
    form = form_of(gold.strip("$ "))
    if form.unit is not None:
        return "units"
    if form.kind == "number":
        return "fractions" if "frac" in gold or "/" in gold else "decimals" if "." in gold else "whole numbers"
    names = {"formula": "formulas", "text": "words", "set": "sets", "list": "lists", "relation": "relations"}
    return names.get(form.kind, "tuples and intervals" if form.kind[0] in "([" else "other")


def compared(pairs: Sequence[tuple[str, LabelledPair]]) -> dict[str, dict[str, float]]:
    """Returns a row a notation: the pairs, the share on which the two agree, the share on which each is right, and how
    many pairs each passed wrongly or could not check."""
    items = [(Task(answer=pair.gold), pair.completion) for _, pair in pairs]
    verdicts: dict[str, list[Verdict]] = {}
    for verifier in (MathVerifier(), MathVerifyVerifier()):
        verdicts[verifier.name] = verifier.verify_many(items)
        verifier.close()
    rows: dict[str, dict[str, float]] = {}
    for name in [*dict.fromkeys(name for name, _ in pairs), "all"]:
        places = [at for at, (notation, _) in enumerate(pairs) if name in (notation, "all")]
        ours, theirs = ([verdicts[which][at].passed for at in places] for which in ("math", "math_verify"))
        truth = [pairs[at][1].equal for at in places]
        rows[name] = {"pairs": len(places), "agree": _share(ours, theirs)}
        for which, found in (("math", ours), ("math_verify", theirs)):
            passed_wrongly = sum(said is True and not true for said, true in zip(found, truth, strict=True))
            rows[name] |= {f"{which}_right": _share(found, truth), f"{which}_false_passes": passed_wrongly}
            rows[name][f"{which}_not_checked"] = found.count(None)
    return rows


def _share(some: Sequence[bool | None], others: Sequence[bool | None]) -> float:
    return round(sum(one is other for one, other in zip(some, others, strict=True)) / len(some), 4)


def run() -> dict[str, object]:
    """Compares the two on made pairs, and on labelled ones where the folder of the shared data is named."""
    figures: dict[str, object] = {"made": compared(list(made_pairs(int(os.environ.get("COUNT", "50")))))}
    file = Path(os.environ.get("SELFPLAY_SHARED_DATA", "/nonexistent")) / "math" / "verification_cases.jsonl"
    if file.is_file():
        figures["labelled"] = compared(list(labelled_pairs(file)))
    return figures
