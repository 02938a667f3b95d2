"""Brings the ways people write an answer to one spelling, by text rules alone; each rule reads its text once."""

from __future__ import annotations

from typing import NamedTuple

from verifiers.mathematics.reading.characters import in_ascii, with_one_name
from verifiers.mathematics.reading.numerals import joined_at_commas, joined_thousands, with_fractions, without_bases
from verifiers.mathematics.reading.remarks import without_remarks
from verifiers.mathematics.reading.split import with_usual_brackets
from verifiers.mathematics.reading.units import bare_measure, counted, without_degrees, without_unit
from verifiers.patterns import linear
from verifiers.wording.unit_names import CURRENCY, SIGNS_OF_MONEY, Unit
from verifiers.wording.vocabulary import denies, heads, leads_up

OR, AND = "\x0e", "\x0f"
"""Stand for the words that join answers."""
ROW = "\x06"
"""Stands for the end of a row of a matrix."""
CASES, END_CASES = "\x10", "\x11"
"""The brackets of a system of equations or of a function by cases."""

_DROPPED = linear.compile(
    r"\\(?:left|right|middle|displaystyle|textstyle|scriptstyle|scriptscriptstyle|limits|boxed|fbox|framebox|Bigg?|bigg?|[Bb]igg?[lrm]"
    r"|mathstrut|strut|ensuremath|rm|bf|it|sf|tt|em|boldsymbol|bm|pmb|vec|overrightarrow|hat|widehat|mathopen|mathclose|nolimits"
    r"|tiny|scriptsize|footnotesize|small|normalsize|large|Large|LARGE|huge|Huge|underline|emph|smash|mathbin|mathrel|mathord"
    r"|bfseries|itshape|null|relax|noindent|centering|allowbreak|nobreak)(?![a-zA-Z])"
    r"|\\(?:boxed|fbox)(?=\{)|\\!|\\\\\s?\[[\d.]+\s?(?:mm|cm|pt|ex|em)\]|\\hline"
)
_ACCENTED = linear.compile(
    r"\\(?:vec|overrightarrow|hat|widehat|boldsymbol|bm|pmb)\s?\{\s?(?:([A-Za-z]{1,4})|(\\[A-Za-z]{1,10}))\s?\}"
)
"""A letter with a sign over it, or in bold, which is no other letter here."""
_SPACES = linear.compile(r"(?:\\(?:qquad|quad|hspace\{[^{}]*\}|[,;:> ])|~|\s)+")
_PERCENT = linear.compile(r"\\?%|\\text\s?\{\s*(?:\\?%|percent(?:age)?|pct)\s*\}|\b(?:percent(?:age)?|pct)\b")
_TEXT = linear.compile(
    r"\\(text|mbox|mathrm|textbf|textit|textrm|texttt|textsf|mathbf|mathit|mathsf|operatorname|hbox|mathcal|textnormal)"
    r"\s?\*?\s?\{([^{}]*)\}"
)
_UNIT_LETTER = frozenset("mgsLhNJWVKACTFHM")
_TIMES_AT_END = linear.compile(r"(?:\}\s?\\cdot|\\pi)[\s\\,;~]*$")
_A_UNIT = r"(\\(?:text|mathrm|mbox)\s?\{[A-Za-z\s.]{1,20}\}(?:\s?\^\s?\{?[23]\}?)?)"
_FRACTION_OF_UNITS = linear.compile(rf"\\[dtc]?frac\s?\{{\s*{_A_UNIT}\s*\}}\s?\{{\s*{_A_UNIT}\s*\}}")
_OPEN_TEXT = r"(?:\\(?:text|mathrm|mbox)\s?\{\s?)?"
_ROOM = r"(?:\\[,;:! ]|[~,\s])*"
_MICRO = linear.compile(rf"(\d){_ROOM}{_OPEN_TEXT}\\mu\s?\}}?\s?{_OPEN_TEXT}\s?([mgsACFHJWVLN])(?![A-Za-z])\s?\}}?")
_OHM = linear.compile(rf"(\d){_ROOM}{_OPEN_TEXT}([kM])\s?\}}?\s?\\Omega(?![A-Za-z])\s?\}}?")
_COMMAND_WORDS = linear.compile(
    r"\s*(?:[\d.,:;/\s%()^-]*|[A-Za-z]|sin|cos|tan|cot|sec|csc|arc(?:sin|cos|tan)|sinh|cosh|tanh|log|lg|ln|exp|sqrt|pi"
    r"|infinity|gcd|lcm|max|min|cis)\s*"
)
_NUMBER_AND_UNIT = linear.compile(r"\s*[-+]?\d[\d.,/]*(?:\s+[A-Za-z]+)+\s*")
_NAMED_NUMBER = linear.compile(r"\s*[A-Za-z]\s?=\s?-?\d[\d.]*\s*")
_EQUALS = frozenset(
    ("is", "are", "equals", "is equal to", "i.e.", "that is", "or equivalently", "equivalently", "which is",
     "which equals", "or simply", "namely")
)  # fmt: skip
_ROUGHLY = frozenset(
    f"{lead}{word}".strip()
    for lead in ("", "or ", "which is ", "is ", "i.e. ", "that is ")
    for word in ("approximately", "approx.", "approx", "about", "roughly", "around")
)
_ROUGHLY_PLAIN = linear.compile(r"\s(?:or|which is|is|i\.e\.)\s(?:approximately|about|roughly|approx\.?)\s")
_JOINING = linear.compile(r"^\s*(?:,\s*)?(and|or|&)\s*(?:,\s*)?$", linear.IGNORECASE)
_THINGS_AND = linear.compile(r"^\s*([a-z]{2,20})(?:\s*,|\s*,?\s+(and|or))\s*$")
"""Things that one of several values counts, and the joint behind them."""
_JOINING_PLAIN = linear.compile(
    r"(?:\s*,)?\s+(and|or)\s+|\s*,\s*(and|or)\s+|\s*\\(lor|vee|land|wedge)(?![a-z])\s*", linear.IGNORECASE
)
_GLUED_OR = linear.compile(r"([\d)])or([(\d-]|[A-Za-z] ?[=(])")
_TO = linear.compile(r'^(\s*[\d.]+)((?:\s*"?\s*to\s*"?\s*[\d.]+)+\s*)$')
_ABOUT = linear.compile(
    r'^\s*(?:\\(?:approx|simeq|sim)(?![a-z])|~|=|"?(?:about\b|approximately\b|approx\.\b|approx\b|around\b|roughly\b)"?)\s*'
)
_SHORT_FRACTION = linear.compile(r"\\frac\s*(?:(\d)\s*(\d)|(\d)\s*(\{)|(\{[^{}]*\})\s*(\d)|(\d)\s*([a-zA-Z]))")
_FRACTION_NAMES = linear.compile(r"\\(?:[dtcs]|nice|x)frac(?![a-zA-Z])")
_SHORT_BINOMIAL = linear.compile(r"\\binom\s*(\d)\s*(\d)")
_EDGE = linear.compile(r"^[\s\x06]+|[\s.,;:\\\x06]+$")
_END_MARKS = frozenset(".,;:\\\x06")
_ABOUT_BEGINS = frozenset(' \\~="ar')
_APART = frozenset(" \t\n\r\f\v,\\")
"""Marks of which one stands before each word that joins two values, and before each command for it."""
_THEREFORE = linear.compile(r"\\(?:therefore|implies|Rightarrow|Longrightarrow)(?![A-Za-z])")
_EQUATES = linear.compile(r"[=<>]|\\[gl]eq?(?![A-Za-z])")
_NO_PREMISE = linear.compile(r"\\(?:text|mathrm|mbox|ne|neq|not|neg|begin)(?![A-Za-z])|[,;\"\n]")
_MARKUP = linear.compile(r"^\s*(?:\*\*(.*)\*\*|\*(.*)\*|`(.*)`)[\s.,;:]*$", linear.DOTALL)
_DELIMITERS = linear.compile(r"\\\(|\\\)|\\\[|(?<!\\)\\\]|\$")
_IDLE_BLANK = linear.compile(r" (?!\d)|(?<!\d) ")
_LEAD = linear.compile(r"^\s*\\(?:text|mbox|textbf|textrm|mathrm)\s?\{([^{}]*)\}\s*:?")
_UNEQUAL = linear.compile(r"(?<![\d)}!])!=")
_NOT = linear.compile(r"\\not\s?=")
_OUTER_QUOTES = linear.compile(r'^\s*"|"\s*$')
_QUOTE_OF_DIGITS = linear.compile(r'(?<=\d)"(?=\d)')
_SECOND_PRIME = linear.compile(r'([A-Za-z)])"(?=[(\s+*/=-])')
_DOLLAR = r"(?:\\text\s?\{\s*\\\$\s*\}|\\\$)"
_CURRENCY = linear.compile(rf"\bUSD?\s?{_DOLLAR}|{_DOLLAR}|\b(?:USD?\s)?US(?=\$)|\bUSD\s?(?=\d)")
_SYSTEM = linear.compile(
    r"\\begin\{cases\}|\\left\s?\\(?:\{|lbrace)\s?\\begin\{(?:array|aligned|gathered|matrix)\}(?:\{[clr|\s]*\})?"
)
_SYSTEM_END = linear.compile(r"\\end\{cases\}|\\end\{(?:array|aligned|gathered|matrix)\}\s?\\right\s?\.")
_CONTROL = linear.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_TIMES_TEN = linear.compile(r"(?<=\d)\s?[xX]\s?(?=10\s?(?:\^|\*\*))")
_TWO_BACKSLASHES = linear.compile(r"\\\\[A-Za-z]{2}")
_ESCAPED_TWICE = linear.compile(r"\\\\(?=[A-Za-z])")
_INVISIBLE_BRACKET = linear.compile(r"\\right\s?\.|\\left\s?\.")
_IN_BRACKETS = linear.compile(r"^\s*\(([A-Za-z][A-Za-z ]{3,})\)\s*$")
"""A remark; up to three letters are the label of an option."""
_TO_WORD = linear.compile(r'[\s"]*to[\s"]*')
_LETTERS_APART = linear.compile(r"(\d[A-Za-z]) +(?=i(?![A-Za-z]))")
"""As in 2x i, which is no 2 xi."""
_BLANK_OF_DIGITS = linear.compile(r"(?<=\d) (?=\d)")
_PLUS = linear.compile(r"^\+")
_ROW_GAP = linear.compile(r"\\\\\s?\[[\d.]+\s?(?:mm|cm|pt|ex|em)\]")
_ROW_END = linear.compile(r"\\(?:hline|cr)(?![a-z])|\\\\")
_UNESCAPED_ROW = linear.compile(r"\\(?=[\s\d-])")
_DIGIT = linear.compile(r"\d")
_JOINED = linear.compile(f"[{OR}{AND}]|, ")
_JOINT = linear.compile(f"(\\s*[{OR}{AND}]\\s*|, )")
_COMMAND_AND_LETTER = linear.compile(r"(\\[A-Za-z]+) (?=[A-Za-z])")

