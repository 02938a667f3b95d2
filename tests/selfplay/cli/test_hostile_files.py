"""Files that would hang a command, or end it by a traceback, end it by one short sentence and exit code 2."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.errors import UNUSABLE
from selfplay.config.load import recipe_of
from selfplay.run.plan import Kind, PlannedStage, write_plan

MINIMAL = "name: small\nmodel: {kind: scratch}\ndomains:\n  math:\n    seeds: {kind: quickstart, grammar: math}\n"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(['*' + old] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
RECIPES: dict[str, tuple[bytes, str]] = {
    "aliases that multiply": (BOMB.encode(), "aliases"),
    "a cycle": (b"name: &a [*a]\n", "within itself"),
    "a cycle of mappings": (b"name: &a {b: {c: *a}}\n", "within itself"),
    "deep lists": (b"name: " + b"[" * 3000 + b"]" * 3000, "deeper"),
    "deep mappings": (b"{a: " * 3000 + b"1" + b"}" * 3000, "deeper"),
    "deep by indents": ("".join(f"{' ' * n}a:\n" for n in range(1000)).encode(), "deeper"),
    "a huge integer": (MINIMAL.encode() + b"seed: " + b"9" * 5000, "a number"),
    "a huge binary integer": (MINIMAL.encode() + b"seed: 0b" + b"1" * 100_000, "a number"),
    "a huge sexagesimal integer": (MINIMAL.encode() + b"seed: 1" + b":59" * 100_000, "a number"),
    "no digits": (MINIMAL.encode() + b"seed: 0x_", "a number"),
    "an impossible date": (MINIMAL.encode() + b"seed: 2024-99-99", "2024-99-99"),
    "a tagged date": (MINIMAL.encode() + b"seed: !!timestamp nonsense", "tag"),
    "a tagged number": (MINIMAL.encode() + b"seed: !!int nonsense", "tag"),
    "a tag of Python": (MINIMAL.encode() + b"seed: !!python/object/apply:os.getcwd []", "tag"),
    "a setting that stands twice": (MINIMAL.encode() + b"seed: 1\nseed: 2", "duplicate key"),
    "a key that is a list": (MINIMAL.encode() + b"? [a, b]\n: 1", "key"),
    "a key that is a mapping": (MINIMAL.encode() + b"{a: 1}: 1", "key"),
    "a key that is a number": (MINIMAL.encode() + b"1: 2", "1"),
    "a key that is nothing": (MINIMAL.encode() + b"~: 2", "keys should be strings"),
    "a NUL as it is": (MINIMAL.encode() + b"seed: \x00", "not valid YAML"),
    "no UTF-8": (MINIMAL.encode() + b"seed: \xff\xfe", "UTF-8"),
    "too large": (MINIMAL.encode() + b"#" * (2 << 20), "bytes"),
    "extends a list": (MINIMAL.encode() + b"extends: [a]", "extends"),
    "extends a NUL": (MINIMAL.encode() + b'extends: "a\\0b"', "extends"),
    "extends a folder": (MINIMAL.encode() + b"extends: /", "folder"),
    "extends a device": (MINIMAL.encode() + b"extends: /dev/zero", "device"),
    "a NUL in a path": (
        b'name: n\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: file, train: "a\\0", heldout: b}}}',
        "NUL",
    ),
    "half a character in a path": (
        b'name: n\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: file, train: "\\uD800", heldout: b}}}',
        "half of a character",
    ),
    "a long name of a file": (
        b"name: n\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: file, train: %s, heldout: b}}}" % (b"a" * 5000),
        "there is no file",
    ),
    "seeds that are a folder": (
        b"name: n\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: file, train: /, heldout: b}}}",
        "folder",
    ),
    "seeds that are a device": (
        b"name: n\nmodel: {kind: scratch}\ndomains: {m: {seeds: {kind: file, train: /dev/zero, heldout: b}}}",
        "device",
    ),
    "concepts that are a device": (MINIMAL.encode() + b"synthesis: {concepts: {math: {file: /dev/zero}}}", "device"),
    "a benchmark that is a device": (
        MINIMAL.encode() + b"curation: {benchmarks: {b: {kind: file, path: /dev/zero}}}",
        "device",
    ),
    "external prompts that are a device": (
        MINIMAL.encode() + b"training: {pool: {arm: mixed, external: {math: /dev/zero}}}",
        "device",
    ),
    "traces that are a device": (
        MINIMAL.encode() + b"training: {algorithm: sft, sft: {files: {paths: [/dev/zero]}}}",
        "device",
    ),
    "terminal escapes": (MINIMAL.encode() + b'"\\e[31m\\e]0;title\\a": 1', "\\x1b[31m"),
    "terminal escapes as a value": (MINIMAL.encode() + b'seed: "\\e[31m"', "u001b[31m"),
    "200 kB of input": (MINIMAL.encode() + b"seed: " + b"x" * 200_000, "`seed` is"),
    "200 kB of a key": (MINIMAL.encode() + b"'" + b"x" * 900 + b" " * 200_000 + b"': 1", ""),
    "200 kB of YAML's own words": (MINIMAL.encode() + b"seed: *" + b"x" * 200_000, "not valid YAML"),
    "many wrong settings": (MINIMAL.encode() + b"".join(b"k%d: 1\n" % n for n in range(5000)), "not a setting"),
}


def told(*arguments: str, code: int = UNUSABLE) -> str:
    """What a command says, which is short, printable and no traceback."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exception is None or isinstance(done.exception, SystemExit), repr(done.exception)
    assert done.exit_code == code, done.output
    assert done.stderr
    assert len(done.stderr) < 25_000
    assert all(len(line) <= 1500 for line in done.stderr.splitlines())
    assert re.search(r"[^\n\x20-\x7e…]", done.stderr) is None
    return done.stderr


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


