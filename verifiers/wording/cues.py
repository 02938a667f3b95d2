"""Cues that announce an answer, by language: one table, so that another language is one more line.

A cue is followed by the answer, with a colon, an equals sign, or a copula of the language between them or after it.
"""

from __future__ import annotations

from typing import NamedTuple

import re2


class Announcement(NamedTuple):
    """The ways in which a language announces an answer. All are alternatives of a pattern, in small letters.

    `nouns` need a copula, a colon or the end of a line after them; `verbs` are complete; `copulas` stand between noun
    and answer; `endings` may follow the answer; `denials` take it back; `ors` and `ands` join answers; `bounds` make a
    value the bound of one.
    """

    nouns: str
    copulas: str
    endings: str = ""
    denials: str = ""
    verbs: str = ""
    ors: str = ""
    ands: str = ""
    bounds: str = ""


LANGUAGES = {
    "English": Announcement(
        nouns=r"final answer|answer|ans",
        copulas=r"(?:should|would|must|will) be|is",
    ),
    "French": Announcement(
        nouns=r"réponse finale|bonne réponse|réponse|résultat final",
        copulas=r"est donc|serait|est|doit être",
        denials=r"n'est|n’est|pas|faux|fausse|incorrect\pL*|erroné\pL*",
        ors="ou",
        ands="et",
        bounds=r"au moins|au plus|plus d[e']|moins d[e']|supérieur\pL* à|inférieur\pL* à|au minimum|au maximum",
    ),
    "German": Announcement(
        nouns=r"endgültige antwort|antwort|endergebnis",
        copulas=r"ist|lautet|wäre",
        denials=r"nicht|kein\pL*|falsch\pL*|inkorrekt",
        ors=r"oder|bzw\.",
        ands="und|sowie",
        bounds=r"mindestens|höchstens|wenigstens|mehr als|weniger als|größer als|kleiner als",
    ),
    "Spanish": Announcement(
        nouns=r"respuesta final|respuesta correcta|respuesta",
        copulas=r"es|sería",
        denials=r"no|fals[oa]|incorrect[oa]|erróne[oa]",
        ors="o|u|ó",
        ands="y|e",
        bounds=r"al menos|por lo menos|como mínimo|como máximo|a lo sumo|más de|menos de"
        r"|mayor\pL* (?:que|de|a)|menor\pL* (?:que|de|a)",
    ),
    "Portuguese": Announcement(
        nouns=r"resposta final|resposta correta|resposta",
        copulas=r"é|seria",
        denials=r"não|fals[oa]|incorret[oa]|errad[oa]",
        ors="ou",
        ands="e",
        bounds=r"pelo menos|no mínimo|no máximo|mais d[eo]|menos d[eo]|maior\pL* (?:do )?que|menor\pL* (?:do )?que",
    ),
    "Italian": Announcement(
        nouns=r"risposta finale|risposta corretta|risposta",
        copulas=r"è|sarebbe",
        denials=r"non|fals[oa]|sbagliat[oa]",
        ors="o|oppure",
        ands="e|ed",
        bounds=r"almeno|al massimo|al più|più di|meno di|maggior\pL* di|minor\pL* di",
    ),
    "Russian": Announcement(
        nouns=r"окончательный ответ|правильный ответ|итоговый ответ|верный ответ|ответ",
        copulas=r"[-—–]|это|равен|будет|является",
        denials=r"не|неверн\pL*|неправильн\pL*|ошиб\pL*",
        ors="или|либо",
        ands="и",
        bounds=r"не менее|не более|хотя бы|как минимум|не больше|не меньше|по крайней мере|больше|меньше|более|менее",
    ),
    "Turkish": Announcement(
        nouns=r"nihai cevap|doğru cevap|son cevap|cevap|nihai yanıt|doğru yanıt|yanıt|doğru seçenek|"
        r"sonuç",
        copulas=r"ise|olarak",
        endings=r"['’]?(?:d[iıuü]r|t[iıuü]r)|olur|olarak bulunur|seçeneğidir|şıkkıdır|seçeneği|şıkkı",
        denials=r"değil\pL*|yanlış\pL*",
        ors="veya|ya da|yahut",
        ands="ve|ile",
        bounds=r"en az|en fazla|en çok|daha fazla|daha az|(?:den|dan|ten|tan) (?:fazla|az|çok|büyük|küçük)",
    ),
    "Vietnamese": Announcement(
        nouns=r"đáp án cuối cùng|đáp án đúng|đáp án|đáp số|câu trả lời cuối cùng|câu trả lời đúng|"
        r"câu trả lời|kết quả cuối cùng|kết quả",
        copulas=r"là",
        denials=r"không|sai",
        ors="hoặc",
        ands="và",
        bounds=r"ít nhất|nhiều nhất|tối thiểu|tối đa|lớn hơn|nhỏ hơn|nhiều hơn|ít hơn|hơn",
    ),
    "Greek": Announcement(
        nouns=r"τελική απάντηση|σωστή απάντηση|απάντηση|απαντηση|σωστή επιλογή",
        copulas=r"είναι(?: η| το| ο)?",
        denials=r"δεν|όχι|λάθος",
        ors="ή",
        ands="και",
        bounds=r"τουλάχιστον|το πολύ|περισσότερ\pL*(?: από)?|λιγότερ\pL*(?: από)?"
        r"|μεγαλύτερ\pL* (?:του|από)|μικρότερ\pL* (?:του|από)",
    ),
    "Hebrew": Announcement(
        nouns=r"התשובה הסופית|התשובה הנכונה|תשובה סופית|התשובה|תשובה",
        copulas=r"היא|הוא|הינה",
        denials=r"לא|אינה|אינו|שגויה",
        ors="או",
        ands="ו|וגם",
        bounds=r"לפחות|לכל היותר|יותר מ-?|פחות מ-?|גדול מ-?|קטן מ-?",
    ),
    "Arabic": Announcement(
        nouns=r"(?:الإجابة|الاجابة|إجابة|الجواب|جواب)(?: النهائية| النهائي| الصحيحة| الصحيح)?|الناتج|"
        r"الحل",
        copulas=r"هي|هو|تساوي|يساوي|ستكون",
        denials=r"ليس|ليست|لا|غير|خطأ|خاطئة",
        ors="أو|او",
        ands="و",
        bounds=r"على الأقل|على الأكثر|أكثر من|أقل من|أكبر من|أصغر من",
    ),
    "Hindi": Announcement(
        nouns=r"अंतिम उत्तर|सही उत्तर|उत्तर|अंतिम जवाब|सही जवाब|जवाब|सही विकल्प",
        copulas=r"है|होगा",
        endings=r"है|हैं|होगा",
        denials=r"नहीं|गलत",
        ors="या|अथवा",
        ands="और|तथा|एवं",
        bounds=r"कम से कम|अधिक से अधिक|ज़्यादा से ज़्यादा|से अधिक|से कम|से ज़्यादा|से ज्यादा|से बड़ा|से छोटा",
    ),
    "Thai": Announcement(
        nouns=r"คำตอบสุดท้าย|คำตอบที่ถูกต้อง|การเลือกที่ถูกต้อง|ตัวเลือกที่ถูกต้อง|ข้อที่ถูกต้อง|"
        r"คำตอบ|ตอบ|เฉลย",
        copulas=r"คือข้อ|คือ|เป็น|ข้อ|เท่ากับ",
        denials=r"ไม่\S*|ผิด",
        ors="หรือ",
        ands="และ|กับ",
        bounds=r"อย่างน้อย|อย่างมาก|มากกว่า|น้อยกว่า|ไม่เกิน|เกินกว่า",
    ),
    "Korean": Announcement(
        nouns=r"최종 ?답안|최종 ?답|최종 ?정답|정답|답안|답",
        copulas=r"은|는|이|가",
        endings=r"입니다|이다|이에요|예요|이며|번입니다|번이다|번|다",
        denials=r"아니\S*|아닙\S*|않\S*|틀\S*",
        ors="또는|혹은|이거나|거나",
        ands="그리고|및|와|과",
        bounds=r"이상|이하|초과|미만|최소|최대|적어도|많아도|보다",
    ),
    "Chinese": Announcement(
        nouns=r"最终答案|最終答案|正确答案|正確答案|标准答案|答案|正确选项|答",
        copulas=r"是|为|為|选|選|应为|應為|应该是|等于|等於",
        denials=r"不\S*|错\S*|錯\S*|非\S*",
        verbs=r"故选择|故选|故選|因此选择|因此选|所以选择|所以选|应选|選擇|选择",
        ors="或者|或是|或",
        ands="和|与|及|以及|與",
        bounds=r"至少|至多|最多|最少|不少于|不多于|超过|大于|小于|多于|少于|以上|以下",
    ),
    "Japanese": Announcement(
        nouns=r"最終的な答え|最終回答|答え|正解|解答|答",
        copulas=r"は|が",
        endings=r"です|である|になります|となります|だ",
        denials=r"では\S*|ない\S*|不正解",
        ors="または|もしくは|あるいは|か",
        ands="と|及び|および",
        bounds=r"少なくとも|多くとも|以上|以下|より大き\S*|より小さ\S*|未満|最低でも|最大でも|せいぜい",
    ),
}