_UNSEEN = linear.compile(
    r"\\(?:(?P<whole>[hv]?phantom|label|tag|[hv]space|color|pagecolor|nonumber|notag)|(?P<style>textcolor|colorbox|mathcolor))"
    r"\*?\s?(?:\[[^\[\]{}]{0,20}\]\s?)?\{"
)
"""Takes room or tells something, and is not seen: phantoms, labels, tags, colours."""


class Spelling(NamedTuple):
    """An answer in one spelling, and the unit that stood at its end."""

    text: str
    unit: Unit | None = None
    measured: tuple[str, Unit] | None = None
    """The number and the unit of "30 N", which is no product perhaps."""


def normalise(answer: str) -> Spelling:
    """Returns the answer without dollar signs, blanks, units, `\\text`, degree signs or thousands separators.

    Words that the author marked as text stay, between double quotes.
    """
    signs = [] if answer.isascii() else [SIGNS_OF_MONEY[char] for char in answer if char in SIGNS_OF_MONEY]
    money = signs[0] if signs else CURRENCY
    text = in_ascii(without_remarks(answer))
    text = _TIMES_TEN.sub(r"\\times ", text if text.isprintable() else _CONTROL.sub("\ufffd", text))
    if _TWO_BACKSLASHES.search(text) and "\\begin" not in text:
        text = _ESCAPED_TWICE.sub(r"\\", text)
    text = _MARKUP.sub(r"\1\2\3", text) if text.lstrip()[:1] in {"*", "`"} else text
    text, unit = without_degrees(without_unseen(text) if "\\" in text else text)
    if "\\therefore" in text or "\\implies" in text or "ightarrow" in text:
        text = _conclusion(text)
    text = _NOT.sub("\\\\ne ", _UNEQUAL.sub("\\\\ne ", text))
    text = _without_quotes(text)
    priced = _CURRENCY.sub(" ", text)
    if priced != text:
        text, unit = priced, money
    if "\\begin" in text:
        text = _rows(text)
    text = _INVISIBLE_BRACKET.sub("", text.replace("{:}", ":"))
    text = _ACCENTED.sub(r" \1\2 ", text)
    text = _PERCENT.sub("%", text)
    text = _DELIMITERS.sub(" ", text) if "\\" in text or "$" in text else text
    text = _DROPPED.sub("", joined_thousands(text))
    text = with_one_name(text)
    text = _TEXT.sub(_quoted, _without_lead(_with_symbols_of_units(text)))
    text = with_fractions(_FRACTION_NAMES.sub(r"\\frac", _SPACES.sub(" ", text)))
    text = _without_edges(without_bases(text))
    text = _ABOUT.sub("", text) if text[:1] in _ABOUT_BEGINS else text
    text = _TO.sub(lambda m: m.group(1) + _TO_WORD.sub(":", m.group(2)), text)
    text = _GLUED_OR.sub(r"\1 or \2", text)
    if not _APART.isdisjoint(text):
        text = _JOINING_PLAIN.sub(_joining, _ROUGHLY_PLAIN.sub(r" \\approx ", text))
    bare = bare_measure(text) if unit is None and " " in text else None
    text, measured = _without_units(text)
    if bare is not None and measured is not None and measured != bare[1]:
        text, measured = bare
    bare = bare if measured is None else None
    text = with_usual_brackets(joined_at_commas(text))
    text = text.replace("_{1,2}", "") if "\\pm" in text else text  # the names of both values
    braced = _SHORT_FRACTION.sub(_braced, text)
    text = braced if braced is text else _SHORT_FRACTION.sub(_braced, braced)
    text = _SHORT_BINOMIAL.sub(r"\\binom{\1}{\2}", text)
    text = _without_edges(text)
    text = _LETTERS_APART.sub("\\1\x03", text)
    text = _BLANK_OF_DIGITS.sub("\x03", text).replace(" ", "") if "\\" not in text else _tight(text)
    return Spelling(_PLUS.sub("", text), measured or unit, bare)


