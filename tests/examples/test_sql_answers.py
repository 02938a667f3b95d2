"""The example of a domain of its own: judged on a real database, its problems labelled by votes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.sql_answers import SQLAnswers
from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.labelling.answer_vote import label_by_answers
from selfplay.preflight.rewards import check_rewards
from verifiers.answers import answer_reader
from verifiers.model import Task
from verifiers.registry import load

pytestmark = pytest.mark.usefixtures("needs_sandbox")
SHOP = """
CREATE TABLE sales (item TEXT, euros INTEGER);
INSERT INTO sales VALUES ('tea', 3), ('tea', 4), ('bread', 2), ('jam', 5);
"""
GOLD = "SELECT item, SUM(euros) FROM sales GROUP BY item"
FOR_EVER = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT MAX(x) FROM n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sql") / "shop.sql"
    file.write_text(SHOP)
    return file


@pytest.fixture(scope="module")
def verifier(shop: Path) -> Iterator[SQLAnswers]:
    made = SQLAnswers(database=str(shop))
    yield made
    made.close()


def block(query: str) -> str:
    return f"<think>hm</think>\n```sql\n{query}\n```"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("SELECT item, TOTAL(euros) FROM sales GROUP BY item", "wrong"),
        ("SELECT s.item, SUM(s.euros) FROM sales AS s GROUP BY 1 ORDER BY 2 DESC", "correct"),
        ("SELECT item, SUM(euros) FROM sales GROUP BY item HAVING COUNT(*) > 0", "correct"),
        ("SELECT item, SUM(euros) FROM sale GROUP BY item", "wrong"),
        ("DROP TABLE sales", "wrong"),
        ("ATTACH '/etc/passwd' AS p", "wrong"),
        (FOR_EVER, "wrong"),
    ],
)
def test_a_query_is_judged_by_its_rows(verifier: SQLAnswers, query: str, status: str) -> None:
    assert verifier.verify(Task("?", GOLD), block(query)).status == status


def test_what_is_no_query_is_no_answer(verifier: SQLAnswers) -> None:
    for completion in ("", "```sql\nSELECT 1", "<think>```sql\nSELECT 1\n```", "```python\n1\n```"):
        assert verifier.verify(Task("?", GOLD), completion).status == "no_answer"
    assert verifier.verify(Task("?", "SELECT nothing"), block(GOLD)).status == "gold_unparsable"


def recipe(shop: Path, verifier: str, **training: object) -> Recipe:
    seeds = {"kind": "file", "train": str(shop.with_name("train.jsonl")), "heldout": str(shop.with_name("held.jsonl"))}
    params = {"database": str(shop)} if "SQL" in verifier else {}
    domain = {"seeds": seeds, "verifier": verifier, "verifier_params": params}
    return Recipe.model_validate(
        {
            "name": "sql",
            "model": {"kind": "pretrained", "name": "org/model"},
            "domains": {"sql": domain},
            "training": training,
        }
    )


def test_votes_label_a_question(shop: Path) -> None:
    """Queries that are written in several ways and return the same rows vote together."""
    loaded = load("examples.sql_answers:SQLAnswers", {"database": str(shop)})
    reader = answer_reader(loaded)
    assert reader is not None
    written = [
        GOLD,
        "SELECT item, SUM(euros) FROM sales GROUP BY 1",
        "SELECT MAX(euros) FROM sales",
        "SELECT item, SUM(euros) AS paid FROM sales GROUP BY item HAVING paid > 0",
        "SELECT",
    ]
    answers = [reader.extract(block(query)) for query in written]
    settings = recipe(shop, "examples.sql_answers:SQLAnswers").labelling
    label = label_by_answers(reader, answers, [1.0] * len(answers), settings)
    assert label.answer in written
    assert label.agreement == pytest.approx(0.6)
    assert label.agrees == (True, True, False, True, False)
    loaded.close()


def test_a_verifier_without_answers_is_refused_where_votes_would_label(shop: Path) -> None:
    row = {"concepts": ["one"], "level": "easy", "rationale": "So."}
    for name, query in (("train", "SELECT 1"), ("held", "SELECT 2")):
        line = json.dumps(row | {"problem": f"{query}?", "answer": query})
        shop.with_name(f"{name}.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"domains.sql.verifier: 'regex' has no `extract` and `equal`.*pool.arm"):
        check_rewards(recipe(shop, "regex"))
    assert check_rewards(recipe(shop, "regex", pool={"arm": "external"}))
    assert check_rewards(recipe(shop, "examples.sql_answers:SQLAnswers"))
