"""Graders of others for math, written anew from the rules that they publish; no line of theirs is here.

- Qwen2.5-Math's (`evaluation/parser.py`, `evaluation/grader.py` of its repository): the last box, else what follows
  "the answer is", else the last number; both sides are rewritten by a list of replacements; numbers are equal within
  0.01%, also 100 times as large or as small; then tuples by members, equations by their difference, and algebra with
  three seconds. Where it reads LaTeX by `parse_latex` and `latex2sympy2`, this uses the successor of the latter, which
  math-verify brings; numbers in words, and Python's parser of expressions, which evaluates what it reads, are left out.
- lm-evaluation-harness's for GSM8K (`lm_eval/tasks/gsm8k/gsm8k.yaml`): `strict-match` takes the number behind the
  first "#### ", `flexible-extract` the last thing in the text that looks like one; what remains is compared as text
  without case, commas, dollar signs, a final dot and all up to "#### ".
"""

from __future__ import annotations

import math
import multiprocessing
import resource
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import re2


class Judged(NamedTuple):
    """Whether a grader passes a completion, and the text that it took for the answer; None where it found none."""

    passed: bool
    answer: str | None


Grader = Callable[[str, str, str], Judged]
"""A suite (gsm8k or another), a gold answer and a completion to what a grader says."""

TOLERANCE = 1e-4
DEADLINE_S = 3.0
MEMORY = 2 << 30

_NUMBER = re2.compile(r"-?[0-9]*\.?[0-9]+")
_WORDED_ENDS = ("he answer is", "final answer is")
_SYNONYMS = (
    *(("\\!", ""), ("\\left", ""), ("\\right", ""), ("\\{", "{"), ("\\}", "}"), ("tfrac", "frac"), ("dfrac", "frac")),
    *(("\\neq", "\\ne"), ("\\leq", "\\le"), ("\\geq", "\\ge"), ("bmatrix", "pmatrix")),
)
_DROPPED = (
    *("^{\\circ}", "^\\circ", "\\$", "$", "\\(", "\\)"),
    *(name + sign for name in "xyz" for sign in ("=", "\\in", "\\to")),
    *("\\%", "%", "\\mathbf", "and"),
)
_MBOX = re2.compile(r"\\mbox\{[^{}]*\}")
_LAST_TEXT = re2.compile(r"\\text\{[^{}]*\}$")
_TEXT = re2.compile(r"\\text\{([^{}]*)\}")
_TRAILING_ZEROS = re2.compile(r"([0-9])\.0*($|[^0-9])")
_ROOT = re2.compile(r"\\sqrt([0-9a-zA-Z]+)")
_BARE_FRACTION = re2.compile(r"\\frac([^{])([^{])")
_HALF_BARE_FRACTION = re2.compile(r"\\frac([^{])\{")
_SLASH = re2.compile(r"(-?[0-9]+)/([0-9]+)")
_UNITS = (
    *("mile", "meter", "cm", "km", "mm", "m", "feet", "ft", "inch", "inches", "unit", "square", "cubic", "sq", "kg"),
    *("degree", "deg", "hour", "hr", "h", "minute", "min", "second", "sec", "s", "day", "month", "year", "yr"),
    *("percent", "gallon", "gal", "liter", "litre", "yard", "acre", "pound", "lb", "g", "l", "c", "d", "a", "t", "o"),
    *("apple", "coin", "toy", "man", "men", "woman", "women", "number", "more", "less", "ratio", "prime", "per", "by"),
)
"""Of its list of some 130, with their plurals, those that a row here may have; single letters are among them there."""
_UNIT = re2.compile(r"(^|[^A-Za-z0-9_])(?:" + "|".join(f"{unit}s?" for unit in _UNITS) + r")($|[^A-Za-z0-9_])")
_PMATRIX = ("\\begin{pmatrix}", "\\end{pmatrix}")


