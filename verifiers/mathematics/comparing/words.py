"""The rules for answers in words: what spelling may change, letters of options, chemical formulas, sentences."""

from __future__ import annotations

from verifiers.mathematics.reading.form import Form
from verifiers.patterns import linear
from verifiers.wording.vocabulary import changes, denies

_CHOICE = linear.compile(r"^\"?(?:(?i:option|choice|answer)\s*\"?)?\(?\"?\(?([A-J])\)?\"?\)?(?:[.:)].*)?$")
_ARTICLE = linear.compile(r"^\"?(?:an?|the) ?(?=[a-z]{4})", linear.IGNORECASE)
_LEAD = linear.compile(
    r"^(?:the|this)?(?:given|improper|infinite)?(?:series|integral|sequence|limit|function|graph|statement|equation|system|claim"
    r"|triangle|quadrilateral|polygon|figure|shape|conic|curve|angle|matrix|number|integer|argument|inequality|relation"
    r"|operation|group|set|slope|matrices|vectors|lines|events|variables|roots|planes|sets)(?:is|are)?(?:an?|the)?$"
    r"|^[a-z]is(?:an?|the)?$"
)
"""As in "the function is even", without blanks."""
_IDLE = linear.compile(r"[\s\"{}\\\x04]|\.(?!\d)")
_REASONED = linear.compile(r"^(yes|no|true|false)[,.;:]? ?(?:because|since|as)\b(.*)$", linear.IGNORECASE)
_SPELLED = linear.compile(r"[\s\"\\\x04]")
_CHEMICAL = linear.compile(r"(?:[A-Z][a-z]?(?:_?\{?\d{1,2}\}?)?){1,6}")
_OPENING_QUOTES = linear.compile(r'"')
_KINDS = frozenset(("function", "functions", "number", "numbers", "integer"))
"""As in "an even function"."""
_SAME_WORDS = {
    **dict.fromkeys(("infinitelymanysolutions", "infinitesolutions", "infinitelymany"), "infinitelymany"),
    "doesnotexist": "dne",
    "nonexistent": "dne",
}


def words(text: str) -> str:
    """Returns a text answer without case, blanks, quotes, articles, or the brackets and dots of an option letter."""
    choice = _CHOICE.match(text)
    if choice and not denies(text):
        return choice.group(1).upper()
    if len(text) < 2:
        return text
    reasoned = _REASONED.match(_OPENING_QUOTES.sub("", text).replace("\x04", " "))
    if reasoned and not changes(reasoned.group(2)):
        return reasoned.group(1).casefold()
    bare = _IDLE.sub("", text).casefold()
    if bare.startswith(("thereareinfinite", "thereexistinfinite")):
        bare = bare[bare.index("infinite") :]
    else:
        bare = _IDLE.sub("", _ARTICLE.sub("", text)).casefold()
    bare = "infinitelymany" if bare.startswith("infinitelymanysuch") else bare
    return _SAME_WORDS.get(bare, bare)


def other_symbols(first: str, second: str) -> bool:
    """Tells two chemical formulas that differ in the case of letters alone: CO is no Co."""
    plain = [_SPELLED.sub("", text) for text in (first, second)]
    if plain[0] == plain[1] or plain[0].casefold() != plain[1].casefold() or plain[0].casefold() == "no":
        return False
    return all(len(text) < 13 and _CHEMICAL.fullmatch(text) for text in plain)


def said_alike(first: str, second: str) -> bool:
    """Tells whether two texts, as `words` gives them, say the same, perhaps one of them as a sentence."""
    short, long = sorted((first, second), key=len)
    if short == long:
        return short != ""
    if len(short) < 3:
        return False
    kind = long.startswith(short) and long[len(short) :] in _KINDS
    return kind or (long.endswith(short) and bool(_LEAD.match(long[: -len(short)])))


def letters_chosen(form: Form) -> str:
    """The options that "A, C" or AC names, in order; nothing for what is no choice of several."""
    letters = [words(item.text) for item in form.items] if form.kind == "list" else list(form.text.strip('"'))
    several = 1 < len(letters) == len(set(letters)) and all(
        len(letter) == 1 and "A" <= letter <= "J" for letter in letters
    )
    return "".join(sorted(letters)) if several else ""


def bare(text: str) -> str:
    """Returns a formula that nobody read without what spelling may change: blanks, quotes, backslashes."""
    return _SPELLED.sub("", text)