def _without_edges(text: str) -> str:
    """Drops blanks around a text, and marks at its end."""
    begun, end = text[:1], text[-1:]
    return _EDGE.sub("", text) if begun.isspace() or begun == "\x06" or end.isspace() or end in _END_MARKS else text


def _conclusion(text: str) -> str:
    """Returns what stands behind the last implication, if it follows from one formula, or from nothing."""
    signs = list(_THEREFORE.finditer(text))
    premise = text[: signs[-1].start()] if signs else ""
    idle = not _DELIMITERS.sub("", premise).strip()
    drawn = _EQUATES.search(premise) and not _NO_PREMISE.search(premise) and _is_whole(premise)
    return text[signs[-1].end() :] if signs and (idle or drawn) else text


def _is_whole(text: str) -> bool:
    return all(text.count(opening) == text.count(closing) for opening, closing in ("{}", "()", "[]"))


def _with_symbols_of_units(text: str) -> str:
    """Writes fractions of units with a slash, and micrometres and kiloohms as one word."""
    text = _OHM.sub(r"\1 \\text{\2ohm}", _MICRO.sub(r"\1 \\text{u\2}", text))
    return _FRACTION_OF_UNITS.sub(r"\1/\2", text)


def _without_lead(text: str) -> str:
    """Drops words that only announce what follows them: "The answer is"."""
    lead = _LEAD.match(text)
    if not lead or not (leads_up(lead.group(1)) or _is_heading(lead)) or not text[lead.end() :].strip(" ."):
        return text
    applied = text[lead.end()] == "(" and lead.group(1).isalpha()
    return text if applied else text[lead.end() :]


