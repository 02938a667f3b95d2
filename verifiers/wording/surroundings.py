"""Tells whether the words beside a value leave it as it is: no bound, no denial, no other value set beside it."""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.cues import ALTERNATIVE, BOUND_AFTER, BOUND_BEFORE, DENIAL
from verifiers.wording.vocabulary import (
    BEFORE,
    DENYING,
    LIMITING,
    QUANTITIES,
    SCALING,
    STEPS,
    SUPPOSING,
    changes,
    denies,
    names_things,
    words_of,
)

SENTENCE_END = linear.compile(r"\n|。|[.!?](?=\s|$)")
_CLAUSE_END = linear.compile(
    r"[,;:(—–!?。，；]|\.(?:\s|$)|\b(?:because|since|which|where|who|as|so|when|while|that|after|before|by|from|and|but|with|for)\b"
)
_NUMBERED = linear.compile(
    r"\b(?:step|page|case|part|figure|theorem|lemma|chapter|section|exercise)\s*$", linear.IGNORECASE
)
_LETTING = linear.compile(r"\blet \$?[a-z](?:_\d)?\$? ?(?:=|be)", linear.IGNORECASE)
_TIMES_AS = linear.compile(r"\b(?:twice|thrice|half|times) as \w+ as[\s$*]*$", linear.IGNORECASE)
_VERB = linear.compile(
    r"\b(?:is|are|was|were|be|been|equals?|gives?|gets?|have|has|had|makes?|costs?|needs?|needed|takes?|leaves?|total)\b|[=:,]"
)
_CLAUSE_BEGUN = linear.compile(
    r"[,;:.!?(—\n]|\b(?:so|thus|therefore|hence|then|and|but|because|since|which|means|implies)\b",
    linear.IGNORECASE,
)
_SET_AGAINST = linear.compile(
    r"[\s,(]*(?:and |but )?(?:not|rather than|instead of) (?:an? |the )?[\s$(*]*(?:[-+]?\d|[A-J]\b)", linear.IGNORECASE
)
_NOT_THAT = linear.compile(r"\bnot (?:an? |the )?\$?[-+]?\d[\d.,/]*\$?(?= \w)")
_COMES_TO = linear.compile(
    r"\b(?:simplif|reduc|evaluat|equal|amount|com|converg|tend|sum|add|drop|fall|fell|rise|rose|sink|sank|climb|round|factor|expand|lead|correspond|integrat|work|telescop|collaps|boil)\w*"
    r"(?: up| down| out)? to\b|\b(?:end|finish|wind)\w* up with\b"
)
_ERROR_IN = linear.compile(r"\b(?:error|mistake)s?\s(?:in|of|is|for|was|rate|at)\b")
_PERHAPS = linear.compile(r"\b(?:could|might|may) (?:also |well )?be[\s$*]*$", linear.IGNORECASE)
_OVER_TIME = linear.compile(
    r"\bover (?:the |a |this |that |his |her |their |its )?(?:entire |whole |last |next |past |school "
    r"|\d{1,3} |two |three |four |five |six |seven |ten )?"
    r"(?:course|summer|winter|spring|weekend|(?:week|month|year|day|hour)s?|season|holidays?|period|vacation)\b"
)
_UP_TO = linear.compile(r"\s{0,2}(?:to|through|till|until)\s[\s$*]{0,3}\d")
_BEGINS_VALUE = linear.compile(r"\s+\$?[-\d\\]")
_OTHERWISE = (DENIAL, ALTERNATIVE, BOUND_AFTER)
_ASCII_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MARKS = frozenset(("x", "k"))
"""Letters that are "times" and "thousand" right beside a value, and else unknowns."""
_SIGNS = r"< > ≠ ≤ ≥ ± != \ne \neq \le \leq \ge \geq \pm \lt \gt"
_COMPARING = tuple(_SIGNS.split())
_TAKING_BACK = DENYING | SUPPOSING
_MULTIPLYING = frozenset(("twice", "half", "double", "triple"))
_BREAK = linear.compile(r"[.!?;\n。；,，]\s|\n")


