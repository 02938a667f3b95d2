"""What programs a recipe can ask for, and where its seeds are."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from selfplay.config.programs import CheckerWriter, NewPrograms, TestWriter
from selfplay.config.seeds import DatasetSeeds, FileSeeds


def test_functions_are_called_in_python_alone() -> None:
    assert NewPrograms(language="cpp").function is None
    assert NewPrograms(function="solve").language == "python"
    with pytest.raises(ValidationError, match="functions of cpp programs are not called"):
        NewPrograms(language="cpp", function="solve")
    with pytest.raises(ValidationError, match="is none of"):
        NewPrograms(language="cobol")
    with pytest.raises(ValidationError, match="pattern"):
        NewPrograms(function="os.system('x')")


def test_a_template_without_its_fields_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"template lacks the field \{kind\}"):
        TestWriter(template="{problem}")
    with pytest.raises(ValidationError, match=r"template lacks the field \{outputs\}"):
        CheckerWriter(template="{problem} {input}")


def test_columns_of_a_split_come_before_those_of_all() -> None:
    seeds = FileSeeds.model_validate(
        {
            "kind": "file",
            "train": "train.jsonl",
            "heldout": {"kind": "file", "path": "held.jsonl", "fields": {"answer": "gold"}},
            "fields": {"problem": "question", "answer": "solution"},
        }
    )
    train, heldout = seeds.rows("train"), seeds.rows("heldout")
    assert train is not None
    assert heldout is not None
    assert train.fields == {"problem": "question", "answer": "solution"}
    assert heldout.fields == {"problem": "question", "answer": "gold"}
    assert seeds.rows("dev") is None


def test_a_split_of_a_data_set_is_a_name_or_has_columns_of_its_own() -> None:
    seeds = DatasetSeeds.model_validate(
        {"kind": "dataset", "name": "owner/set", "train": "train[:90%]", "dev": {"split": "validation"}}
    )
    splits = {split: rows.split for split in ("train", "heldout", "dev") if (rows := seeds.rows(split)) is not None}
    assert splits == {"train": "train[:90%]", "heldout": "test", "dev": "validation"}
