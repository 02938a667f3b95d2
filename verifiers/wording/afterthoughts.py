"""Cuts off the end of a text what only comments the answer before it: a check, a reason, a remark in brackets.

"x = 3, which we verify: 2(3) + 1 = 7" gives x = 3. What may change the answer stays: a check that fails, a conclusion,
another value for a name.
"""

from __future__ import annotations

from verifiers.patterns import linear
from verifiers.wording.number_words import number_in_words
from verifiers.wording.surroundings import span_of_last_sentence
from verifiers.wording.values import SPAN, VALUE, leading_measure

_VERIFY = r"(?:verify|check|confirm|double[- ]check)"
_CHECK = linear.compile(
    r"(?:^|\n\s*|[.!:;)\]}$]\s+|\()[\s*_#]*"
    rf"(?:To {_VERIFY}\b|(?:Let['’]?s|Let us|Let me|We can|We) (?:now |also |quickly )?{_VERIFY}\b"
    r"|(?:Quick )?Check(?:ing)?\b|Verification\b|Verifying\b|Verify\s?:|Substituting (?:this |it |back|\$?[a-z])"
    rf"|(?:Plugging|Substitute|Plug) (?:this |it |back))|,? which (?:we|you|one) (?:can )?(?:easily )?{_VERIFY}\b",
    linear.IGNORECASE,
)
_GOES_ON = linear.compile(
    r"\b(?:so|thus|then|therefore|hence|but|however|wait|no|not|answer|instead|actually|wrong|incorrect|mistake|error"
    r"|fails?|false|contradict\w*|must|should|we get|we have|gives|conclude\w*|only|other)\b|n['’]t|≠|\\ne|\?|\\boxed",
    linear.IGNORECASE,
)
_NAMED_AT_END = linear.compile(r"(?:^|[^A-Za-z0-9^_)}\\ +*/·-])[\s$*\\(]*[A-Za-z](?:_\{?\w\}?)?\s?=[^=]{1,40}$")
_REASON = linear.compile(r"(?:,\s(?:since|because)|\s(?:since|because))\s", linear.IGNORECASE)
_BECAUSE = linear.compile(r"(?:since|because)\s", linear.IGNORECASE)
_CONCLUDES = linear.compile(
    r"\b(?:so|thus|then|therefore|hence|but|not|we get|we have|gives|wrong|however|instead)\b"
    r"|[,;]\s[^,;]*(?:=| is )|n['’]t",
    linear.IGNORECASE,
)
_OF_WHICH = linear.compile(r",\swhose\s[^=]*$")
_REMARK = linear.compile(r"\s\(((?:[^()\n]|\([^()\n]*\))+)\)[.!*\s]*$")
_SAYS_AGAIN = linear.compile(
    r"^\W*(?:or|i\.e|about|approx\w*|roughly|around|which|that is|namely|equivalent\w*|rounded|not|also|in|as)[ .,:]"
    r"|^\W*[=≈~]|\b(?:but|actually|wait|correct\w*|rather|should|wrong|mistake|sorry|oops|instead|or|if|answer|equals|error)\b"
    r"|\\approx|≈|\?",
    linear.IGNORECASE,
)
_LIMIT = linear.compile(
    r",?\sas\s[\s$\\(]*[A-Za-z][\s$]{0,3}"
    r"(?:tends to|approaches|goes to|grows|increases|decreases|=>|->|\\to\b|\\rightarrow\b)[^,;=]{0,40}$"
)
_PROVED = linear.compile(
    r"[\s.]*(?:\$\$?\s?\\(?:blacksquare|square|Box|qed)\s?\$\$?|\\\(\s?\\(?:blacksquare|square|Box|qed)\s?\\\)|\sQED)[\s.]*$"
)
_SIGNS = "∎■□"
_WORD = linear.compile(r"[A-Za-z]{2,}")
_LONGEST = 500


def without_afterthoughts(text: str) -> str:
    """Returns the text without what its end only says about the answer; the text itself where there is no such end."""
    text = text.rstrip(" .\n" + _SIGNS) if text[-3:].strip(" .\n")[-1:] in set(_SIGNS) else text
    text = _PROVED.sub("", text) if "\\" in text[-20:] or "QED" in text[-8:] else text
    lowered = text[-_LONGEST:].lower()
    if "erif" in lowered or "check" in lowered or "confirm" in lowered or "back" in lowered:
        text = _without_check(text)
    begun, _ = span_of_last_sentence(text)
    sentence = text[begun:]
    if "(" in sentence:
        sentence = _without_remark(sentence)
    if "ince " in sentence or "ecause " in sentence:
        sentence = _without_reason(sentence)
    if ", whose " in sentence:
        sentence = _cut(sentence, _OF_WHICH.search(sentence))
    if " as " in sentence:
        sentence = _cut(sentence, _LIMIT.search(sentence))
    return text[:begun] + sentence


def _without_check(text: str) -> str:
    begun = max(len(text) - _LONGEST, 0)
    found = list(_CHECK.finditer(text[begun:]))
    if len(found) != 1:
        return text
    at = begun + found[0].start()
    before, check = text[:at], text[begun + found[0].end() :]
    kept = 1 if found[0].group()[:1] in ".!:;)]}$" else 0
    plain = check.rstrip(" .)$✓✔✅☑\n*!") if check else check
    last = plain.rsplit("\n", 1)[-1]
    if not _holds_value(before) or _GOES_ON.search(check) or _NAMED_AT_END.search(last) or not _holds_value(check):
        return text
    return text[: at + kept].rstrip(" ,(:")


def _without_reason(sentence: str) -> str:
    found = _REASON.search(sentence)
    if found is None or _CONCLUDES.search(sentence[found.end() :]):
        return sentence
    worked_out = sentence[found.end() :].rpartition("=")[2].strip(" $.")
    if worked_out.isdigit() and worked_out in _figures(sentence[: found.start()]):
        return sentence
    return _cut(sentence, found)


def _without_remark(sentence: str) -> str:
    found = _REMARK.search(sentence)
    remark = found.group(1) if found is not None else ""
    again = number_in_words(remark) is not None or leading_measure(remark) is not None or _SAYS_AGAIN.search(remark)
    reason = _BECAUSE.match(remark) is not None and not _CONCLUDES.search(remark)
    if (len(_WORD.findall(remark)) < 3 and not reason) or again:
        return sentence
    return _cut(sentence, found)


def _figures(text: str) -> list[str]:
    return [value.group() for value in VALUE.finditer(text.replace("%", " "))]


def _cut(sentence: str, found: linear.Match | None) -> str:
    """The sentence up to a match, if it says a value before."""
    return sentence[: found.start()] if found is not None and _holds_value(sentence[: found.start()]) else sentence


def _holds_value(text: str) -> bool:
    return SPAN.search(text) is not None or VALUE.search(text) is not None
