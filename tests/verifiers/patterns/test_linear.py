"""Patterns on RE2 find what Python's `re` finds, wherever it looks around; what they can't find so is refused."""

from __future__ import annotations

import random
import re

import pytest

from tests.verifiers.patterns.generated import load_every_pattern, matching, parsed
from verifiers.patterns import linear
from verifiers.patterns.given import foreign_to, whole_match
from verifiers.patterns.syntax import read

NOISE = [
    *" \n\t.,;:()[]{}$^_\\\"'-+=/%0123456789abcxyzABCXYZéÉß\u3000中√…’—٣\x01\x02\xa0\x85½²\x90",
    "or",
    "10^",
    " cm",
]

load_every_pattern()
PATTERNS = {(pattern.pattern, pattern.flags): pattern for pattern in linear.PATTERNS}


def text_for(pattern: linear.Pattern, rng: random.Random) -> str:
    parts = []
    for _ in range(rng.randint(1, 4)):
        part = matching(parsed(pattern.pattern, pattern.flags), rng) if rng.random() < 0.6 else ""
        at = rng.randint(0, len(part))
        parts.append(part[:at] + (rng.choice(NOISE) if rng.random() < 0.5 else "") + part[at + (rng.random() < 0.2) :])
    return "".join(parts)


def spans(match: re.Match[str] | linear.Match | None) -> list[tuple[int, int]] | None:
    if match is None:
        return None
    return [(match.start(group), match.end(group)) for group in range(len(match.groups()) + 1)]


def agree(pattern: linear.Pattern, text: str, at: int) -> None:
    known = re.compile(pattern.pattern, pattern.flags)
    told = f"{pattern.pattern!r} on {text!r} from {at}"
    assert spans(pattern.search(text, at)) == spans(known.search(text, at)), told
    assert spans(pattern.match(text, at)) == spans(known.match(text, at)), told
    assert spans(pattern.fullmatch(text)) == spans(known.fullmatch(text)), told
    if all(match.group() for match in known.finditer(text)):
        assert list(map(spans, pattern.finditer(text))) == list(map(spans, known.finditer(text))), told
        assert pattern.split(text) == known.split(text)
        assert pattern.sub(r"<\\>", text) == known.sub(r"<\\>", text)


@pytest.mark.parametrize("pattern", PATTERNS.values(), ids=lambda pattern: pattern.pattern[:40])
def test_a_pattern_of_the_product_finds_what_re_finds(pattern: linear.Pattern) -> None:
    rng = random.Random(pattern.pattern)
    for _ in range(12):
        text = text_for(pattern, rng)
        agree(pattern, text, rng.choice((0, rng.randint(0, len(text)))))


ATOMS = ("a", "b", "[ab]", "[^a]", r"\d", r"\w", "(a)", "(?:a|ab)", "(b|ba)", ".")
LOOKS = (r"\b", "(?=a)", "(?!a)", "(?<=b)", "(?<!a)", "(?![ab])", "^", "$", "(?!ab)", r"(?=a|\d)")
COUNTS = ("", "", "", "?", "*", "+", "{1,2}", "*?", "+?", "??")


def test_any_look_that_is_taken_is_the_one_of_re() -> None:
    rng = random.Random(3)
    taken = 0
    for _ in range(3000):
        parts = [rng.choice(LOOKS) if rng.random() < 0.3 else rng.choice(ATOMS) + rng.choice(COUNTS) for _ in range(4)]
        text = "".join(rng.choice("aab1 \n-") for _ in range(rng.randint(0, 9)))
        source = "".join(parts[:2]) + rng.choice(("", "|")) + "".join(parts[2:])
        try:
            pattern = linear.compile(source)
            pattern.prepare()
        except linear.Untranslatable:
            continue
        taken += 1
        agree(pattern, text, rng.randint(0, len(text)))
    assert taken > 2000


@pytest.mark.parametrize("source", [r"(a)\1", "(?<!ab)c", "(?!a*b)c", "(?>a)b", "a*+b", "(a)?(?(1)b|c)", "x{2,2000}"])
def test_what_has_no_linear_time_is_refused(source: str) -> None:
    with pytest.raises(linear.Untranslatable):
        linear.compile(source).prepare()


def test_a_pattern_is_compiled_when_it_is_first_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(linear, "read", lambda source, flags: made.append(source) or read(source, flags))
    monkeypatch.setattr(linear, "PATTERNS", [])
    pattern = linear.compile("ab+")
    assert made == []
    assert pattern.search("abb") is not None
    linear.prepare_all()
    assert made == ["ab+"]


def test_a_character_without_a_byte_is_named() -> None:
    with pytest.raises(ValueError, match="name it in"):
        linear.compile("[☃]").prepare()


@pytest.mark.parametrize("source", ["(?=a)b", r"(a)\1", "a{,3}", "a{5000}", "(", r"\Z", "(?:a{1,30}){1,900}"])
def test_a_given_pattern_that_would_mean_another_thing_is_refused(source: str) -> None:
    with pytest.raises(ValueError):
        whole_match(source)


def test_a_given_pattern_matches_as_a_whole() -> None:
    assert whole_match(r"(?i)x|é+")("ÉÉ")
    assert not whole_match("a|ab")("abc")
    assert whole_match("a|ab")("ab")


def test_the_first_letter_of_another_script_is_found() -> None:
    find = foreign_to(("latin", "Greek"))
    assert (find("x + π = 3 ½"), find("x жы"), find("")) == ("", "ж", "")