def _is_heading(lead: linear.Match) -> bool:
    """Tells whether words with a colon behind them name what they head: "Radius of convergence: "."""
    words = lead.group().rstrip(" }")
    return words.endswith(":") and heads(lead.group(1))


def _without_quotes(text: str) -> str:
    """Drops quotation marks around the whole; those after a letter are primes, and others part what they stand in."""
    if '"' not in text:
        return text
    return _QUOTE_OF_DIGITS.sub("\ufffd", _SECOND_PRIME.sub(r"\1''", _OUTER_QUOTES.sub("", text))).replace('"', " ")


def squeezed(text: str) -> str:
    """Returns the text without dollar signs around it and without blanks, but for one that parts two digits."""
    return _IDLE_BLANK.sub("", " ".join(text.split()).replace("! =", "!\ufffe=")).strip("$")


def _rows(text: str) -> str:
    text = _ROW_GAP.sub(r"\\\\", text)
    text = _ROW_END.sub(lambda m: "" if "hline" in m.group() else f" {ROW} ", text)
    if ROW not in text:
        # a text that was unescaped once too often has one backslash where two ended a row
        text = _UNESCAPED_ROW.sub(f" {ROW} ", text)
    text = _SYSTEM_END.sub(END_CASES, _SYSTEM.sub(CASES, text))
    return text.replace("smallmatrix", "matrix")


