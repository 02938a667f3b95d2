"""What `selfplay evaluate` cannot do is one sentence each, before anything is loaded."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.cli.evaluate import _expanded
from selfplay.cli.evaluate_view import figures_view, settings_line, shown
from selfplay.config.evaluation import Measurement
from selfplay.config.load import section_of
from selfplay.suites.catalogue import PAPER_SUITES, PUBLISHED, PUBLISHED_RATINGS, SUITES


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps({"problem": f"{n} + 1?", "answer": str(n + 1)}) + "\n" for n in range(4)))
    return file


def complaints(told: str) -> list[str]:
    """What a command said after it told what it was about to do."""
    return [line for line in told.splitlines() if "getting ready" not in line]


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--suite", "aime26"], "aime26: no suite has this name; did you mean aime25?"),
        (["--suite", "aime24", "--data", "/nowhere"], "--data /nowhere: is no folder"),
        (["--suite", "SUITE", "--fields", "problem=question"], "has no column `question`"),
        (["--suite", "SUITE", "--fields", "problem"], "is written ours=theirs"),
        (
            ["--suite", "SUITE", "--fields", "promblem=x"],
            "--fields promblem: is no column of ours; they are id",
        ),
        (["--suite", "EMPTY"], "has 0 problems"),
        (["--suite", "CUT"], "is not JSON"),
        (["--suite", "NOWHERE"], "cannot be read"),
        (["--suite", "BINARY"], "binary.jsonl, line 1: is not JSON in UTF-8"),
        (["--suite", "FOLDER"], "folder.jsonl: cannot be read (is a folder)"),
        (["--suite", "codeforces"], "codeforces: is on no hub"),
        (
            ["--suite", "aime24", "--data", "DOWNLOADS"],
            "aime24.jsonl, line 1: has no text in `problem`; it has answer, question",
        ),
        (["--suite", "gsm8k", "--data", "DOWNLOADS"], "gsm8k.jsonl has 0 problems; give another file"),
        (["--suite", "math500", "--data", "DOWNLOADS"], "math500.jsonl, line 1: is not JSON"),
        (
            ["--suite", "livecodebench:2030-01-01..2030-02-01", "--data", "DOWNLOADS"],
            "has 0 problems; give another file",
        ),
        (["--suite", "SUITE", "--suite", "OTHER"], "are both called sums; give one of them another name"),
        (["--suite", "SUITE", "--verifier", "mth"], "no verifier is called 'mth'; did you mean"),
        (["--suite", "SUITE", "--template", "no field"], "--template no field: is no text with {problem}"),
        (["--suite", "SUITE", "--lock", "SUITE"], "is no lock of suites; give another file with --lock"),
        (["--suite", "SUITE", "sampling.topk=3"], "`sampling.topk` is not a setting; did you mean `top_k`?"),
        (["--suite", "SUITE", "samples=0"], "`samples` is 0, but: input should be greater than or equal to 1"),
        (["--suite", "SUITE", "--dtype", "int4"], "--dtype int4: must be one of auto, float32"),
        (["--suite", "SUITE", "--round", "2"], "is no run, so that --round names nothing"),
        (["--suite", "SUITE"], "is neither a run (recipe.json) nor a model (config.json)"),
        ([], "--suite: is missing"),
    ],
)
def test_bad_input_is_one_sentence(suite: Path, tmp_path: Path, more: list[str], says: str) -> None:
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "cut.jsonl").write_bytes(suite.read_bytes()[:-9])
    (tmp_path / "binary.jsonl").write_bytes(b"\0\xff\xfe")
    for folder in ("model", "folder.jsonl", "other", "downloads"):
        (tmp_path / folder).mkdir()
    (tmp_path / "other" / "sums.jsonl").write_bytes(suite.read_bytes())
    (tmp_path / "downloads" / "aime24.jsonl").write_text('{"question": "1?", "answer": "1"}\n')
    (tmp_path / "downloads" / "gsm8k.jsonl").write_text("")
    (tmp_path / "downloads" / "math500.jsonl").write_bytes(suite.read_bytes()[:9])
    (tmp_path / "downloads" / "livecodebench.jsonl").write_text('{"contest_date": "2024-09-01T00:00:00"}\n')
    names = {"SUITE": "sums", "EMPTY": "empty", "CUT": "cut", "NOWHERE": "nowhere", "BINARY": "binary"}
    names |= {"FOLDER": "folder", "OTHER": "other/sums"}
    places = {name: str(tmp_path / f"{file}.jsonl") for name, file in names.items()}
    places["DOWNLOADS"] = str(tmp_path / "downloads")
    given = [places.get(one, one) for one in more]
    out = tmp_path / "evaluation"
    done = CliRunner().invoke(app, ["evaluate", str(tmp_path / "model"), "--out", str(out), *given])
    assert done.exit_code == 2, done.output
    assert says in done.stderr
    assert len(complaints(done.stderr)) == 1
    assert not (out / "store").exists()


def test_a_command_that_was_refused_binds_no_folder(suite: Path, tmp_path: Path) -> None:
    """Another setting, once the slip is mended, is no other evaluation."""
    given = ["evaluate", str(tmp_path / "model"), "--suite", str(suite), "--out", str(tmp_path / "out")]
    (tmp_path / "model").mkdir()
    for more in ([], ["samples=9"], ["--verifier", "exact"]):
        assert "is neither a run (recipe.json) nor a model" in CliRunner().invoke(app, [*given, *more]).stderr


def test_an_address_needs_the_name_of_a_model(suite: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(
        app, ["evaluate", "http://127.0.0.1:9/v1", "--suite", str(suite), "--out", str(tmp_path / "evaluation")]
    )
    assert done.exit_code == 2
    assert "an endpoint may serve several models; name one with --served" in done.stderr


def test_a_verifier_is_found_where_the_run_found_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As far as to the suite, which is missing."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "rule_of_a_run.py").write_text("def short(task, completion):\n    return len(completion) < 9\n")
    (tmp_path / "recipe.json").write_text("{}")
    (tmp_path / "import_path.json").write_text(json.dumps({"folders": [str(tmp_path)]}))
    given = ["evaluate", str(tmp_path), "--suite", "none.jsonl", "--out", str(tmp_path / "out"), "--verifier"]
    assert "none.jsonl: cannot be read" in CliRunner().invoke(app, [*given, "rule_of_a_run:short"]).stderr
    refused = CliRunner().invoke(app, [*given, "rule_of_nobody:short"])
    assert (refused.exit_code, len(complaints(refused.stderr))) == (2, 1)
    assert "looked in" in refused.stderr
    assert str(tmp_path) in refused.stderr


def test_figures_as_people_read_them() -> None:
    row = {"metric": "avg@4", "value": 0.123, "low": 0.1, "high": 0.1504}
    assert shown(row) == "12.3 [10.0, 15.0]"
    assert shown(row | {"metric": "tokens", "value": 1234.5}) == "1,234"
    assert shown(row | {"value": None}) == "-"
    sampling = {"temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0.0, "max_new_tokens": 81920}
    settings = {"samples": 16, "seed": 0, "engine": {"kind": "vllm"}, "sampling": sampling | {"system_prompt": ""}}
    assert settings_line(settings) == (
        "percent, with 95% intervals over problems; 16 completions a problem, T 0.6, top_p 0.95, top_k 20, at most "
        "81,920 tokens, seed 0, vllm"
    )
    assert settings_line(settings | {"yarn": 1.75}).endswith("seed 0, vllm, YaRN x1.75")
    assert "yarn" not in Measurement().deciding(), "evaluations from before there was one go on"
    assert Measurement(yarn=2).deciding()["yarn"] == 2
    with pytest.raises(ValueError, match=r"engine.yarn is for the engine of a run; here set yarn=4 instead"):
        Measurement.model_validate({"engine": {"yarn": 4}})


def test_the_suites_of_the_paper_come_with_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    suites, given = _expanded(["paper", "math500"], tmp_path)
    assert suites == [*PAPER_SUITES, "math500"]
    assert "paper: without codeforces, whose file --data does not have" in capsys.readouterr().err
    (tmp_path / "promptcot2_codeforces_test.jsonl").touch()
    assert _expanded(["paper"], tmp_path)[0] == [*PAPER_SUITES, "codeforces"]
    assert capsys.readouterr().err == ""
    settings = section_of(Measurement, [*given, "sampling.max_new_tokens=100"], "the evaluation")
    assert (settings.samples, settings.sampling.temperature, settings.sampling.max_new_tokens) == (16, 0.6, 100)
    assert section_of(Measurement, given, "the evaluation").sampling.max_new_tokens == 81920
    assert _expanded(["math500"], None) == (["math500"], ())
    assert set(PAPER_SUITES) <= set(SUITES)
    assert {len(values) for values in PUBLISHED.values()} == {len(PAPER_SUITES)}
    assert list(PUBLISHED_RATINGS) == list(PUBLISHED)


def test_published_figures_stand_below_ones_own() -> None:
    sampling = Measurement().deciding()
    row = {"model": "m", "metric": "avg@4", "value": 0.5, "low": 0.4, "high": 0.6, "n": 30, "settings": sampling}
    console = Console(width=200, file=io.StringIO())
    console.print(figures_view([row | {"suite": suite} for suite in PAPER_SUITES]))
    assert "Codeforces rating" in console.file.getvalue()  # type: ignore[attr-defined]
    assert "4B, after" in console.file.getvalue()  # type: ignore[attr-defined]
    alone = Console(width=200, file=io.StringIO())
    alone.print(figures_view([row | {"suite": "aime24"}]))
    assert "4B, after" not in alone.file.getvalue()  # type: ignore[attr-defined]


def test_figures_of_the_settings_are_doubted() -> None:
    sampling = Measurement().deciding()
    row = {"model": "m", "suite": "s", "low": 0.4, "high": 0.6, "n": 30, "settings": sampling}
    file = io.StringIO()
    given = [row | {"metric": "tokens", "value": 1.0}, row | {"metric": "cut share", "value": 0.51}]
    Console(width=200, file=file).print(figures_view(given))
    assert "m on s: 1.0 tokens a completion; does --prompt-style (or --template) fit the model?" in file.getvalue()
    assert "m on s: 51% were cut at 32,768 tokens, and so failed; raise sampling.max_new_tokens" in file.getvalue()
    file = io.StringIO()
    fine = [row | {"metric": "tokens", "value": 2.0}, row | {"metric": "cut share", "value": 0.5}]
    Console(width=200, file=file).print(figures_view(fine))
    assert "m on s" not in file.getvalue()
