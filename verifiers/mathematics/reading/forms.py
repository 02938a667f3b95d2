"""Reads an answer's outer structure: a number, a word, a formula, a list, tuple, set, interval, union, relation.

Nothing here evaluates anything symbolic, so it is safe in the caller's process; `comparing.compare` compares two forms.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from verifiers.mathematics.reading.dates import date_of, time_of_day
from verifiers.mathematics.reading.expression import read
from verifiers.mathematics.reading.form import ANY_CONSTANT, ANY_INTEGER, Form, is_constant, of_node, with_symbol
from verifiers.mathematics.reading.labels import is_name
from verifiers.mathematics.reading.numerals import in_words, number_word, said_twice
from verifiers.mathematics.reading.progressions import DOTS, number_node, without_dots
from verifiers.mathematics.reading.regions import whole_line
from verifiers.mathematics.reading.relations import bracketed_interval, relation
from verifiers.mathematics.reading.restated import Twice, in_radians, said_again
from verifiers.mathematics.reading.rows import marked_parts, named_rows, with_all_members, without_domain, without_marks
from verifiers.mathematics.reading.sets import MOST_PARTS, listed_region, sequence, set_of, set_operation
from verifiers.mathematics.reading.spelling import AND, CASES, OR, ROW, normalise
from verifiers.mathematics.reading.split import closing, depths_of, split, split_command, unwrapped
from verifiers.mathematics.reading.tokens import TooLarge, Unreadable
from verifiers.mathematics.reading.tree import components
from verifiers.mathematics.reading.units import compound_measure
from verifiers.patterns import linear
from verifiers.wording.number_words import without_repetition

CALCULUS = linear.compile(r"\\(?:int|iint|sum|prod|lim)(?![A-Za-z])|\\frac\{d\}\{d[a-z]\}.")
_FUNCTION_NAMES = "tr rank dim ker det Re Im arg sgn sign arcsinh arccosh arctanh arsinh arcosh artanh Tr erf adj Res"
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
_FOREIGN = linear.compile(r"""(?:[^"'\x01\x02]|"[A-Za-z]{2,8}"[\s(\\])+""")
_NOT_FOREIGN = linear.compile(r"^.*(?:\\(?:ldots|equiv|prime)|mod)")
_QUOTED = linear.compile(r'"([^"]*)"')
_TIMES_A_NUMBER = linear.compile(r"(?:\\cdot|\\times|\*|·|×)\s?\d+$")
_SHORT_WORDS = frozenset(("yes", "no", "odd", "red", "all", "tie"))
"""Words that would be products of letters."""
_BARE_SIGN = linear.compile(r"\\approx|\\simeq|=")
_INTEGER = linear.compile(r"[1-9][0-9]{0,200}")
_REALS = linear.compile(
    r'^(?:\\reals|\(?-\\infty,\+?\\infty\)?|"?(?:the)?(?:set)?(?:of)?(?:all)?real(?:s|numbers?)"?x?)$',
    linear.IGNORECASE,
)
_SETS_OF_NUMBERS = [
    (linear.compile(rf'^(?:\\{name}s|"?(?:the)?(?:set)?(?:of)?(?:all)?{name}(?:s|numbers?)"?)$', flags), f"\\{name}s")
    for name, flags in (("integer", linear.IGNORECASE), ("rational", linear.IGNORECASE))
]
_POSITIVE = linear.compile(r"^\\reals\s?(?:\^\{?\+\}?|_\{?(?:\+|>0)\}?)$")
_TRANSPOSED = linear.compile(r"(?<=[)\]])\^\{?(?:T|\\top|\\intercal)\}?$")
_EMPTY = linear.compile(
    r'^(?:\\emptyset|\x01\x02|"?(?:the)?(?:empty|null)set"?|"?(?:there(?:is|are))?no(?:real|integer)?(?:solutions?|roots?)(?:exists?)?"?)$',
    linear.IGNORECASE,
)
_EMPTY_BEGINS, _REALS_BEGIN = frozenset('\\\x01"tTeEnN'), frozenset('\\(-"tTsSoOaArR')
_LABELLED_POINT = linear.compile(r"^[A-Z]'{0,2}(?=\()")
_FAMILY = linear.compile(
    r'^(?P<main>.+?)(?:[,;:|]|\\mid|"(?:for|where|with)?(?:any|all|some)?(?:integers?)?")*\(?(?P<parameter>[A-Za-z])\\in\s?'
    r"(?:\\integers|\\naturals|Z|N)(?:\^\+|_\{?[^{}]*\}?)?\)?$"
)
_FAMILY_IN_WORDS = linear.compile(
    r'^(?P<main>[^"]+?)[,;]?"(?:,|for|where|with|any|all|some|each|every|an|a|arbitrary|real)*(?P<kind>integer|constant)s?(?:values?(?:of)?)?"'
    r"(?P<parameter>[A-Za-z])$"
)
_FAMILY_SAID_AFTER = linear.compile(
    r'^(?P<main>[^"]+?)[,;]?"(?:,|where|with)*"(?P<parameter>[A-Za-z])"is(?:any|an|a)(?:arbitrary|real)?(?P<kind>integer|constant)"$'
)
_CONDITION_WORDS = linear.compile(r'"\s*(?:,|if|for|when|in)*\s*"|^(?:if|for|when)(?![a-z])', linear.IGNORECASE)
_HELD_WHERE = linear.compile(
    r'^([^",;]{1,400}?),?"(?:for|when|if|where|with|valid|provided|that|all|,|\x04)+"([^",;]{1,40}(?:[<>]|\\[gln]e|\\neq)[^",;]{1,40})$'
)
"""A formula, and in words where it holds."""
_HELD_BESIDE = linear.compile(r"^([^\",;()]{1,400}?)\(([a-z|]{1,3}(?:[<>]|\\[gln]eq?(?![a-z]))[^\",;()]{1,40})\)$")
"""A formula, and in brackets where it holds."""
_MAX_TEXT = 4000
_MAX_NESTING = 12
_MAX_FOREIGN = 300


def form_of(answer: str) -> Form:
    """Returns the form of a raw answer. Never raises; what cannot be read is a text."""
    if _INTEGER.fullmatch(answer):
        return Form("number", answer, number=Fraction(int(answer)), node=("num", answer))
    if len(answer) > _MAX_TEXT:
        return Form("text", "".join(answer.split()), unreadable=f"it is longer than {_MAX_TEXT} characters")
    twice = said_again(answer)
    repeated = None if twice is None else _said_twice(twice)
    if repeated is not None:
        return repeated
    answer = without_repetition(_within(answer))
    worded = _in_words(answer) if any(map(str.isalpha, answer)) else None
    if worded is not None:
        return worded
    spelled = normalise(answer)
    form = _form(spelled.text, 0)
    if spelled.measured is not None:
        return replace(form, measured=replace(_form(normalise(spelled.measured[0]).text, 0), unit=spelled.measured[1]))
    return form if spelled.unit is None else replace(form, unit=spelled.unit)


def _within(answer: str) -> str:
    """Returns what stands between the delimiters of one formula."""
    text = answer.strip(" .")
    for opening, closes in (("$$", "$$"), ("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")):
        inner = text[len(opening) : -len(closes)]
        if text.startswith(opening) and text.endswith(closes) and opening not in inner and inner[-1:] != "\\":
            return inner.strip()
    return answer


def _said_twice(twice: Twice) -> Form | None:
    """Reads an answer and the same once more as a chain, whose links must hold; a unit that both have is its own."""
    value, again = form_of(twice.value), form_of(twice.again)
    if twice.measured and (value.unit is None or again.unit is None):
        return None
    value, again = in_radians(value, again), in_radians(again, value)
    name, unit = "", value.unit
    if value.kind == "relation" and value.name and value.operator == "=":
        name, value = value.name, replace(value.items[1], unit=unit)
    if unit is not None and again.unit in {None, unit}:
        value, again = replace(value, unit=None), replace(again, unit=None)
    else:
        unit = None
    sign = "~" if twice.roughly else "="
    return Form("chain", f"{value.text}={again.text}", (value, again), name=name, operator=sign, unit=unit)


def _in_words(answer: str) -> Form | None:
    """Reads times of day, two units such as 5 feet 3 inches, and numbers in words, beside their figures perhaps."""
    time = time_of_day(answer)
    if time is not None:
        return Form("time", f"{time[0]}:{time[1]:02d} h")
    date = date_of(answer)
    if date is not None:
        return Form("text", "{}-{}-{}".format(*date))
    twice = said_twice(answer) if "(" in answer else None
    if twice is not None:
        figures = form_of(twice[0])
        return figures if figures.number == twice[1] else None
    spoken = in_words(answer)
    value, unit = (spoken, None) if spoken is not None else compound_measure(answer)
    return None if value is None else Form("number", str(value), number=value, node=number_node(value), unit=unit)


def _form(text: str, depth: int) -> Form:  # noqa: PLR0911 - one return per kind of form
    text = text.strip()
    if depth > _MAX_NESTING:
        return Form("text", text, unreadable="it is nested too deeply")
    text = unwrapped(text)
    if not text:
        return Form("text", text)
    said = text.replace("\x04", "").replace(" ", "") if '"' in text else text
    if said[:1] in _EMPTY_BEGINS and _EMPTY.match(said):
        return Form("text", "\\emptyset")
    if said[:1] in _REALS_BEGIN and _REALS.match(said):
        return Form("region", "\\reals", region=whole_line())
    if ("nteger" in said or "ational" in said) and (name := _set_of_numbers(said)):
        return Form("text", name)
    if _POSITIVE.match(text):
        return bracketed_interval(text, "()", "0", "\\infty", depth, _form)
    family = _family(text, said, depth)
    if family is not None:
        return family
    text = without_domain(text) if "all" in text else text
    if text.startswith("(a)") and (marked := marked_parts(text)):
        return _sequence("()", text, marked, depth)
    held = _HELD_WHERE.match(text) if '"' in text else _HELD_BESIDE.match(text) if _ends_in_relation(text) else None
    parts = [*held.groups()] if held else split(text, f",;{OR}{AND}")
    if len(parts) > 1:
        rows = named_rows(text) if "=" in text else None
        return _sequence("list", text, rows, depth) if rows else _list(text, parts, depth)
    if text[0] == "\x01" and closing(text, 0) == len(text) - 1:
        return _bracketed(text, depth)
    if "\\pm" in text or "\\mp" in text:
        signs = [text.replace("\\pm", a).replace("\\mp", b) for a, b in (("+", "-"), ("-", "+"))]
        return _sequence("list", text, [sign.removeprefix("+").replace("=+", "=") for sign in signs], depth)
    return set_operation(text, depth, _form) or _part(text, depth)


def _family(text: str, said: str, depth: int) -> Form | None:
    """Reads values for all whole numbers n, or functions for any constant k, however that is called."""
    found = _FAMILY.match(text) if "\\in" in text and text[0] != "\x01" else None
    main, parameter, kind = (*found.groups(), "integer") if found else ("", "", "")
    if not found and ("integer" in said or "constant" in said):
        found = _FAMILY_IN_WORDS.match(said) or _FAMILY_SAID_AFTER.match(said)
        if found:
            main, parameter, kind = (found.group(name) for name in ("main", "parameter", "kind"))
    if not found:
        return None
    form = _form(main.rstrip(), depth + 1)
    named = with_symbol(form, parameter, ANY_INTEGER if kind == "integer" else ANY_CONSTANT)
    return named if named != form else Form("text", f"{main} for {parameter}")


def _ends_in_relation(text: str) -> bool:
    return text.endswith(")") and any(sign in text for sign in ("<", ">", "\\ne", "\\le", "\\ge"))


def _set_of_numbers(said: str) -> str:
    return next((name for numbers, name in _SETS_OF_NUMBERS if numbers.match(said)), "")


def _part(text: str, depth: int) -> Form:
    member = split_command(text, "\\in")
    if len(member) == 2 and is_name(member[0]):
        found = _form(member[1], depth + 1)
        return found if found.name or found.region is None else replace(found, name=member[0])
    related = relation(_with_bare_approximation(text), depth, _form)
    if related is not None:
        return related
    text = _TRANSPOSED.sub("", _LABELLED_POINT.sub("", text)) if "," in text else text
    if text[0] == CASES and closing(text, 0) == len(text) - 1:
        return _cases(text, depth)
    if text[0] in "([\x01" and closing(text, 0, mixed=True) == len(text) - 1:
        return _bracketed(text, depth)
    ratio = split(text, ":")
    if len(ratio) > 1 and all(ratio):
        return _sequence("ratio", text, ratio, depth)
    return _scaled(text, depth) or _leaf(text, depth)


def _scaled(text: str, depth: int) -> Form | None:
    """Reads a number times a point, such as \\frac{1}{5}(3,4)."""
    if not text.endswith((")", "]")) or "," not in text:
        return None
    opening = next((at for at, level in enumerate(depths_of(text)) if level == 0 and text[at] in "(["), 0)
    before = text[opening - 1 : opening]
    if not opening or closing(text, opening) != len(text) - 1 or not (before in "})" or before.isdigit()):
        return None
    factor, point = _form(text[:opening], depth + 1), _form(text[opening:], depth + 1)
    nodes = [item.node for item in point.items]
    if not is_constant(factor) or factor.node is None or not nodes or None in nodes:
        return None
    return Form("()", text, tuple(of_node(("mul", factor.node, node)) for node in nodes))


def _with_bare_approximation(text: str) -> str:
    """Writes 1/3 (\\approx 0.333) without the brackets."""
    if not text.endswith(")") or ("=" not in text and "\\" not in text) or "(" not in text:
        return text
    opening = text.rindex("(")
    inner = text[opening + 1 : -1]
    return text[:opening] + inner if opening and _BARE_SIGN.match(inner) else text


def _list(text: str, parts: list[str], depth: int) -> Form:
    kept = with_all_members([part for part in parts if part.strip()])
    if len(kept) < 2:
        return _form(kept[0] if kept else "", depth + 1)
    marked = without_marks(kept)
    if marked is not None:
        return _sequence("()", text, marked, depth)
    made = _sequence("list", text, kept, depth)
    if made.kind != "list":
        return made
    if any(_ends_in_decimal_comma(*pair) for pair in zip(made.items, made.items[1:], strict=False)):
        return Form("text", text, unreadable="the comma behind an equation may be a decimal one")
    numbers = {item.number for item in made.items}
    if OR in text and len(numbers) == 1 and made.items[0].number is not None:
        return made.items[0]
    flat = tuple(inner for item in made.items for inner in (item.items if _is_plus_minus(item) else (item,)))
    return replace(made, items=flat[:MOST_PARTS], region=listed_region(text, made.items))


def _ends_in_decimal_comma(item: Form, following: Form) -> bool:
    """Whether 79 mod 79 = 0,111 or x = 2 · 0,111 may speak of 0.111 rather than list 0 and 111."""
    if item.kind not in {"chain", "relation"} or not item.items or not following.text.isdigit():
        return False
    end = item.items[-1].text
    return (item.kind == "chain" and end.isdigit()) or _TIMES_A_NUMBER.search(end) is not None


def _is_plus_minus(form: Form) -> bool:
    return form.kind == "list" and ("\\pm" in form.text or "\\mp" in form.text)


def _sequence(kind: str, text: str, parts: list[str], depth: int) -> Form:
    return sequence(kind, text, parts, depth, _form)


def _bracketed(text: str, depth: int) -> Form:
    inner = text[1:-1]
    parts = split(inner, f",;{OR}{AND}")
    if text[0] == "\x01":
        return set_of(text, inner, depth, _form)
    if len(parts) == 1:
        return _form(inner, depth + 1)
    brackets = text[0] + text[-1]
    if len(parts) == 2 and all(parts):
        return bracketed_interval(text, brackets, parts[0], parts[1], depth, _form)
    return _sequence(brackets, text, parts, depth)


def _leaf(text: str, depth: int) -> Form:  # noqa: PLR0911 - one return per kind of leaf
    if text.casefold() in _SHORT_WORDS:
        return Form("text", text)
    if (word := number_word(text.strip('"').casefold())) is not None:
        return Form("number", str(word), number=Fraction(word), node=("num", str(word)))
    if "\\" in text:
        rest = _remainder(split_command(text, "\\bmod"), depth)
        if rest is not None:
            return rest
        if CALCULUS.search(text):
            return Form("unread", text)
        summed = without_dots(text) if DOTS in text else None
        if summed is not None:
            return of_node(summed, text)
    try:
        node = read(text.replace("\x03", " "))
    except TooLarge as error:
        return Form("text", text, unreadable=f"it is {error}")
    except Unreadable:
        return Form("unread" if _is_foreign(text) else "text", text)
    if node[0] == "pow" and node[1][0] == "matrix" and node[2] == ("sym", "T"):
        node = ("matrix", *(("row", *cells) for cells in zip(*(row[1:] for row in node[1][1:]), strict=True)))
    if node[0] == "matrix":
        rows = tuple(Form("()", "", tuple(map(of_node, row[1:]))) for row in node[1:])
        return Form("matrix", text, rows, node=node)
    parts = components(node)
    return replace(of_node(node, text), items=tuple(map(of_node, parts))) if parts else of_node(node, text)


def _remainder(sides: list[str], depth: int) -> Form | None:
    """Reads a \\bmod b of whole numbers, a being a power perhaps, as its value."""
    if len(sides) != 2:
        return None
    left, right = (_leaf(side, depth + 1) for side in sides)
    if right.number is None or right.number.denominator != 1 or right.number < 1:
        return None
    if left.node and left.node[0] == "pow" and all(part[0] == "num" and part[1].isdigit() for part in left.node[1:]):
        value = (
            pow(int(left.node[1][1]), int(left.node[2][1]), int(right.number)) if len(left.node[2][1]) < 20 else None
        )
    else:
        value = int(left.number % right.number) if left.number is not None and left.number.denominator == 1 else None
    return None if value is None else Form("number", str(value), number=Fraction(value), node=("num", str(value)))


def _is_foreign(text: str) -> bool:
    """Whether a text may be a formula in notation that this grammar lacks: no words, but for names of functions."""
    named = set(_QUOTED.findall(text)) <= _FUNCTIONS and "\ufffd" not in text
    if len(text) > _MAX_FOREIGN or not named or ("\\" not in text and '"' not in text) or _NOT_FOREIGN.match(text):
        return False
    return bool(_FOREIGN.fullmatch(text))


def _cases(text: str, depth: int) -> Form:
    """Reads a system of equations as their list, and a function by cases as (value, condition) pairs."""
    rows = [row for row in text[1:-1].split(ROW) if row.strip()]
    cells = [[cell.strip(" ,;.") for cell in row.split("&", 1)] for row in rows[:MOST_PARTS]]
    if all(len(row) == 1 or not row[1] for row in cells):
        return _list(AND.join(row[0] for row in cells), [row[0] for row in cells], depth)
    pairs = []
    for row in cells:
        condition = _CONDITION_WORDS.sub("", row[-1])
        pairs.append(Form("case", "", (_form(row[0], depth + 1), _form(condition, depth + 1))))
    return Form("cases", text, tuple(pairs))
