"""Finds answers in words: yes or no, what is in bold, what a last sentence says of its subject."""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.cues import DENIAL
from verifiers.wording.surroundings import SENTENCE_END, is_doubted, last_sentence
from verifiers.wording.taken_back import is_taken_back
from verifiers.wording.vocabulary import SUPPOSING, changes, denies, words_of

_OPENS = linear.compile(
    r"[\s*_]*(?:(?:so|thus|therefore|hence)(?: the answer is)?,? )?[*_]*(yes|no|true|false)(?:[*_]*[,.;:!—–*]|$)",
    linear.IGNORECASE,
)
_SAID = linear.compile(
    r"(?:\bis|\bare|\bwas|\bbe|\bequals|\bfalls|\bfell|\blands|\blies in)(?: on)?"
    r"(?: therefore| thus| then| simply| indeed| exactly)?(?: an?| the)? "
    r"([A-Za-z][A-Za-z'’-]{1,20}(?: [a-z][A-Za-z'’-]{1,20}){0,3}(?: [IV]{1,3})?)[.!\s]*$"
)
_ONE_OF_SOME = frozenset(("or", "and", "but", "almost", "nearly", "second", "third"))
_ONE_CASE = linear.compile(
    r"\s(?:is|are|was|were|be)\s.*(?:[,;]|\s(?:and|but|or|while|whereas))\s"
    r"(?P<how>for|in|when|whenever|if|otherwise|else)[\s,](?P<rest>[^,;]*)$"
)
"""One of several cases, for which something else was said: it is odd for $n$ odd, and for other $n$ it."""
_NO_CASE = frozenset(("all", "every", "each", "any", "this", "that", "these"))
_SAYS_NOTHING = frozenset(("answer", "solution", "result", "it", "this", "that", "one"))
_EMPHASISED = linear.compile(r"(?:\*\*([^*\n]{1,60})\*\*|__([^_\n]{1,60})__)[.!\s]*$")
IN_BOLD = linear.compile(r"\*\*([^*\n]{1,60})\*\*")
_MARK_BETWEEN = linear.compile(r"[,;:.!?]\s")
_SUPERLATIVE = linear.compile(r"\bthe (?:most|least)\b")
_WORDS_ALONE = linear.compile(r"[A-Za-z][A-Za-z '’-]*")
_STATES = linear.compile(r"\b(?:is|are|was|were|be|equals)(?: an?| the| on| in)?\s*$|:\s*$")
_SAID_TO_BE_MOST = linear.compile(
    r"(?:(?:So|Thus|Therefore|Hence|This means|This shows|In conclusion|We conclude|It follows)(?: that)?,? )?"
    r"([A-Z][a-z]{1,15}(?: [A-Z][a-z]{1,15})?)"
    r" (?:is|was|has|had|will be|will have|would be|would have|[a-z]{2,10}s|[a-z]{2,10}ed)"
    r" the (?:[a-z]{2,12}est|most|least|only|best|worst|correct|right|winner)(?: [^,;:]{0,80})?"
)
_LEADS_UP = frozenset(
    [
        "so",
        "thus",
        "therefore",
        "hence",
        "finally",
        "in",
        "conclusion",
        "and",
        "the",
        "my",
        "our",
        "final",
        "correct",
        "short",
    ]
)
_JUDGED = linear.compile(
    r"(?:(?:so|thus|therefore|hence|since [^,:;]{1,120}|because [^,:;]{1,120}|in conclusion|we conclude|it follows)"
    r"(?:,| that)? )?(?:the|this|that)(?: given| above| original)? "
    r"(?:statement|claim|assertion|proposition|conjecture|equation|inequality)(?: as given)? "
    r"(?:is|must be) (?:therefore |thus |clearly |indeed |then )?"
    r"(?P<word>true|false|not (?:always |necessarily )?true)",
    linear.IGNORECASE,
)
YES_OR_NO = {"yes": "no", "no": "yes", "true": "false", "false": "true"}


