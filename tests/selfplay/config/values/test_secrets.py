"""No secret stands in a recipe, and none in anything that is written, however it is spelt."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from selfplay.config.load import RecipeError, load_recipe
from selfplay.config.recipe import Recipe
from selfplay.config.values.secrets import STRUCK, struck
from selfplay.run.directory import RunDirectory
from selfplay.run.files import write_json, write_text
from selfplay.run.progress import ProgressFile, note_ending
from selfplay.tracking.tracker import Tracker

ROOT = Path(__file__).parents[4]
LETTERS = st.sampled_from("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789")
RANDOM = st.text(LETTERS, min_size=36, max_size=48)
SHAPES = (
    "hf_{}",
    "sk-{}",
    "sk-ant-{}",
    "ghp_{}",
    "github_pat_{}",
    "glpat-{}",
    "AIza{}",
    "xoxb-{}",
    "xapp-{}",
    "wandb_v1_{}",
    "npm_{}",
    "pypi-{}",
    "eyJ{0}.eyJ{0}.{0}",
)
SECRETS = st.builds(lambda shape, text: shape.format(text), st.sampled_from(SHAPES), RANDOM) | st.builds(
    lambda text: "AKIA" + text[:16].upper(), RANDOM
)


def unicode_spelt(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


def half(spell: Callable[[str], str]) -> Callable[[str], str]:
    """Every third character in a spelling."""
    return lambda text: "".join(spell(c) if place % 3 == 0 else c for place, c in enumerate(text))


def percent(text: str) -> str:
    return "".join(f"%{ord(character):02X}" for character in text)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "json": json.dumps,
    "unicode": unicode_spelt,
    "some unicode": half(unicode_spelt),
    "unicode in json": lambda text: json.dumps(half(unicode_spelt)(text)),
    "long unicode": half(lambda c: f"\\U{ord(c):08x}"),
    "unicode in braces": half(lambda c: f"\\u{{{ord(c):x}}}"),
    "percent": percent,
    "some percent": half(percent),
    "percent twice": lambda text: urllib.parse.quote(half(percent)(text)),
    "html": half(lambda c: f"&#{ord(c)};"),
    "html, hexadecimal": half(lambda c: f"&#x{ord(c):x};"),
    "html, padded": half(lambda c: f"&#{ord(c):010d};"),
    "html, capital": half(lambda c: f"&#X{ord(c):04X};"),
    "bearer": lambda text: f"Authorization: Bearer {text}",
    "header": lambda text: json.dumps({"authorization": f"bearer {text}", "b": 1}),
    "address": lambda text: f"https://someone:{text}@example.org/x",
    "query": lambda text: f"https://example.org/?a=b&api_key={text}&c=d",
}
AROUND = st.sampled_from(["", " ", "é", '"', "'", "\n", "\\n", "token=", "(", "<b>", "%", "\\", "&amp;", "line\u2028"])


@pytest.mark.parametrize("spelling", SPELLINGS)
@settings(max_examples=60)
@given(secret=SECRETS, before=AROUND, after=AROUND)
def test_what_looks_like_a_secret_is_struck(spelling: str, secret: str, before: str, after: str) -> None:
    spelt = SPELLINGS[spelling](secret)
    found = struck(f"so {before}{spelt}{after} it is")
    assert STRUCK in found
    assert secret not in found
    assert spelt not in found
    assert found.startswith("so ")
    assert found.endswith(" it is")


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=0x24F), min_size=8, max_size=30).filter(
    lambda text: (
        not (text.startswith("/") or (text.isascii() and text.isalpha()) or "\\" in text or text != text.strip())
    )
)


@pytest.mark.parametrize("name", ["HF_TOKEN", "MY_API_KEY", "DB_PASSWORD", "some_secret", "WANDB_API_KEY"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=VALUES)
def test_values_of_variables_are_struck(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    for spelt in (value, json.dumps(value), json.dumps(json.dumps(value))):
        found = struck(f"a {spelt} b")
        assert value not in found
        assert spelt not in found
        if spelt != value:
            json.loads(found[2:-2])


@pytest.mark.parametrize("value", ["pass%20word\x7f", "a%2541bcdefgh\x7f"])
def test_values_that_hold_spellings_are_struck(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("DB_PASSWORD", value)
    assert struck(f"a {json.dumps(value)} b") == 'a "[secret]" b'
    assert value not in json.loads(json.loads(struck(json.dumps(json.dumps(value)))))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false-or-true"),
        ("KEY", "disabled"),
        ("SSH_KEY", "/root/.ssh/id"),
        ("TOKEN", "short"),
    ],
)
def test_words_and_paths_are_no_secrets(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert struck(f"a {value} b") == f"a {value} b"


@settings(max_examples=300)
@given(
    st.recursive(
        st.none() | st.floats(allow_nan=False) | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_honest_json_stays_as_it_is(value: Any) -> None:
    for ascii_only in (True, False):
        text = json.dumps(value, ensure_ascii=ascii_only)
        assert json.loads(struck(text)) == value


HEADERS = st.dictionaries(st.sampled_from(["authorization", "a", "x-api-key", "url"]), SECRETS | st.text(max_size=5))


@given(
    value=st.recursive(HEADERS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))
)
def test_what_is_struck_from_json_leaves_json(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(json.dumps(value))):
        json.loads(struck(text))


@pytest.mark.parametrize(
    "part",
    [
        "eyJ",
        "-eyJaaaaaaaa",
        "sk-",
        "hf_",
        "bearer ",
        "://a:",
        "?key=",
        "\\u0068",
        "%68",
        "\\",
        "&#1",
        "authorization:",
        "AKIA",
        "-----BEGIN ",
    ],
)
def test_long_texts_take_no_longer_a_character(part: str) -> None:
    """Ten times the text takes about ten times the processor's time; a hundred times would be backtracking."""

    def cost(times: int) -> float:
        text = part * times
        began = time.process_time()
        struck(text)
        return time.process_time() - began

    short = min(cost(4_000) for _ in range(3))
    assert min(cost(40_000) for _ in range(2)) < 40 * short + 0.02


