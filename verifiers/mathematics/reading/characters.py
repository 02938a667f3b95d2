"""One name for each thing: the mathematical characters of Unicode as LaTeX, and of several names that LaTeX or plain
notation has, one. The rules after these see ASCII only."""

from __future__ import annotations

from itertools import groupby

from verifiers.patterns import linear
from verifiers.wording import table
from verifiers.wording.cues import with_usual_digits

_COMMANDS = {char: command for command, chars in table(__file__).items() for char in chars}
_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda nu xi rho sigma tau upsilon phi chi psi omega phi "
    "Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega"
)
_GREEK = dict(zip("αβγδεζηθικλνξρστυφχψωϕΓΔΘΛΞΠΣΦΨΩ", _GREEK_NAMES.split(), strict=True))
_FULL_WIDTH = {chr(0xFEE0 + code): chr(code) for code in (*range(0x30, 0x3A), *range(0x41, 0x5B), *range(0x61, 0x7B))}
_CHARACTERS = str.maketrans({**_FULL_WIDTH, **{char: f"\\{name} " for char, name in _GREEK.items()}, **_COMMANDS})
_RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿⁱ", "0123456789+-()ni", strict=True))
_LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n", strict=True))
_SILENT = {char for char, command in _COMMANDS.items() if not command}
"""Characters that say nothing, and yet may be seen, or stand for a sign, between two digits."""
_WITHIN_NUMBERS = frozenset("0123456789.,")
_ROOT_OF_DIGITS = linear.compile(r"√\s*(\d+)")


def in_ascii(text: str) -> str:
    """Returns the text with its mathematical characters as LaTeX; what has no LaTeX stays as it is."""
    if text.isascii():
        return text
    text = _ROOT_OF_DIGITS.sub(r"\\sqrt{\1}", _with_broken_numbers(with_usual_digits(text)))
    text = _with_runs(_with_runs(text, "^", _RAISED), "_", _LOWERED)
    return text.translate(_CHARACTERS)


def _with_broken_numbers(text: str) -> str:
    """Marks what stands within a number and says nothing: without it, 1➡2 would be 12."""
    if _SILENT.isdisjoint(text):
        return text
    runs = ["", *("".join(run) for _, run in groupby(text, _SILENT.__contains__)), ""]
    return "".join(
        "\ufffd" if run[:1] in _SILENT and before[-1:] in _WITHIN_NUMBERS and after[:1] in _WITHIN_NUMBERS else run
        for before, run, after in zip(runs, runs[1:], runs[2:], strict=False)
    )


def _with_runs(text: str, sign: str, plain: dict[str, str]) -> str:
    """Writes each run of small digits and signs between braces after one sign."""
    if plain.keys().isdisjoint(text):
        return text
    return "".join(
        f"{sign}{{{''.join(plain[char] for char in run)}}}" if small else "".join(run)
        for small, run in groupby(text, plain.__contains__)
    )


