"""A domain of its own without programs: chemical formulas, judged by the atoms that they name.

Two formulas are the same when they have as many atoms of each element, and the same charge, however they are written:
ethanol is \\ce{C2H6O} and \\ce{CH3CH2OH}. `extract` and `equal` are what votes need to label new questions;
`canonical`, Hill's order of the elements, saves them comparisons:

    domains:
      formulas:
        verifier: examples.chemical_formulas:ChemicalFormulas

The answer is the last \\ce{…} of a completion, as chemists write in TeX. Nothing is loaded, and all work is linear in
the text, so that it needs no sandbox; like every verifier of others it runs in a process that can be ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from verifiers.extraction import final_text
from verifiers.model import Task, Verdict

LONGEST = 200
"""Characters of a formula."""
MOST_ATOMS = 10**9
DEEPEST = 20
"""Brackets within one another."""
_BY_ROWS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb",
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au",
    "Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts",
    "Og",
)
ELEMENTS = frozenset(" ".join(_BY_ROWS).split())
DIGITS = "0123456789"


class Unreadable(ValueError):
    """A text that is no formula; the message says why."""


class ChemicalFormulas:
    """Right is a formula of as many atoms of each element, and of the same charge, as the gold one.

    Statuses: correct, wrong, no_answer, and, without a reward, gold_unparsable.
    """

    name = "chemical_formulas"
    fingerprint = "chemical_formulas/1"

    def extract(self, completion: str) -> str | None:
        """Returns the last formula after the thinking, or None."""
        text = final_text(completion) or ""
        begun = text.rfind("\\ce{")
        # The charge may stand in braces of its own.
        depth, start = 0, begun + 4
        for place in range(start, min(len(text), start + LONGEST)) if begun >= 0 else ():
            depth += (text[place] == "{") - (text[place] == "}")
            if depth < 0:
                return text[start:place].strip() or None
        return None

    def canonical(self, answer: str) -> str:
        """Returns the formula in Hill's order, with its charge; the answer itself where it is none."""
        try:
            atoms, charge = composition(answer)
        except Unreadable:
            return answer
        first = [element for element in ("C", "H") if "C" in atoms and element in atoms]
        order = [*first, *sorted(set(atoms) - set(first))]
        return "".join(f"{element}{atoms[element]}" for element in order) + (f"^{charge:+d}" if charge else "")

    def equal(self, first: str, second: str) -> bool:
        """Tells whether two formulas have the same atoms and the same charge."""
        try:
            return composition(first) == composition(second)
        except Unreadable:
            return False

    def verify(self, task: Task, completion: str) -> Verdict:
        """Judges one completion."""
        gold, answer = task.answer or "", self.extract(completion)
        try:
            wanted = composition(gold)
        except Unreadable as error:
            return Verdict(None, None, "gold_unparsable", f"the gold formula can't be read: {error}")
        if answer is None:
            return Verdict(False, 0.0, "no_answer", "there is no closed \\ce{} after the thinking")
        try:
            same = composition(answer) == wanted
        except Unreadable as error:
            return Verdict(False, 0.0, "wrong", str(error))
        return Verdict(same, float(same), "correct" if same else "wrong", "" if same else "it has other atoms")

    def verify_many(self, items: Sequence[tuple[Task, str]]) -> list[Verdict]:
        """Judges one after the other."""
        return [self.verify(task, completion) for task, completion in items]

    def close(self) -> None:
        """There is nothing to end."""


def composition(formula: str) -> tuple[Counter[str], int]:
    """The atoms of a formula by element, and its charge.

    Raises:
        Unreadable: it is no formula, or one beyond all bounds.
    """
    text = "".join(formula.replace("_", "").split())
    if not text or len(text) > LONGEST:
        raise Unreadable(f"a formula has 1 to {LONGEST} characters")
    body, caret, charge = text.partition("^")
    total: Counter[str] = Counter()
    for part in body.replace("·", "*").split("*"):
        # A number before a part, as in the 5 waters of CuSO4*5H2O, counts all of it.
        times, start = _number(part, 0)
        for element, count in _atoms(part, start).items():
            total[element] += count * times
    if max(total.values()) > MOST_ATOMS:
        raise Unreadable("more atoms than are counted")
    return total, _charge(charge) if caret else 0


def _atoms(part: str, place: int) -> Counter[str]:
    open_groups: list[tuple[str, Counter[str]]] = [("", Counter())]
    while place < len(part):
        letter = part[place]
        if letter in "([":
            open_groups.append((")" if letter == "(" else "]", Counter()))
            if len(open_groups) > DEEPEST:
                raise Unreadable("brackets too deep")
            place += 1
        elif letter in ")]":
            closes, group = open_groups.pop()
            if closes != letter:
                raise Unreadable(f"{letter!r} closes nothing")
            times, place = _number(part, place + 1)
            _add(open_groups[-1][1], group, times)
        else:
            element = part[place : place + 2] if part[place : place + 2] in ELEMENTS else letter
            if element not in ELEMENTS:
                raise Unreadable(f"{element!r} is no element")
            times, place = _number(part, place + len(element))
            open_groups[-1][1][element] += times
    if len(open_groups) > 1 or not open_groups[0][1]:
        raise Unreadable("a bracket stays open, or there are no atoms")
    return open_groups[0][1]


def _add(atoms: Counter[str], group: Counter[str], times: int) -> None:
    for element, count in group.items():
        atoms[element] += count * times
        if atoms[element] > MOST_ATOMS:
            raise Unreadable("more atoms than are counted")


def _number(text: str, place: int) -> tuple[int, int]:
    """The number at a place, 1 where there is none, and the place behind it."""
    end = place
    while end < len(text) and text[end] in DIGITS:
        end += 1
    if end - place > len(str(MOST_ATOMS)):
        raise Unreadable("more atoms than are counted")
    number = int(text[place:end]) if end > place else 1
    if not number:
        raise Unreadable("none of an element")
    return number, end


def _charge(text: str) -> int:
    """The charge behind `^`, such as 2+, {2+}, + or +2."""
    plain = text.removeprefix("{").removesuffix("}")
    sign = plain[-1:] if plain[-1:] in ("+", "-") else plain[:1]
    number = plain.replace(sign, "", 1) if sign else plain
    if sign not in ("+", "-") or len(number) > 3 or not all(digit in DIGITS for digit in number):
        raise Unreadable("a charge is written ^{2+}")
    return (int(number) if number else 1) * (1 if sign == "+" else -1)