BASE: dict[str, Any] = {
    "name": "r",
    "model": {"kind": "scratch"},
    "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
    "tracking": {"wandb": {"mode": "disabled"}},
}
TOKEN = "hf_" + "aB3" * 9
PLACES = (
    *(
        "training.grpo.args",
        "training.dpo.args",
        "training.rft.args",
        "training.sft.args",
        "em.m_step_args",
        "model.args",
    ),
    *(
        "training.grpo.args.model_init_kwargs",
        "domains.math.verifier_params",
        "cold_start.prompt_model_args",
        "engine.args",
    ),
    "generator_lora",
)
FIELDS = (
    *(
        "hub_token",
        "token",
        "push_to_hub_token",
        "hf_token",
        "api_key",
        "api-key",
        "X_API_KEY",
        "password",
        "client_secret",
        "huggingface_token",
        "openai_key",
    ),
    *("wandb_api_key", "authorization", "access_token", "secret_key", "private_key", "credentials"),
)


def with_field(place: str, field: str, value: Any) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(BASE)
    at = found
    for key in place.split("."):
        at = at.setdefault(key, {})
    at[field] = value
    return found


@pytest.mark.parametrize("place", PLACES)
def test_fields_of_secrets_are_refused_by_name(place: str) -> None:
    for field, value in itertools.product(FIELDS, ("anything-at-all", ["anything-at-all"], 12345678)):
        with pytest.raises(ValidationError) as caught:
            Recipe.model_validate(with_field(place, field, value))
        assert f"{place}.{field}: a secret never stands in a recipe" in str(caught.value)
        assert "anything-at-all" not in str(caught.value)


