"""Reads sets: what is listed between braces or described, unions and differences, and conditions joined by words."""

from __future__ import annotations

from dataclasses import replace

from verifiers.mathematics.reading.form import Form, is_constant
from verifiers.mathematics.reading.labels import is_name
from verifiers.mathematics.reading.regions import Region
from verifiers.mathematics.reading.relations import Reader, without
from verifiers.mathematics.reading.spelling import OR
from verifiers.mathematics.reading.split import split, split_command
from verifiers.patterns import linear

_REALS_BEGIN = frozenset('"\x04aArR')
_REALS_EXCEPT = linear.compile(
    r'^"?(?:all)?real(?:s|numbers?)"?(?:x|\$)?"?(?:except|but|otherthan)(?:for)?"?(?P<rest>.+)$', linear.IGNORECASE
)
_REALS_WITHOUT = linear.compile(r"^\\reals\s?-(?=\x01)")
_OPERATIONS = (
    ("\\cup", "union", "union"), ("\\cap", "cap", "intersection"), ("\\setminus", "minus", "difference")
)  # fmt: skip
"""Commands, the kinds of forms that they make, and of regions."""
_BAR = linear.compile(r"[|:]")
MOST_PARTS = 100
"""Parts of one answer."""


def sequence(kind: str, text: str, parts: list[str], depth: int, read: Reader) -> Form:
    """Returns the form of several parts; one that is not read where there are too many."""
    if len(parts) > MOST_PARTS:
        return Form("text", text, unreadable=f"it has more than {MOST_PARTS} parts")
    return Form(kind, text, tuple(read(part, depth + 1) for part in parts))


def set_operation(text: str, depth: int, read: Reader) -> Form | None:
    if "=" in text and text.startswith("|"):
        return None
    for command, kind, region in _OPERATIONS:
        pieces = split_command(text, command)
        if kind == "minus" and len(pieces) == 1 and text.startswith("\\reals"):
            pieces = split(_REALS_WITHOUT.sub("\\\\reals\x05", text), "\x05")
        if len(pieces) == 2 or (len(pieces) > 2 and kind != "minus"):
            made = sequence(kind, text, pieces, depth, read)
            return replace(made, region=_combined(region, made.items))
    excepted = _REALS_EXCEPT.match(text.replace("\x04", "")) if text[:1] in _REALS_BEGIN else None
    if excepted:
        left_out = read(excepted.group("rest").replace('"', ""), depth + 1)
        points = list(left_out.items) if left_out.kind == "list" else [left_out]
        points = [point.items[1] if point.kind == "relation" else point for point in points]
        return Form("region", text, region=without(points)) if all(map(is_constant, points)) else None
    return None


def _combined(kind: str, forms: tuple[Form, ...]) -> Region[Form] | None:
    """Returns the region that several forms make together; None when one of them is no region."""
    regions = [_region_of(form) for form in forms]
    known = [region for region in regions if region is not None]
    return Region(kind, tuple(known)) if len(known) == len(regions) and known else None


def _region_of(form: Form) -> Region[Form] | None:
    if form.kind == "set" and all(map(is_constant, form.items)):
        return Region("points", ends=form.items)
    return form.region


def listed_region(text: str, items: tuple[Form, ...]) -> Region[Form] | None:
    """Reads "x < 1 or x > 3", "x in R, x != 2" and "x != 2, 3" as sets; plain lists of points are none."""
    if items[0].operator == "!=" and items[0].region and all(map(is_constant, items[1:])):
        return without([items[0].items[1], *items[1:]])
    if not any(item.name or item.kind == "region" for item in items) and OR not in text:
        return None
    if len({item.name for item in items if item.name}) > 1:
        return None
    if OR in text and any(item.region is not None for item in items):
        items = tuple(map(_as_point, items))
    if any(item.kind == "relation" and item.operator != "!=" for item in items):
        return None
    return _combined("union" if OR in text else "listed", items)


def _as_point(form: Form) -> Form:
    """Reads x = 2 as the set of 2."""
    if form.kind != "relation" or form.operator != "=" or not form.name or not is_constant(form.items[1]):
        return form
    return Form("region", form.text, name=form.name, region=Region("points", ends=form.items[1:]))


def set_of(text: str, inner: str, depth: int, read: Reader) -> Form:
    bars = split_command(_BAR.sub(r"\\mid ", inner, count=1), "\\mid")
    if len(bars) != 2:
        if "|" in inner or "\\mid" in inner:
            return Form("text", text)
        listed = read(inner, depth + 1)
        parts = [listed] if listed.kind != "list" else list(listed.items)
        return Form("set", text, tuple(parts)) if inner else Form("text", "\\emptyset")
    left, condition = bars
    if "\\in" in condition and not is_name(left):
        return read(f"{left},{condition}", depth + 1)
    domain = split_command(left, "\\in")
    if is_name(domain[0]) and (len(domain) == 1 or domain[1].strip() == "\\reals"):
        described = read(condition, depth + 1)
        if described.region is not None:
            return Form("region", text, region=described.region)
    return Form("text", text)