@contextlib.contextmanager
def listening(path: Path) -> Iterator[Path]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


@pytest.mark.parametrize("name", RECIPES)
def test_a_hostile_recipe_is_one_sentence(name: str, tmp_path: Path) -> None:
    content, says = RECIPES[name]
    (tmp_path / "r.yaml").write_bytes(content)
    assert says in told("check", str(tmp_path / "r.yaml"))


@pytest.mark.parametrize("command", ["check", "run", "synthesize"])
@pytest.mark.parametrize("what", ["fifo", "folder", "device", "socket", "nothing", "loop"])
def test_what_is_no_file_is_no_recipe(command: str, what: str, fifo: Path, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    places = {"fifo": fifo, "folder": tmp_path, "device": Path("/dev/zero"), "nothing": tmp_path / "none"}
    with listening(tmp_path / "socket") as server:
        place = (places | {"socket": server, "loop": tmp_path / "loop"})[what]
        assert str(place) in told(command, str(place))


def test_a_chain_of_recipes_has_an_end(tmp_path: Path) -> None:
    for number in range(1500):
        (tmp_path / f"{number}.yaml").write_text(f"extends: {number + 1}.yaml\n")
    assert "recipes that extend one another" in told("check", str(tmp_path / "0.yaml"))


@pytest.mark.parametrize(
    "override", ["a." * 3000 + "a=1", "seed=" + "9" * 5000, "seed=" + "[" * 3000, "seed=\x1b[31m", "seed=&a [*a]", "=1"]
)
def test_a_hostile_override_is_one_sentence(override: str, tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(MINIMAL)
    told("check", str(tmp_path / "r.yaml"), override)


def run_directory(path: Path) -> Path:
    """What a run that has just begun looks like."""
    seeds = {"kind": "quickstart", "grammar": "math"}
    recipe = recipe_of({"name": "r", "model": {"kind": "scratch"}, "domains": {"m": {"seeds": seeds}}})
    path.mkdir()
    (path / "recipe.json").write_text(json.dumps(recipe.model_dump(mode="json")))
    write_plan(path, [PlannedStage(kind) for kind in (Kind.SEEDS, Kind.BASE, Kind.COLD_START)])
    (path / "lock").touch()
    return path


DAMAGES: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "folder": Path.mkdir,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "deep": lambda path: path.write_text('{"stages": ' + "[" * 3000 + "]" * 3000 + "}"),
    "huge integer": lambda path: path.write_text('{"seed": ' + "9" * 5000 + "}"),
    "twice": lambda path: path.write_text('{"seed": 1, "seed": 2}'),
    "not a number": lambda path: path.write_text('{"seed": NaN}'),
    "no UTF-8": lambda path: path.write_bytes(b'{"seed": "\xff"}'),
    "escapes": lambda path: path.write_text('{"\x1b[31m": 1}'),
    "large": lambda path: (path.touch(), os.truncate(path, 65 << 20)),
    "a list": lambda path: path.write_text("[]"),
    "empty": lambda path: path.write_text(""),
}


@pytest.mark.parametrize("file", ["recipe.json", "plan.json"])
@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", ["status", "report"])
def test_a_damaged_run_directory_is_one_sentence(command: str, file: str, damage: str, tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / file).unlink()
    DAMAGES[damage](run / file)
    assert str(run) in told(command, str(run))


@pytest.mark.parametrize("content", ["{}", '{"domains": 1}', '{"stages": null, "tracking": {"wandb": []}}'])
@pytest.mark.parametrize("command", [("rollouts",), ("prompts",), ("prompts", "--domain", "m"), ("track", "sync")])
def test_a_recipe_without_its_parts_is_one_sentence(command: tuple[str, ...], content: str, tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / "recipe.json").write_text(content)
    assert f"{run / 'recipe.json'}: is damaged" in told(*command, str(run))


@pytest.mark.parametrize("damage", ["fifo", "folder", "device"])
def test_a_lock_is_a_file(damage: str, tmp_path: Path) -> None:
    run = run_directory(tmp_path / "run")
    (run / "lock").unlink()
    DAMAGES[damage](run / "lock")
    assert str(run) in told("status", str(run))


@pytest.mark.parametrize("what", ["fifo", "folder", "device", "deep", "huge integer", "twice", "no UTF-8", "large"])
def test_rows_to_judge_come_from_a_file(what: str, tmp_path: Path) -> None:
    DAMAGES[what](tmp_path / "rows.jsonl")
    assert "rows.jsonl" in told("verify", str(tmp_path / "rows.jsonl"), "--verifier", "exact")


@pytest.mark.parametrize("what", ["fifo", "folder", "device"])
def test_programs_and_tokens_come_from_files(what: str, tmp_path: Path) -> None:
    DAMAGES[what](tmp_path / "p.py")
    assert "p.py" in told("sandbox", "run", str(tmp_path / "p.py"))
    assert "p.py" in told("serve", "--verifiers", "exact", "--token-file", str(tmp_path / "p.py"))
    assert "p.py" in told("serve", "--verifiers-file", str(tmp_path / "p.py"))


@pytest.mark.parametrize("params", ["{a: &a [*a]}", "[" * 3000, "a=" + "9" * 5000, "a=2024-99-99", "{a: 1, a: 2}"])
def test_hostile_parameters_are_one_sentence(params: str) -> None:
    told("verifiers", "test", "exact", "--params", params)


@pytest.mark.parametrize("params", ["[" * 3000, '{"a": ' + "9" * 5000 + "}", '{"a": 1, "a": 2}', "\x1b[31m" * 9000])
def test_hostile_parameters_of_verify_are_one_sentence(params: str, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    told("verify", str(tmp_path / "rows.jsonl"), "--verifier", "exact", "--params", params)


@pytest.mark.parametrize(
    "command", ["check", "run", "status", "report", "rollouts", "prompts", "synthesize", "analyse"]
)
def test_a_path_that_no_system_takes_is_one_sentence(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "too long" in told(command, "x" * 5000)
    told(command, "no/run\x1b[31m")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["analyse"], ["verify", "--verifier", "exact"], ["check"]])
def test_a_file_that_opens_and_cannot_be_read_is_one_sentence(command: list[str]) -> None:
    assert "/proc/self/mem" in told(command[0], "/proc/self/mem", *command[1:])