_UNSPACED = re2.compile(r"[\p{Thai}\p{Hiragana}\p{Katakana}\p{Han}\p{Hangul}]")
_MARK = r"[:：=]"


def _cue(language: Announcement) -> str:
    after = rf"\s{{0,3}}(?:{language.copulas})?(?:\s{{0,3}}{_MARK}|\s{{1,3}}|$)|\s{{0,3}}{_MARK}"
    glued = rf"|\s?(?:{language.copulas})" if _UNSPACED.search(language.nouns) else ""
    verbs = f"|(?:{language.verbs})" if language.verbs else ""
    return rf"(?:{language.nouns})(?:{after}{glued}){verbs}"


_SPACE = re2.Options()
_SPACE.max_mem = 64 << 20
_FOREIGN = [language for name, language in LANGUAGES.items() if name != "English"]
FOREIGN_CUE = re2.compile("(?i)" + "|".join(map(_cue, _FOREIGN)), options=_SPACE)
ENDING = re2.compile(
    r"(?i)\s?(?:" + "|".join(language.endings for language in _FOREIGN if language.endings) + ")$", options=_SPACE
)
_SPACED, _GLUED = (
    "|".join(one.denials for one in _FOREIGN if bool(_UNSPACED.search(one.nouns)) is glued) for glued in (False, True)
)
DENIAL = re2.compile(rf"(?i)(?:^|[^\pL\pM])(?:{_SPACED})(?:[^\pL\pM]|$)|{_GLUED}", options=_SPACE)
_VALUE_ENDS, _VALUE_BEGINS = r"([\d})\]$%])", r"((?:[A-Za-z](?:_\{?\d\}?)? ?= ?)?[-\d\\($\[])"