def emphasised(text: str) -> str | None:
    """Returns the words in bold that end a text, as in "The day is **Tuesday**."; None where they are no statement."""
    found = _EMPHASISED.search(text.rstrip())
    if found is None:
        return last_said(text.rstrip())
    lines = text[: found.start()].rsplit("\n", 1)
    sentence = SENTENCE_END.split(lines[-1])[-1]
    said = found.group(1) or found.group(2)
    if not is_stated(sentence) or denies(said) or not _STATES.search(sentence):
        return None
    return said.strip(" .:") or None


def yes_or_no(text: str) -> str | None:
    """Returns the yes, no, true or false that opens a short text, where its opposite stands nowhere."""
    found = _OPENS.match(text)
    if found is None or len(text) > 400:
        return None
    word = found.group(1).lower()
    return None if YES_OR_NO[word] in words_of(text[found.end() :]) or "but" in words_of(text) else word


def announced_yes_or_no(text: str, cue: linear.Match | None) -> str | None:
    """Returns the yes, no, true or false that follows a last "the answer is", which nothing takes back."""
    if cue is None or is_taken_back(text[cue.end() :]):
        return None
    lead = last_sentence(text[: cue.start()]) if text[: cue.start()].rstrip(" *_#>")[-1:] not in {"\n", "."} else ""
    word = yes_or_no(text[cue.end() :].lstrip(" *:")) if _LEADS_UP.issuperset(words_of(lead)) else None
    tail = _MARK_BETWEEN.split(text[cue.end() :])[1:2]
    return None if word in {"yes", "true"} and tail and denies(tail[0]) else word


def judged(text: str) -> str | None:
    """Returns whether a last sentence says of a statement that it is true, or that it is false."""
    found = _JUDGED.fullmatch(last_sentence(text).replace("*", "")) if "true" in text or "false" in text else None
    if found is None:
        return None
    return "true" if found.group("word").lower() == "true" else "false"


def is_stated(sentence: str) -> bool:
    """Tells whether a sentence neither denies nor only supposes what it says."""
    return not denies(sentence) and not DENIAL.search(sentence) and SUPPOSING.isdisjoint(words_of(sentence))


def word_in_bold(text: str) -> str | None:
    """Returns the only words in bold of a last line, as in "**Navin** would earn the most."; None where its other words
    take them back or set others beside them."""
    line = text.rstrip().rsplit("\n", 1)[-1]
    found = list(IN_BOLD.finditer(line))
    if len(found) != 1:
        return None
    said, clause = found[0].group(1).strip(" .:"), _MARK_BETWEEN.split(line[: found[0].start()])[-1]
    beside = _SUPERLATIVE.sub(" ", clause + line[found[0].end() :])
    plain = is_stated(beside) and not changes(beside) and not denies(said)
    return said if plain and _WORDS_ALONE.fullmatch(said) else None


def last_said(text: str) -> str | None:
    """Returns the words that a last sentence says of its subject: "The day is Saturday."."""
    sentence = SENTENCE_END.split(text.rstrip(" .!"))[-1]
    found = _SAID.search(sentence)
    if found is None or not is_stated(sentence) or is_doubted(sentence) or _is_one_case(sentence[: found.start()]):
        return None
    return found.group(1) if _SAYS_NOTHING.isdisjoint(words_of(found.group(1))) else None


def _is_one_case(before: str) -> bool:
    """Tells whether what is said holds in one of several cases only, by what stands before it in its sentence."""
    found = _ONE_CASE.search(before)
    words = words_of(found.group("rest")) if found is not None else []
    if found is None or "and" in words:
        return False
    named = {"other", "case", "cases"}.isdisjoint(words) or "this" in words
    return not (named and (found.group("how") == "in" or not _NO_CASE.isdisjoint(words[:1])))


def said_to_be_most(text: str) -> str | None:
    """Returns the name that a last sentence says to be the most of all: "So Evelyn is the fastest."."""
    sentence = last_sentence(text)
    found = _SAID_TO_BE_MOST.fullmatch(sentence)
    plain = is_stated(sentence) and not is_doubted(sentence) and _ONE_OF_SOME.isdisjoint(words_of(sentence))
    return found.group(1) if found is not None and plain else None
