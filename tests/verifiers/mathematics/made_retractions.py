"""Answers in other languages than English that a later sentence takes back; what is said in their place is the answer.
Each case is (gold answer, completion, whether it is right)."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

Case = tuple[str, str, bool]
_SAID: dict[str, tuple[str, tuple[str, ...], str]] = {
    "French": (
        "La réponse est {}.",
        ("Attendez, je me suis trompé.", "Non, c'est faux.", "J'ai fait une erreur."),
        "Vérifions.",
    ),
    "German": (
        "Die Antwort ist {}.",
        ("Moment, das stimmt nicht.", "Nein, das ist falsch.", "Halt, ich habe einen Fehler gemacht."),
        "Das ist kein Zufall.",
    ),
    "Spanish": (
        "La respuesta es {}.",
        ("Espera, me equivoqué.", "No, eso es incorrecto.", "Cometí un error."),
        "No hay otra solución.",
    ),
    "Portuguese": (
        "A resposta é {}.",
        ("Espere, errei.", "Não, isso está errado.", "Cometi um erro."),
        "Não há outra.",
    ),
    "Italian": ("La risposta è {}.", ("Aspetta, ho sbagliato.", "No, non è corretto."), "Non ce ne sono altre."),
    "Polish": ("Odpowiedź: {}.", ("Czekaj, pomyliłem się.", "Nie, to jest błąd."), "Nie ma innych."),
    "Dutch": ("Het antwoord is {}.", ("Wacht, dat klopt niet.", "Nee, ik heb een fout gemacht."), "Dat is alles."),
    "Swedish": ("Svaret är {}.", ("Vänta, det stämmer inte.", "Nej, det är fel."), "Det är allt."),
    "Ukrainian": ("Відповідь: {}.", ("Стривайте, я помилився.", "Ні, це неправильно."), "Інших немає."),
    "Indonesian": ("Jawabannya adalah {}.", ("Tunggu, itu salah.", "Maaf, saya keliru."), "Tidak ada yang lain."),
    "Czech": ("Odpověď: {}.", ("Počkejte, to je špatně.", "Ne, to není správně."), "Jiné nejsou."),
    "Romanian": ("Răspunsul este {}.", ("Stai, am greșit.", "Nu, este greșit."), "Nu mai sunt altele."),
    "Russian": ("Ответ: {}.", ("Подождите, я ошибся.", "Нет, это неверно.", "Стоп, здесь ошибка."), "Других нет."),
    "Turkish": ("Cevap: {}.", ("Bekle, hata yaptım.", "Hayır, bu yanlış."), "Başka yok."),
    "Vietnamese": ("Đáp án là {}.", ("Khoan đã, tôi nhầm.", "Không, điều này sai."), "Không còn cách khác."),
    "Greek": ("Η απάντηση είναι {}.", ("Περίμενε, έκανα λάθος.", "Όχι, αυτό είναι λάθος."), "Δεν υπάρχει άλλη."),
    "Hebrew": ("התשובה היא {}.", ("רגע, טעיתי.", "לא, זו טעות."), "אין אחרת."),
    "Arabic": ("الجواب: {}.", ("انتظر، لقد أخطأت.", "لا، هذا خطأ."), "لا يوجد غيره."),
    "Hindi": ("उत्तर: {}.", ("रुकिए, मैंने गलती की.", "नहीं, यह गलत है."), "और कोई नहीं."),
    "Thai": ("คำตอบคือ {}.", ("เดี๋ยวก่อน คำนวณผิด.", "ไม่ถูกต้อง."), "จบ."),
    "Korean": ("정답은 {}입니다.", ("잠깐, 실수했네요.", "아니요, 틀렸습니다."), "끝입니다."),
    "Chinese": ("答案是{}。", ("等等，我算错了。", "不对。", "抱歉，计算有误。"), "不对称的情形同理。"),
    "Japanese": ("答えは{}です。", ("いや、間違えました。", "待ってください、違います。"), "以上です。"),
}


def foreign_retractions(rng: random.Random) -> Iterator[Case]:
    """An answer that is taken back is none, a box neither; what else is said behind one leaves it."""
    value = rng.randint(11, 90)
    other = value + rng.randint(1, 9)
    for said, faults, plain in _SAID.values():
        first, second = said.format(value), said.format(other)
        for fault in faults:
            for begun in (first, rf"\[\boxed{{{value}}}\]" + "\n"):
                yield f"{value}", f"{begun} {fault}", False
                yield f"{value}", f"{begun} {fault} {second}", False
                yield f"{other}", f"{begun} {fault} {second}", True
        yield f"{value}", f"{first} {plain}", True
        yield f"{value}", rf"\[\boxed{{{value}}}\]" + f"\n{plain}", True
    for text in (
        "Die Antwort ist $x={}$. Halt, ich habe einen Fehler gemacht: $x={}$.",
        "Die Antwort ist {}. Nein, das ist falsch: es sind {}.",
        "The answer is {}. Wait, that is wrong. It is {}.",
        r"So $\boxed{{{}}}$. Moment, das ist falsch, es sind {}.",
    ):
        yield f"{other}", text.format(value, other), True
        yield f"{value}", text.format(value, other), False


RETRACTIONS: dict[str, Callable[[random.Random], Iterator[Case]]] = {foreign_retractions.__name__: foreign_retractions}