_PREFIXED = r"|\s+(?:ו-?|و)\s*"
"""Hebrew and Arabic write "and" as one word with what follows."""


def _joints(kind: str, glued: bool) -> str:
    languages = [one for one in _FOREIGN if bool(_UNSPACED.search(one.nouns)) is glued]
    return "|".join(str(getattr(one, kind)) for one in languages)


_JOINTS = {
    word: re2.compile(
        rf"(?i){_VALUE_ENDS}(?:[,，、]?\s+(?:{_joints(kind, False)})\s+"
        rf"|\s*[,，、]?\s*(?:{_joints(kind, True)})\s*{_PREFIXED if kind == 'ands' else ''}){_VALUE_BEGINS}",
        options=_SPACE,
    )
    for kind, word in (("ors", " or "), ("ands", " and "))
}
_ORS, _GLUED_ORS, _ANDS, _GLUED_ANDS = (_joints(kind, glued) for kind in ("ors", "ands") for glued in (False, True))
_ENDS = r"[\d})\]$%A-Za-z²³]"
ALTERNATIVE = re2.compile(
    rf"(?i)(?:^|[^\pL\pM])(?:{_ORS})(?:[^\pL\pM]|$)|{_ENDS}\s*(?:{_GLUED_ORS})"
    rf"|(?:^|\s)(?:{_ANDS}|and)\s+{_VALUE_BEGINS}|{_ENDS}\s*(?:{_GLUED_ANDS})\s*{_VALUE_BEGINS}",
    options=_SPACE,
)
"""Words that set another answer beside one."""
_BOUNDS, _GLUED_BOUNDS = (_joints("bounds", glued) for glued in (False, True))
BOUND_BEFORE = re2.compile(
    rf"(?i)(?:(?:^|[^\pL\pM])(?:{_BOUNDS})|(?:{_GLUED_BOUNDS})[有为為是]?)[\s$(*:]*(?:[A-Za-z] ?= ?)?$", options=_SPACE
)
BOUND_AFTER = re2.compile(
    rf"(?i)^.{{0,20}}?(?:(?:^|[^\pL\pM])(?:{_BOUNDS})(?:[^\pL\pM]|$)|(?:{_GLUED_BOUNDS}))", options=_SPACE
)
"""Words of other languages than English that make a value a bound."""
ONE_OF_SEVERAL = re2.compile(
    rf"(?i)[\pL\d}})\]$%²³][\s,]+(?:or|and|{_ORS}|{_ANDS})\s+[$(*]*$|{_ENDS}\s*(?:{_GLUED_ORS}|{_GLUED_ANDS})\s*[$(*]*$",
    options=_SPACE,
)
"""Words before a value that make it one of several."""