def qwen_math(suite: str, gold: str, completion: str) -> Judged:
    """Qwen2.5-Math's rules."""
    answer = _qwen_answer(completion)
    known = (_qwen_answer(gold) or "") if "boxed" in gold else rewritten(gold)
    return Judged(answer is not None and _qwen_equal(answer, known), answer)


def _qwen_answer(completion: str) -> str | None:
    """The text that its rules take for the answer."""
    if "boxed" in completion:
        found = _boxed(completion.rpartition("boxed")[2])
    else:
        worded = next((end for end in _WORDED_ENDS if end in completion), None)
        if worded is not None:
            found = completion.rpartition(worded)[2]
        else:
            numbers = _NUMBER.findall(completion.replace(",", ""))
            found = numbers[-1] if numbers else ""
    found = "".join(found.strip().split("\n")).removeprefix(":").removesuffix(".").removesuffix("/")
    return rewritten(found) or None


def _boxed(after: str) -> str:
    """The content of the braces that a text begins with; without braces, what stands before the next dollar sign."""
    if not after.startswith("{"):
        return after.partition("$")[0]
    depth = 0
    for place, character in enumerate(after):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return after[1:place]
    return after[1:]


def rewritten(text: str) -> str:
    """An answer after all replacements, without blanks."""
    text = text.strip().replace("\n", "").rstrip(".")
    for old, new in _SYNONYMS:
        text = text.replace(old, new)
    text = _LAST_TEXT.sub("", text).strip() or text
    for _ in range(2):
        text = _UNIT.sub(r"\1\2", text) or text
    for part in _DROPPED:
        text = text.replace(part, "")
    text = _TEXT.sub(r"\1", text)
    text = _MBOX.sub("", text).replace(" .", " 0.").replace("{.", "{0.")
    text = text if "\\infty" in text else text.replace("infinity", "\\infty").replace("inf", "\\infty")
    text = text.replace("j", "i") if "i" not in text else text
    text = _TRAILING_ZEROS.sub(r"\1\2", text)
    text = f"0{text}" if text.startswith(".") else text
    left, equals, right = text.partition("=")
    text = right if equals and "=" not in right and len(left) <= 2 else text
    text = _ROOT.sub(r"\\sqrt{\1}", text).replace(" ", "")
    text = _HALF_BARE_FRACTION.sub(r"\\frac{\1}{", _BARE_FRACTION.sub(r"\\frac{\1}{\2}", text))
    whole = _SLASH.fullmatch(text)
    return f"\\frac{{{whole.group(1)}}}{{{whole.group(2)}}}" if whole else text


def _qwen_equal(answer: str, gold: str) -> bool:
    """Whether two rewritten texts are equal by its rules."""
    if answer.strip().lower() == gold.strip().lower():
        return True
    numbers = as_number(answer), as_number(gold)
    if numbers[0] is not None and numbers[1] is not None:
        scales = (numbers[1] / 100, numbers[1], numbers[1] * 100)
        return any(math.isclose(numbers[0], one, rel_tol=TOLERANCE) for one in scales)
    if not answer:
        return False
    if bare(answer, gold):
        return True
    for members in (_members, _entries):
        found, wanted = members(answer), members(gold)
        if found and wanted:
            return len(found) == len(wanted) and all(map(_qwen_equal, found, wanted))
    return _algebra(_compared_sides(answer, gold))


def bare(answer: str, gold: str) -> bool:
    """Whether they are the same without braces and round brackets, wherever these stand."""
    ends = [text[:1] + text[-1:] for text in (answer, gold)]
    if (ends[0] == "[]" and ends[1] != "()") or (ends[0] == "()" and ends[1] != "[]"):
        answer, gold = answer.strip("[]()"), gold.strip("[]()")
    first, second = ("".join(c for c in text if c not in "{}()").lower() for text in (answer, gold))
    return first == second


def _members(text: str) -> list[str]:
    """The parts of what begins with a round or square bracket and has a closing one."""
    return text[1:-1].split(",") if text[:1] in ("(", "[") and (")" in text[2:] or "]" in text[2:]) else []


