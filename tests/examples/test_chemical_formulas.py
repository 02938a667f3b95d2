"""The second domain of its own: formulas, from seeds to a weight update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from examples.chemical_formulas import ChemicalFormulas, Unreadable, composition
from selfplay.run.records import LabelledTask, Rollout
from selfplay.run.tables import read_table
from tests.e2e.small_language import changed, whole_run
from verifiers.model import Task

CHEMISTRY = ChemicalFormulas()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("C2H6O", "CH3CH2OH"),
        ("Ca(OH)2", "CaO2H2"),
        ("CuSO4*5H2O", "CuSO4·5 H2O"),
        ("SO_4^{2-}", "O4S^2-"),
        ("[Fe(CN)6]^{3-}", "FeC6N6^{-3}"),
        ("Na^+", "Na^{1+}"),
        ("Co", "Co1"),
    ],
)
def test_formulas_that_name_the_same_atoms_are_equal(first: str, second: str) -> None:
    assert CHEMISTRY.equal(first, second)
    assert CHEMISTRY.canonical(first) == CHEMISTRY.canonical(second)


@pytest.mark.parametrize(
    ("first", "second"), [("Co", "CO"), ("H2O", "H2O2"), ("Fe^{2+}", "Fe^{3+}"), ("x", "x"), ("", "")]
)
def test_others_are_not(first: str, second: str) -> None:
    assert not CHEMISTRY.equal(first, second)


@pytest.mark.parametrize(
    "text", ["", "Xx", "(H2O", "H)2", "(H]", "H0", "H" + "9" * 30, "(" * 60, "H^2", "2", "()", "((H9999)9999)9999" * 9]
)
def test_what_is_no_formula(text: str) -> None:
    with pytest.raises(Unreadable):
        composition(text)


@pytest.mark.parametrize(
    ("completion", "status"),
    [
        ("<think>\\ce{CO}</think>So \\ce{SO4^{2-}} and water: \\ce{OH2}.", "correct"),
        ("It is \\ce{H2O2}", "wrong"),
        ("It is \\ce{water}", "wrong"),
        ("It is H2O", "no_answer"),
        ("<think>\\ce{H2O}", "no_answer"),
        ("\\ce{H2O", "no_answer"),
    ],
)
def test_verdicts(completion: str, status: str) -> None:
    assert CHEMISTRY.verify(Task("?", "H2O"), completion).status == status
    assert CHEMISTRY.verify(Task("?", "?"), completion).status == "gold_unparsable"


def question(first: int, second: int) -> dict[str, Any]:
    formula = f"C{first}H{second}"
    return {
        "problem": f"Which formula has {first} atoms of carbon and {second} of hydrogen?",
        "answer": formula,
        "solution": f"It is \\ce{{{formula}}}",
    }


@pytest.mark.long
def test_the_domain_goes_from_seeds_to_a_weight_update(tmp_path: Path) -> None:
    args = {"max_steps": 3, "per_device_train_batch_size": 32, "num_generations": 8, "learning_rate": 1e-4}
    domain = {"verifier": "examples.chemical_formulas:ChemicalFormulas"}
    run = whole_run(tmp_path, question, domain, {"algorithm": "grpo", "grpo": {"args": args}})
    tasks = [row for row in read_table(run / "stages/labelling/tasks.parquet", LabelledTask) if not row.dropped]
    assert tasks
    assert all(composition(row.task.answer or "") for row in tasks)
    statuses = {row.status for row in read_table(run / "stages/selfplay_1/rollouts.parquet", Rollout)}
    assert "correct" in statuses
    assert changed(run)
