"""Cuts the text of a formula, LaTeX or plain, into tokens, and knows which letters in a row are one name."""

from __future__ import annotations

from verifiers.patterns import linear

_MAX_TOKENS = 1500
_GREEK_LETTERS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi rho sigma "
    "tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Phi Psi Omega ell"
)
GREEK = _GREEK_LETTERS.split()
_FUNCTION_NAMES = (
    "sin cos tan cot sec csc sinh cosh tanh coth arcsin arccos arctan ln exp log lg max min gcd lcm det abs floor "
    "ceil cbrt cis"
)
FUNCTIONS = _FUNCTION_NAMES.split()
INVERSES = {f"{prefix}{name}": f"arc{name}" for name in ("sin", "cos", "tan") for prefix in ("", "a")}
INVERSES |= {name: f"a{name}" for name in ("sinh", "cosh", "tanh")}
_OTHER_NAMES = "asin acos atan sqrt pi infty oo inf infinity"
_WORDS = sorted([*FUNCTIONS, *_OTHER_NAMES.split(), *GREEK[:24]], key=len, reverse=True)
_TOKEN = linear.compile(
    r"(?P<num>\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)|\\begin\{(?P<begin>[A-Za-z]+)\}(?:\{[clr|]*\})?"
    r"|\\end\{(?P<end>[A-Za-z]+)\}|\\(?P<cmd>[A-Za-z]+)|(?P<word>[A-Za-z]+)"
    r"|(?P<row>\x06)|(?P<op>\*\*|[-+*/^_(){}\[\]|!,'&%<>=])|(?P<bad>\S)|\s+"
)


class Unreadable(ValueError):
    """The text is no formula that this grammar knows."""


class TooLarge(Unreadable):
    """The text may be a formula, but is too long or too deep to be read."""


def tokens_of(text: str) -> list[tuple[str, str]]:
    """Returns (kind, value) pairs; raises Unreadable for a character or a word that belongs to no formula."""
    tokens: list[tuple[str, str]] = []
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup
        if kind is None:
            continue
        if kind == "bad":
            raise Unreadable(f"{match.group()!r} is no part of a formula")
        if len(tokens) > _MAX_TOKENS:
            raise TooLarge(f"a formula of more than {_MAX_TOKENS} parts")
        value = match.group(kind)
        if kind == "word":
            tokens.extend(_split_word(value))
        else:
            tokens.append((kind, value))
    return tokens


def _split_word(word: str) -> list[tuple[str, str]]:
    """Reads letters in a row as known names and products of one-letter symbols: 12pi, xy, sqrt."""
    found: list[tuple[str, str]] = []
    at = 0
    singles = 0
    while at < len(word):
        name = next((known for known in _WORDS if word.startswith(known, at)), None)
        if name is None:
            found.append(("sym", word[at]))
            singles += 1
        else:
            found.append(("cmd", name))
        at += len(name or "x")
    if singles > 3 or (singles > 1 and word.isupper()):
        raise Unreadable(f"{word!r} is a word")
    return found
