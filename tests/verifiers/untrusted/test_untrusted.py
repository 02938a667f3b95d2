"""The reader of files from outside: what it lets through is whole and within bounds, the rest is one short sentence."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from verifiers.untrusted.files import (
    UnusableFile,
    add_file,
    demand_folder,
    json_rows,
    lines_of,
    open_file,
    read_bytes,
    read_json,
    read_text,
)
from verifiers.untrusted.json_values import DEEPEST_JSON, LONGEST_NUMBER, parse_json
from verifiers.untrusted.shown import LONGEST, LONGEST_LINE, MOST_LINES, quoted, readable, shown
from verifiers.untrusted.yaml_text import DEEPEST, MOST_NODES, UnusableYaml, parse_yaml

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(PLAIN)
def test_json_comes_back_as_it_was_written(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    assert parse_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")) == value


@settings(max_examples=60, deadline=None)
@given(PLAIN.filter(lambda value: "\x00" not in json.dumps(value)))
def test_yaml_comes_back_as_it_was_written(value: Any) -> None:
    assert parse_yaml(yaml.safe_dump(value, allow_unicode=False))[0] == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", r"is not JSON \("),
        (b"\xff", "is not JSON in UTF-8"),
        ('{"a": 1, "b": 2, "a": 3}', "names the field 'a' twice"),
        ("[" * (DEEPEST_JSON + 1) + "]" * (DEEPEST_JSON + 1), "nested deeper"),
        ("[" * 100_000, "nested deeper"),
        ('{"a": ' * 5000 + "1" + "}" * 5000, "nested deeper"),
        ("1" * (LONGEST_NUMBER + 1), "holds a number of 4001 digits"),
        ("[NaN]", "holds NaN"),
        ("-Infinity", "holds -Infinity"),
        ("1e999", "holds 1e999"),
    ],
)
def test_json_beyond_the_bounds_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        parse_json(text)
    assert len(str(error.value)) < 200


def test_json_at_the_bounds_is_read() -> None:
    assert parse_json("[" * DEEPEST_JSON + "]" * DEEPEST_JSON)
    assert parse_json("1" * LONGEST_NUMBER) == int("1" * LONGEST_NUMBER)
    assert parse_json('"' + "[" * 1000 + "9" * 9000 + '"') == "[" * 1000 + "9" * 9000
    assert parse_json("[1e999, -Infinity]", finite=False) == [float("inf"), float("-inf")]


def test_aliases_count_as_if_they_were_written_out() -> None:
    assert parse_yaml("a: &a {x: 1}\nb: *a\nc: {<<: *a, y: 2}\n")[0] == {
        "a": {"x": 1},
        "b": {"x": 1},
        "c": {"x": 1, "y": 2},
    }
    doubling = "a0: &a0 [x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(12))
    assert parse_yaml(doubling)[0]["a1"] == [["x"], ["x"]]
    with pytest.raises(UnusableYaml, match=rf"more than {MOST_NODES} values, with what aliases repeat, line 16"):
        parse_yaml(doubling + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}]\n" for n in range(12, 40)))
    with pytest.raises(UnusableYaml, match=r"alias \*a within itself, line 1, column 5"):
        parse_yaml("&a [*a]")
    with pytest.raises(UnusableYaml, match="undefined alias"):
        parse_yaml("*a")


def test_yaml_at_its_depth_is_read() -> None:
    assert parse_yaml("[" * DEEPEST + "]" * DEEPEST)[0]
    with pytest.raises(UnusableYaml, match="deeper than 40 levels"):
        parse_yaml("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            [
                "a",
                ": ",
                "- ",
                "\n",
                "  ",
                "&x ",
                "*x",
                "[",
                "]",
                "{",
                "}",
                ", ",
                "!!int ",
                "!!str ",
                "? ",
                "> ",
                "<<: ",
                "1:59",
                "0x_",
                "1e9",
                ".nan",
                "'",
                '"',
                "\\u",
                "#",
                "%",
                "---",
                "2024-99-99",
                "~",
                "\t",
            ]
        ),
        max_size=30,
    )
)
def test_any_yaml_is_a_value_or_a_sentence(pieces: list[str]) -> None:
    try:
        value, _ = parse_yaml("".join(pieces))
    except UnusableYaml as error:
        fault = str(error)
        assert fault.isprintable()
        assert len(fault) < 700
    else:
        json.dumps(value, default=str)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "fifo")
    assert read_bytes(tmp_path / "link") == b"abc"
    with pytest.raises(UnusableFile, match="Too many levels"):
        open_file(tmp_path / "link", flags=os.O_RDONLY | os.O_NOFOLLOW)
    for place, says in {
        tmp_path / "fifo": "is a pipe",
        tmp_path: "is a folder",
        Path("/dev/zero"): "is a device",
        tmp_path / "none": "No such file",
        Path("a\0b"): "NUL",
        Path("a" * 5000): "File name too long",
    }.items():
        with pytest.raises(UnusableFile, match=rf"cannot be read \(.*{says}.*\); mend it") as error:
            open_file(place, remedy="mend it")
        assert len(str(error.value)) < 500
    with pytest.raises(UnusableFile, match=r"fifo: cannot be read \(is a pipe\); give another file"):
        demand_folder(tmp_path)


def test_files_have_bounds(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b'{"a": 1}\n\n{"a": 22}\n[]\n')
    with pytest.raises(UnusableFile, match="is larger than 5 bytes"):
        read_bytes(file, most=5)
    with pytest.raises(UnusableFile, match=r"file, line 3: is longer than 9 bytes; shorten it"):
        list(lines_of(file, 9))
    assert [number for number, _ in lines_of(file, 100)] == [1, 3, 4]
    rows = json_rows(file, told=LookupError, remedy="; mend it")
    assert [next(rows), next(rows)] == [(f"{file}, line 1", {"a": 1}), (f"{file}, line 3", {"a": 22})]
    with pytest.raises(LookupError, match=r"line 4: is not a JSON object; mend it"):
        next(rows)
    file.write_bytes(b"\xff")
    with pytest.raises(UnusableFile, match=r"file: is not UTF-8 text \(invalid start byte at byte 1\)"):
        read_text(file)
    with pytest.raises(UnusableFile, match="file: is not JSON in UTF-8"):
        read_json(file)
    file.write_text('{"a": "\\ud800"}')
    with pytest.raises(UnusableFile, match="half of a character"):
        next(json_rows(file))
    digest = hashlib.sha256()
    add_file(digest, file)
    assert digest.digest() == hashlib.sha256(file.read_bytes()).digest()


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=2000) | st.text("\x1b[31m\n\u202e\ud800", max_size=4000))
def test_text_of_others_is_printable_and_short(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= LONGEST
    message = readable(text)
    assert len(message.split("\n")) <= MOST_LINES + 1
    assert all(line.isprintable() and len(line) <= LONGEST_LINE for line in message.split("\n"))
    assert readable(message) == message
    assert quoted(text).isprintable()


def test_what_is_short_stays_and_the_end_of_what_is_long(tmp_path: Path) -> None:
    assert readable("a: is wrong\nb: is, too") == "a: is wrong\nb: is, too"
    assert readable("x" * 200_000 + "; the remedy").endswith("; the remedy")
    assert readable("\n" * 5000).endswith("… and 4981 more lines")
    assert quoted(10**5000) == "int that is too long to be written"
    assert shown(tmp_path) == str(tmp_path)


@pytest.mark.parametrize("length", [LONGEST_NUMBER - 1, LONGEST_NUMBER, LONGEST_NUMBER + 1, 3 * LONGEST_NUMBER])
@pytest.mark.parametrize("before", [0, 1, LONGEST_NUMBER - 1, LONGEST_NUMBER, LONGEST_NUMBER + 1, 9999])
def test_numbers_are_bounded_wherever_they_stand(length: int, before: int) -> None:
    text = json.dumps(["x" * before]) + " "
    text = f'{{"a": {text}, "b": {"7" * length}}}'
    if length <= LONGEST_NUMBER:
        assert parse_json(text)["b"] == int("7" * length)
    else:
        with pytest.raises(ValueError, match="digits"):
            parse_json(text)