def with_english_joints(text: str) -> str:
    """Writes the words of other languages that join two values as "and" and "or"."""
    for word, pattern in _JOINTS.items():
        if pattern.search(text):
            for _ in range(2):  # a short value has a joint on either side
                text = pattern.sub(rf"\1{word}\2", text)
    return text


FOREIGN_LETTERS = re2.compile(
    r"[\p{Cyrillic}\p{Hebrew}\p{Arabic}\p{Devanagari}\p{Thai}\p{Hangul}\p{Hiragana}\p{Katakana}\p{Han}]|\p{Greek}{3}"
    r"|[A-Za-z\x{c0}-\x{24f}\x{1e00}-\x{1eff}]*[\x{c0}-\x{d6}\x{d8}-\x{f6}\x{f8}-\x{24f}\x{1e00}-\x{1eff}][A-Za-z\x{c0}-\x{24f}\x{1e00}-\x{1eff}]+"
)
"""Characters that only words have, not formulas."""

CHOOSING = re2.compile(
    r"(?i)\b(?:choos\w*|chose|pick\w*|select\w*|option|choice|answer|correct|right|go with|opt for|letter)\b"
    r"|\b(?:choisis|réponse|elijo|wähle|seçiyorum|seçenek|chọn|phương án)\b|выбираю|вариант|ответ|选|選|答"
    r"|정답|선택|고르|ข้อ|ตอบ|विकल्प|चुन|الخيار|أختار|אפשרות|בוחר|επιλέγω|επιλογή"
)
"""Words with which a sentence settles on an option."""

_ZEROS = (0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10, 0x1D7CE, 0x1D7D8, 0x1D7E2, 0x1D7EC, 0x1D7F6)
"""Where the ten digits of a script begin: ASCII, Arabic, Persian, Devanagari, Bengali, Thai, full width, formulas."""
_SCRIPT = {chr(zero + value): (zero, str(value)) for zero in _ZEROS for value in range(10)}
_MARKS = str.maketrans({"٫": ".", "٬": ",", "،": ",", "٪": "%", "؛": ";", "।": ".", "؟": "?"})


def searchable(text: str) -> str:
    """Returns the text without lone surrogates, which no search in UTF-8 takes, in the same length."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def with_usual_digits(text: str) -> str:
    """Writes the digits of other scripts as 0 to 9; a digit beside one of another script belongs to no number."""
    if text.isascii() or not any(char.isdecimal() and char > "9" for char in text):
        return text
    parts: list[str] = []
    last = 0
    for char in text.translate(_MARKS):
        script, digit = _SCRIPT.get(char, (-1 if char.isdecimal() else 0, "\ufffd" if char.isdecimal() else char))
        parts.append("\ufffd" if script and last and script != last else digit)
        last = script
    return "".join(parts)