_SAME = (
    (r"\{", "\x01"), (r"\}", "\x02"), (r"\lbrace", "\x01"), (r"\rbrace", "\x02"), (r"\varnothing", r"\emptyset"),
    (r"\langle", "("), (r"\rangle", ")"), (r"\bigcup", r"\cup"), (r"\bigcap", r"\cap"),
    (r"\backslash", r"\setminus"), (r"\lt ", "<"), (r"\gt ", ">"), (r"\colon", ":"), (r"\operatorname*", r"\mathrm"),
    (r"\|", "|"), (r"\dbinom", r"\binom"), (r"\tbinom", r"\binom"),
    (r"\longrightarrow", r"\to"), (r"\rightarrow", r"\to"),
)  # fmt: skip
_REWRITTEN = (
    (linear.compile(r"\\(?:mathbf|mathrm)\s?\{R\}(?=\s*(?:$|[,.;\\^}\x02-]))"), r"\\reals "),
    (linear.compile(r"\\[lr]?[vV]ert(?![a-z])\s?"), "|"),
    (linear.compile(r"\\overline\s?\{([A-Z]{2,4})\}"), r"\1"),
    (linear.compile(r"\\(?:top|intercal)(?![a-z])"), "T"),
    (linear.compile(r"\\integers\s?/\s?\(?(\d{1,9})\)?\s?\\integers(?![a-z])"), r"\\integers _{\1}"),
    (linear.compile(r"\\integers\s?_(\d)"), r"\\integers _{\1}"),
    (linear.compile(r"\\pmod\s?\{?\s?(\w+)\s?\}?"), r"(mod \1)"),
    (linear.compile(r"\\(max|min|gcd|lcm)\s?\x01([^\x01\x02]{1,200})\x02"), r"\\\1(\2)"),
)
_IN_CONGRUENCE = linear.compile(r"\\b?mod\s?\{?\s?(\w+)\s?\}?")
_BMOD = linear.compile(r"\\b?mod(?![a-z])\s?")
_PLAIN_MOD = linear.compile(r"([\d)}])\s?mod\s?([\d(])")
_NUMBER_SETS = linear.compile(r"\\(?:mathbb|Bbb)\s?\{?\s?([RZNQC])(?![A-Za-z])\s?\}?")
_SET_NAMES = {"R": "reals", "Z": "integers", "N": "naturals", "Q": "rationals", "C": "complexes"}
_LARGE = linear.compile(
    r"(?<=\d)(?:\s?\\text\{\s?|\s{1,2})(dozen|hundred|thousand|lakh|million|crore|billion|trillion)s?\b\s?(?:of)?\}?",
    linear.IGNORECASE,
)
_BEFORE_SIZE = frozenset(" \t\n\r\f\v\\")
_SIZES = {"dozen": "12", "hundred": "100", "thousand": "10^3", "lakh": "10^5", "million": "10^6", "crore": "10^7",
          "billion": "10^9", "trillion": "10^{12}"}  # fmt: skip
_ELLIPSIS = linear.compile(r"\\(?:dots[cbmio]?|cdots|ldots)(?![a-z])|\.\.\.+")
_INFINITY = linear.compile(r"\bInfinity\b")
_CHOOSE = linear.compile(r"(?:\{\})?_\{?(\d{1,6})\}?\s?C_\{?(\d{1,6})\}?")
_CHOOSE_ABOVE = linear.compile(
    r"(?<![A-Za-z0-9}])C_\{?(\d{1,6})\}?\^\{?(\d{1,6})\}?|\^\{?(\d{1,6})\}?\s?C_\{?(\d{1,6})\}?"
)
_PLUS_MINUS = linear.compile(r"\+\s?/\s?-|(?:^|(?<==))\s*\+\s?-(?=\s*[\d\\s(])")
_UNION = linear.compile(r"(?<=[)\]\x02])\s*[uU]\s*(?=[(\[\x01])")


def _in_figures(match: linear.Match) -> str:
    goes_on = "\\text" in match.group() and not match.group().endswith("}")
    return rf"\cdot {_SIZES[match.group(1).lower()]} " + (r"\text{" if goes_on else "")


def _chosen(match: linear.Match) -> str:
    top, bottom = (int(group) for group in match.groups() if group is not None)
    return rf"\binom{{{top}}}{{{bottom}}}" if top >= bottom else match.group()


def with_one_name(text: str) -> str:
    """Returns the text with sets between \\x01 and \\x02, `\\reals` for the real numbers, and so on."""
    if "\\" in text:
        for name, one in _SAME:
            text = text.replace(name, one)
        text = _NUMBER_SETS.sub(lambda match: f"\\{_SET_NAMES[match.group(1)]} ", text)
        for pattern, one in _REWRITTEN:
            text = pattern.sub(one, text)
        if "mod" in text:
            text = _IN_CONGRUENCE.sub(r"(mod \1)", text) if "\\equiv" in text else _BMOD.sub(r"\\bmod ", text)
    elif "mod" in text:
        text = _PLAIN_MOD.sub(r"\1\\bmod \2", text)
    text = _INFINITY.sub("infinity", text)
    text = _LARGE.sub(_in_figures, text) if not _BEFORE_SIZE.isdisjoint(text) else text
    text = _CHOOSE.sub(r"\\binom{\1}{\2}", _ELLIPSIS.sub(r"\\ldots ", text))
    text = _CHOOSE_ABOVE.sub(_chosen, text)
    text = _UNION.sub(r"\\cup ", text) if "U" in text or "u" in text else text
    return _PLUS_MINUS.sub(r"\\pm ", text)