def goes_on_plainly(rest: str) -> bool:
    """Tells whether what follows a value leaves it as it is: a unit, a reason, another value that it is not."""
    rest = rest.lstrip("*$_ )]}").replace("不同", "")
    rest = _OVER_TIME.sub(" ", rest).replace("left over", "left").replace("ways to choose", "ways to take")
    if _UP_TO.match(rest):
        return False
    end = _CLAUSE_END.search(rest)
    clause = rest[: end.start()] if end else rest
    if (changes(clause) and not names_things(clause)) or any(word.search(clause) for word in _OTHERWISE):
        return False
    if end is not None and end.group() in {"and", "or"} and _BEGINS_VALUE.match(rest[end.end() :]):
        return False
    if end is None or end.group() in {"because", "since", "as", "so", "for", ".", "when"}:
        return True
    after = rest[end.start() :]
    if _SET_AGAINST.match(after):
        return True
    after = after[len(end.group()) :]
    relative = _CLAUSE_END.match(after.lstrip())
    after = after.lstrip()[relative.end() :] if relative and relative.group() in {"which", "that"} else after
    following = _CLAUSE_END.search(after)
    said = after[: following.start()] if following else after
    first = words_of(said)[:2]
    replaced = first[:1] == ["but"] and any(map(str.isdigit, said))
    more = end.group() == "and" and any(word in SCALING or word in {"counting", "more"} for word in first)
    return not (more or replaced or first[:1] == ["or"] or _takes_back(said))


def _takes_back(clause: str) -> bool:
    """Tells whether a clause of its own denies what stands before it, and says nothing else."""
    return (denies(clause) and len(words_of(clause)) < 6 and not any(map(str.isdigit, clause))) or bool(
        DENIAL.search(clause)
    )


def _is_bound(clause: str) -> bool:
    """Tells whether words with a colon behind them make a bound or another number of a value: "At most: "."""
    heading, colon, rest = clause.rpartition(":")
    words = words_of(heading) if colon and not rest.strip(" *$") else []
    return bool(words) and (words[-1] in LIMITING or words[-1] in {"to", "than"} or words[0] in _MULTIPLYING)


def _end_of(clause: str, size: int) -> str:
    """Returns the last characters of a clause without the rest of a word that is cut: the ne of line denies nothing."""
    end = clause[-size:]
    return end.lstrip(_ASCII_LETTERS) if clause[-size - 1 : -size].isalpha() else end


def stands_plainly(before: str) -> bool:
    """Tells whether what leads up to a value in its clause leaves it as it is: no bound, no denial."""
    ends = list(_BREAK.finditer(before))
    clause = before[ends[-1].end() :] if ends else before
    clause = (
        _ERROR_IN.sub(" ", _NOT_THAT.sub(" ", clause))
        .replace("is equal to", "is")
        .replace("are equal to", "are")
        .replace("be equal to", "be")
    )
    if _PERHAPS.search(clause) or any(word in SUPPOSING for word in words_of(clause)):
        return False
    if denies(clause) or DENIAL.search(_end_of(clause, 20)) or BOUND_BEFORE.search(_end_of(clause, 40)):
        return False
    if (
        any(other.search(clause) for other in (_NUMBERED, _LETTING))
        or _TIMES_AS.search(clause)
        or _is_bound(clause)
        or clause.rstrip(" $").endswith(_COMPARING)
    ):
        return False
    verbs = list(_VERB.finditer(clause))
    window = words_of(_COMES_TO.sub(" ", clause[verbs[-1].end() :] if verbs else clause))
    if window and window[-1] in _MARKS and not clause.rstrip(" $").lower().endswith(window[-1]):
        window = window[:-1]
    if window in (["of"], ["to"]) and verbs and verbs[-1].group() == "total":
        return True
    if window[-1:] == ["of"] and window[-2:-1] and window[-2] in QUANTITIES:
        return True
    return not any(word in BEFORE for word in window[-1:]) and not any(
        word in BEFORE - STEPS - _MARKS for word in window[-2:-1]
    )


def is_doubted(before: str) -> bool:
    """Tells whether the clause that announces an answer takes it back: "I doubt that the answer is"."""
    if (
        _TAKING_BACK.isdisjoint(before.lower().replace(",", " ").split())
        and "n't" not in before
        and "n’t" not in before
    ):
        return False
    clause = _CLAUSE_BEGUN.split(before)[-1]
    return denies(clause) or any(word in SUPPOSING for word in words_of(clause))


def last_sentence(text: str) -> str:
    """Returns the sentence that ends a text, without what marks it up."""
    begun, end = span_of_last_sentence(text)
    return text[begun:end].strip(" *_#>-")


def span_of_last_sentence(text: str) -> tuple[int, int]:
    """Returns where the sentence that ends a text begins, and where it ends but for its marks."""
    end = len(text.rstrip(" \n*_.!`"))
    begun = text.rfind("\n", 0, end) + 1
    return begun + max((mark.end() for mark in SENTENCE_END.finditer(text[begun:end])), default=0), end
