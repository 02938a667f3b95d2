"""The language of the answer: what is left out, what is told apart, and what is too little to tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from verifiers.conformance.contract import faults_of
from verifiers.model import Task
from verifiers.rules.language import LanguageVerifier, prose, weight

SENTENCES = {
    "en": "We first count the apples in each basket, and then add the two numbers together.",
    "de": "Wir zählen zuerst die Äpfel in jedem Korb und addieren dann die beiden Zahlen.",
    "fr": "On compte d'abord les pommes de chaque panier, puis on additionne les deux nombres.",
    "es": "Primero contamos las manzanas de cada cesta y luego sumamos los dos números.",
    "it": "Prima contiamo le mele in ogni cesto e poi sommiamo i due numeri tra loro.",
    "pt": "Primeiro contamos as maçãs de cada cesto e depois somamos os dois números.",
    "nl": "We tellen eerst de appels in elke mand en tellen daarna de twee getallen op.",
    "pl": "Najpierw liczymy jabłka w każdym koszyku, a potem dodajemy obie liczby.",
    "tr": "Önce her sepetteki elmaları sayıyoruz, sonra da iki sayıyı topluyoruz.",
    "vi": "Trước hết ta đếm số táo trong mỗi giỏ, rồi cộng hai số đó lại với nhau.",
    "ru": "Сначала считаем яблоки в каждой корзине, а потом складываем два числа.",
    "uk": "Спочатку рахуємо яблука в кожному кошику, а потім додаємо два числа.",
    "ar": "نعد أولا التفاح في كل سلة ثم نجمع العددين معا لنحصل على الجواب.",
    "hi": "पहले हम हर टोकरी के सेब गिनते हैं और फिर दोनों संख्याओं को जोड़ते हैं।",
    "zh": "我们先数每个篮子里的苹果,然后把两个数加起来,就得到答案。",
    "ja": "まず各かごのりんごを数えて、二つの数を足します。これが答えです。",
    "ko": "먼저 각 바구니의 사과를 세고 나서 두 수를 더하면 답이 나옵니다.",
}


@pytest.mark.parametrize("asked", ["en", "zh", "de"])
@pytest.mark.parametrize("written", sorted(SENTENCES))
def test_each_language_is_told_from_others(asked: str, written: str) -> None:
    verdict = LanguageVerifier(language=asked).verify(Task(), SENTENCES[written])
    assert verdict.passed is (asked == written), verdict


def test_a_share_of_another_language_counts_by_letters() -> None:
    mixed = " ".join([SENTENCES["en"]] * 3 + [SENTENCES["de"]])
    verdict = LanguageVerifier(partial_credit=True).verify(Task(), mixed)
    assert verdict.reward == pytest.approx(weight(SENTENCES["en"]) * 3 / weight(mixed), abs=0.01)
    assert verdict.passed is False
    assert LanguageVerifier(min_share=0.7).verify(Task(), mixed).passed is True


def test_what_is_no_language_is_left_out() -> None:
    text = (
        "Now $x = \\text{Zahl}$ and $$\\sum_k k$$ and \\[y\\] and \\(z\\) hold.\n"
        "```python\nzahl = 1\n```\n\\begin{align*}a &= b\\end{align*}\nSee https://example.org/seite and `code`."
    )
    left = prose(text).split()
    assert left == ["Now", "and", "and", "and", "hold.", "See", "and", "."]


def test_nothing_hides_behind_a_formula_that_never_ends() -> None:
    for opening in ("$$", "\\[", "\\(", "\\begin{align}"):
        assert "Korb" in prose(f"{opening} {SENTENCES['de']}")


@pytest.mark.parametrize(
    ("when_short", "passed", "reward"), [("not_checked", None, None), ("pass", True, 1.0), ("fail", False, 0.0)]
)
def test_too_little_text_is_typed(when_short: str, passed: bool | None, reward: float | None) -> None:
    verdict = LanguageVerifier(when_short=when_short).verify(Task(), r"\boxed{42}")  # type: ignore[arg-type]
    assert (verdict.passed, verdict.reward, verdict.status) == (passed, reward, "too_short")


def test_dense_scripts_need_fewer_characters() -> None:
    assert weight("苹果") == 6
    assert weight("apple 12") == 5


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"language": "english"}, "no language is called english"),
        ({"among": ["en", "xx"]}, "no language is called xx"),
        ({"min_share": 0.0}, "min_share"),
        ({"min_letters": 0}, "min_letters"),
        ({"when_short": "maybe"}, "when_short"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        LanguageVerifier(**settings)  # type: ignore[arg-type]


@given(st.text())
def test_any_text_gives_a_whole_verdict(text: str) -> None:
    assert faults_of(LanguageVerifier().verify(Task(), text)) == []


@given(st.lists(st.sampled_from([*SENTENCES.values(), "$x$", "```", "\n", "\\boxed{4}"]), max_size=8))
def test_the_same_text_has_the_same_verdict(parts: list[str]) -> None:
    text = " ".join(parts)
    first, second = (LanguageVerifier(partial_credit=True).verify(Task(), text) for _ in range(2))
    assert (first.passed, first.reward, first.details) == (second.passed, second.reward, second.details)