@pytest.mark.parametrize("place", PLACES)
def test_secrets_are_refused_in_any_field(place: str) -> None:
    for value in (TOKEN, [TOKEN], {"a": [f"Bearer {TOKEN}"]}):
        with pytest.raises(ValidationError, match=r"holds what looks like a secret") as caught:
            Recipe.model_validate(with_field(place, "optim", value))
        assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    "place", [*PLACES, "engine.args.speculative_config", "domains.math.verifier_params.extra_body"]
)
@pytest.mark.parametrize("value", [True, "yes", None, 1])
def test_nothing_in_a_recipe_has_code_of_a_model_run(place: str, value: Any) -> None:
    with pytest.raises(ValidationError, match=r"trust_remote_code: code in a model's folder is never run"):
        Recipe.model_validate(with_field(place, "trust_remote_code", value))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hub_token", None),
        ("hub_token", True),
        ("eos_token", "</s>"),
        ("pad_token", "<pad>"),
        ("max_tokens", "5"),
        ("api_key_env", "TEACHER_KEY"),
    ],
)
def test_fields_of_other_tokens_are_taken(field: str, value: Any) -> None:
    Recipe.model_validate(with_field("domains.math.verifier_params", field, value))


def test_a_refusal_repeats_no_secret(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    file.write_text(json.dumps(with_field("training.grpo.args", "hub_token", TOKEN)))
    with pytest.raises(RecipeError, match=r"training\.grpo\.args\.hub_token: .*set HF_TOKEN") as caught:
        load_recipe(file)
    assert TOKEN not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nothing_that_a_run_writes_holds_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_PASSWORD", "hunter2 und käse")
    said = f"{TOKEN} and hunter2 und käse and https://me:pass1@host/ and {unicode_spelt(TOKEN)}"
    recipe = Recipe.model_validate(BASE)
    with RunDirectory.open(tmp_path, recipe) as run:
        run.claim([])
    with Tracker(tmp_path, recipe) as tracker:
        tracker.alarm("seeds", "diverged", said)
        tracker.table("t", ["a"], [[said]])
        tracker.done("seeds", 1.0, {"lost": {said: 1}})
        tracker.summary({"a": said})
    progress = ProgressFile(tmp_path)
    progress.stage("seeds", 1, 2)
    progress.begin(said, 3)
    write_json(tmp_path / "a.json", {"a": said, said: 1})
    write_text(tmp_path / "README.md", said)
    note_ending(tmp_path, said)
    for file in tmp_path.rglob("*"):
        if file.is_file():
            content = file.read_text()
            decoded = content.encode().decode("unicode_escape", "replace")
            for secret in (TOKEN, "hunter2", "pass1", unicode_spelt(TOKEN)):
                assert secret not in content, file
                assert secret not in decoded, file
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line)


PRINTING = """
import logging, os, sys, traceback
from selfplay.config.values.secrets import strike_streams
strike_streams()
logging.basicConfig()
token = os.environ["A_TOKEN"]
print("printed", token)
logging.warning("logged %s", token)
sys.stderr.write(f"written {token}\\n")
try:
    raise ValueError(f"raised {token}")
except ValueError:
    traceback.print_exc()
raise RuntimeError(f"died of {token}")
"""


def test_processes_that_print_to_logs_strike_secrets() -> None:
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "A_TOKEN": "0123456789abcdef"}
    done = subprocess.run(
        [sys.executable, "-c", PRINTING], capture_output=True, text=True, check=False, env=environment
    )
    assert "0123456789abcdef" not in done.stdout + done.stderr
    assert done.stdout == f"printed {STRUCK}\n"
    for said in ("logged", "written", "ValueError: raised", "RuntimeError: died of"):
        assert f"{said} {STRUCK}\n" in done.stderr


@pytest.mark.parametrize("form", ["auto", "hf", "pt", "npcache", "dummy"])
def test_vllm_reads_safetensors_alone(form: str) -> None:
    engine = {"kind": "vllm", "args": {"load_format": form}}
    with pytest.raises(ValidationError, match=r"load_format is .* unpickles or makes weights up"):
        Recipe.model_validate(BASE | {"engine": engine})