def _entries(text: str) -> list[str]:
    """The entries of a matrix, with the end of each row marked."""
    if not (text.startswith(_PMATRIX[0]) and text.endswith(_PMATRIX[1])):
        return []
    rows = text[len(_PMATRIX[0]) : -len(_PMATRIX[1])].split("\\\\")
    return [entry for row in rows if row.strip() for entry in (*row.split("&"), ";")]


def _compared_sides(answer: str, gold: str) -> list[tuple[str, str]]:
    """What is to be equal: of two equations the differences of their sides, of one with a short left side its right."""
    if answer.count("=") == gold.count("=") == 1:
        one, other = (f"{left}-({right})" for left, _, right in (answer.partition("="), gold.partition("=")))
        return [(one, other), (f"-({one})", other)]
    for first, second in ((answer, gold), (gold, answer)):
        left, equals, right = first.partition("=")
        if equals and "=" not in right and len(left) <= 2 and "=" not in second:
            return [(right, second)]
    return [(answer, gold)]


def as_number(text: str) -> float | None:
    text = text.replace(",", "")
    percent = text.endswith("%")
    try:
        value = float(text.rstrip("%\\"))
    except ValueError:
        return None
    return value / 100 if percent else value


def _algebra(pairs: list[tuple[str, str]]) -> bool:
    """Whether a pair is equal by algebra, in a process of its own that ends after three seconds."""
    import latex2sympy2_extended  # noqa: F401 - before the fork, so that no child loads it

    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_compare_in_child, args=(theirs, pairs))
    process.start()
    theirs.close()
    try:
        return bool(ours.recv()) if ours.poll(DEADLINE_S) else False
    except EOFError:
        return False
    finally:
        process.kill()
        process.join()
        ours.close()


def _compare_in_child(answer: Connection, pairs: list[tuple[str, str]]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    answer.send(any(_symbolically_equal(_parsed(a), _parsed(b)) for a, b in pairs))


def _parsed(text: str) -> Any:
    """An expression, or the text itself where it cannot be read."""
    from latex2sympy2_extended import latex2sympy

    try:
        return latex2sympy(text)
    except Exception:  # noqa: BLE001 - the library raises what it likes, and its users go on with the text
        return text


def _symbolically_equal(first: Any, second: Any) -> bool:
    from sympy import Eq, N, simplify

    for compare in _comparisons(first, second, Eq, N, simplify):
        try:
            if compare():
                return True
        except Exception:  # noqa: BLE001 - as theirs, each way that fails is passed over
            continue
    return False


def _comparisons(first: Any, second: Any, eq: Any, n: Any, simplify: Any) -> Iterator[Callable[[], bool]]:
    yield lambda: bool(first == second)
    yield lambda: bool(simplify(first - second) == 0)
    yield lambda: bool(first.equals(second))
    if isinstance(first, eq) and isinstance(second, eq):
        yield lambda: bool(abs(first.lhs - first.rhs).equals(abs(second.lhs - second.rhs)))
    yield lambda: math.isclose(float(n(first)), float(n(second)), rel_tol=TOLERANCE)


_STRICT = re2.compile(r"#### (\-?[0-9\.\,]+)")
_FLEXIBLE = re2.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")


def lm_eval_strict(suite: str, gold: str, completion: str) -> Judged:
    """lm-eval's `strict-match`."""
    found = _STRICT.search(completion)
    return _as_lm_eval(None if found is None else found.group(1), gold)


def lm_eval_flexible(suite: str, gold: str, completion: str) -> Judged:
    """lm-eval's `flexible-extract`."""
    last = None
    for last in _FLEXIBLE.finditer(completion):  # noqa: B007 - the last one counts
        continue
    return _as_lm_eval(None if last is None else last.group(), gold)


def _as_lm_eval(found: str | None, gold: str) -> Judged:
    return Judged(found is not None and _plain(found) == _plain(gold), found)


def _plain(text: str) -> str:
    text = text.rpartition("#### ")[2].replace(",", "").replace("$", "").lower()
    return text.removesuffix(".").strip()