def _quoted(match: linear.Match) -> str:
    command, words = match.groups()
    joining = _JOINING.match(words)
    if joining:
        return f" {OR if joining.group(1).lower() == 'or' else AND} "
    said = words.strip(" ,(").lower()
    if said in _EQUALS or said in _ROUGHLY:
        sign = (" (" if "(" in words else " ") + (r"\approx " if said in _ROUGHLY else "= ")
        return sign if match.string[: match.start()].strip() and match.string[match.end() :].strip(" .") else " "
    words = _IN_BRACKETS.sub(r"\1", words)
    if denies(words):
        words = words.replace(" ", "\x04")
    counted_and = _THINGS_AND.match(words) if words.rstrip().endswith((",", " and", " or")) else None
    if counted_and:
        joint = {"and": AND, "or": OR}.get(counted_and.group(2) or "", ",")
        return f' "{counted_and.group(1)}" {joint} '
    words = _JOINING_PLAIN.sub(_joining, words) if _DIGIT.search(words) else words
    before = match.string[: match.start()].rstrip(" \\,;~")[-1:]
    if before in {"t", "i"} and _TIMES_AT_END.search(match.string[max(match.start() - 20, 0) : match.start()]):
        before = "}"
    if (
        words.strip() in _UNIT_LETTER
        and command in {"text", "mathrm", "mbox"}
        and before
        and before in '0123456789})"/'
        and match.string[match.end() : match.end() + 1] != "_"
    ):
        return f' "{words.strip()}" '
    if _COMMAND_WORDS.fullmatch(words) or _NAMED_NUMBER.fullmatch(words) or _NUMBER_AND_UNIT.fullmatch(words):
        return f" {words.strip()} "
    return f' "{words.strip()}" ' if words.strip() else " "


def _joining(match: linear.Match) -> str:
    word = next(group for group in match.groups() if group).lower()
    return f" {OR if word in {'or', 'lor', 'vee'} else AND} "


def _without_units(text: str) -> tuple[str, Unit | None]:
    """Takes the unit off the whole answer, and off each of several answers that words or commas join."""
    if not _JOINED.search(text) or any(bracket in text for bracket in "([\x01"):
        return without_unit(text)
    parts = _JOINT.split(text)
    cores = [without_unit(part)[0] for part in parts[::2]]
    names = counted(parts[::2], cores)
    if names is not None:
        cores = [f'"{name}"={core}' for name, core in zip(names, cores, strict=True)]
    parts[::2] = cores
    return "".join(parts), None


def _braced(match: linear.Match) -> str:
    parts = [part for part in match.groups() if part]
    if parts[1] == "{":
        return rf"\frac{{{parts[0]}}}{{"
    return r"\frac" + "".join(part if part.startswith("{") else f"{{{part}}}" for part in parts)


def _tight(text: str) -> str:
    """Drops blanks, but keeps the one that ends a command or parts two numbers."""
    text = _COMMAND_AND_LETTER.sub("\\1\x04", text)
    text = _BLANK_OF_DIGITS.sub("\x03", text).replace(" ", "")
    return text.replace("\x04", " ")


def without_unseen(text: str) -> str:
    """Returns the text with a blank in place of each such command and of its first argument."""
    parts, begun = [], 0
    for found in _UNSEEN.finditer(text):
        if found.start() < begun:
            continue
        end = _closing_brace(text, found.end())
        if end < 0:
            break
        parts.append(text[begun : found.start()])
        begun = end + 1
    return " ".join([*parts, text[begun:]]) if parts else text


def _closing_brace(text: str, start: int) -> int:
    depth = 1
    for at in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        if depth == 0:
            return at
    return -1
