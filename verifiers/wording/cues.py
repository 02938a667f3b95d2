"""Cues that announce an answer, by language: one table, so that another language is one more line.

A cue is followed by the answer, with a colon, an equals sign, or a copula of the language between them or after it.
"""

from __future__ import annotations

from typing import NamedTuple

import re2


class Announcement(NamedTuple):
    """The ways in which a language announces an answer. All are alternatives of a pattern, in small letters.

    `nouns` need a copula, a colon or the end of a line after them; `verbs` are complete; `copulas` stand between noun
    and answer; `endings` may follow the answer; `denials` take it back.
    """

    nouns: str
    copulas: str
    endings: str = ""
    denials: str = ""
    verbs: str = ""


LANGUAGES = {
    "English": Announcement(
        nouns=r"final answer|answer|ans",
        copulas=r"(?:should|would|must|will) be|is",
    ),
    "French": Announcement(
        nouns=r"réponse finale|bonne réponse|réponse|résultat final",
        copulas=r"est donc|serait|est|doit être",
        denials=r"n'est|n’est|pas|faux|fausse|incorrect\pL*|erroné\pL*",
    ),
    "German": Announcement(
        nouns=r"endgültige antwort|antwort|endergebnis",
        copulas=r"ist|lautet|wäre",
        denials=r"nicht|kein\pL*|falsch\pL*|inkorrekt",
    ),
    "Spanish": Announcement(
        nouns=r"respuesta final|respuesta correcta|respuesta",
        copulas=r"es|sería",
        denials=r"no|fals[oa]|incorrect[oa]|erróne[oa]",
    ),
    "Portuguese": Announcement(
        nouns=r"resposta final|resposta correta|resposta",
        copulas=r"é|seria",
        denials=r"não|fals[oa]|incorret[oa]|errad[oa]",
    ),
    "Italian": Announcement(
        nouns=r"risposta finale|risposta corretta|risposta",
        copulas=r"è|sarebbe",
        denials=r"non|fals[oa]|sbagliat[oa]",
    ),
    "Russian": Announcement(
        nouns=r"окончательный ответ|правильный ответ|итоговый ответ|верный ответ|ответ",
        copulas=r"[-—–]|это|равен|будет|является",
        denials=r"не|неверн\pL*|неправильн\pL*|ошиб\pL*",
    ),
    "Turkish": Announcement(
        nouns=r"nihai cevap|doğru cevap|son cevap|cevap|nihai yanıt|doğru yanıt|yanıt|doğru seçenek|"
        r"sonuç",
        copulas=r"ise|olarak",
        endings=r"['’]?(?:d[iıuü]r|t[iıuü]r)|olur|olarak bulunur|seçeneğidir|şıkkıdır|seçeneği|şıkkı",
        denials=r"değil\pL*|yanlış\pL*",
    ),
    "Vietnamese": Announcement(
        nouns=r"đáp án cuối cùng|đáp án đúng|đáp án|đáp số|câu trả lời cuối cùng|câu trả lời đúng|"
        r"câu trả lời|kết quả cuối cùng|kết quả",
        copulas=r"là",
        denials=r"không|sai",
    ),
    "Greek": Announcement(
        nouns=r"τελική απάντηση|σωστή απάντηση|απάντηση|απαντηση|σωστή επιλογή",
        copulas=r"είναι(?: η| το| ο)?",
        denials=r"δεν|όχι|λάθος",
    ),
    "Hebrew": Announcement(
        nouns=r"התשובה הסופית|התשובה הנכונה|תשובה סופית|התשובה|תשובה",
        copulas=r"היא|הוא|הינה",
        denials=r"לא|אינה|אינו|שגויה",
    ),
    "Arabic": Announcement(
        nouns=r"(?:الإجابة|الاجابة|إجابة|الجواب|جواب)(?: النهائية| النهائي| الصحيحة| الصحيح)?|الناتج|"
        r"الحل",
        copulas=r"هي|هو|تساوي|يساوي|ستكون",
        denials=r"ليس|ليست|لا|غير|خطأ|خاطئة",
    ),
    "Hindi": Announcement(
        nouns=r"अंतिम उत्तर|सही उत्तर|उत्तर|अंतिम जवाब|सही जवाब|जवाब|सही विकल्प",
        copulas=r"है|होगा",
        endings=r"है|हैं|होगा",
        denials=r"नहीं|गलत",
    ),
    "Thai": Announcement(
        nouns=r"คำตอบสุดท้าย|คำตอบที่ถูกต้อง|การเลือกที่ถูกต้อง|ตัวเลือกที่ถูกต้อง|ข้อที่ถูกต้อง|"
        r"คำตอบ|ตอบ|เฉลย",
        copulas=r"คือข้อ|คือ|เป็น|ข้อ|เท่ากับ",
        denials=r"ไม่\S*|ผิด",
    ),
    "Korean": Announcement(
        nouns=r"최종 ?답안|최종 ?답|최종 ?정답|정답|답안|답",
        copulas=r"은|는|이|가",
        endings=r"입니다|이다|이에요|예요|이며|번입니다|번이다|번|다",
        denials=r"아니\S*|아닙\S*|않\S*|틀\S*",
    ),
    "Chinese": Announcement(
        nouns=r"最终答案|最終答案|正确答案|正確答案|标准答案|答案|正确选项|答",
        copulas=r"是|为|為|选|選|应为|應為|应该是|等于|等於",
        denials=r"不\S*|错\S*|錯\S*|非\S*",
        verbs=r"故选择|故选|故選|因此选择|因此选|所以选择|所以选|应选|選擇|选择",
    ),
    "Japanese": Announcement(
        nouns=r"最終的な答え|最終回答|答え|正解|解答|答",
        copulas=r"は|が",
        endings=r"です|である|になります|となります|だ",
        denials=r"では\S*|ない\S*|不正解",
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
