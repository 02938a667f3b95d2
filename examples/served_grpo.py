"""TRL's GRPO, with rewards from a reward server: verifiers and sandboxes may run on another machine than the policy.

    pip install 'promptcot[serve]'
    selfplay serve --verifiers math,code
    selfplay export prompts runs/mine --to data/mine --layout grpo
    python -m examples.served_grpo Qwen/Qwen3-0.6B data/mine --output out

A batch is one request. What could not be judged has no reward, which TRL leaves out of the group's mean.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

LABEL = ("answer", "tests", "entry_point", "language", "time_limit_s", "memory_mb", "float_tolerance")
"""Columns that belong to a label; those of the rows that there are go along."""
PATIENCE_S = 900.0


class ServedRewards:
    """A reward function of TRL's, which asks a server."""

    __name__ = "served"
    """TRL logs rewards under it."""

    def __init__(self, client: httpx.Client, verifier: str = "math") -> None:
        """Takes a client whose base is the server's address, and the name of a verifier that it serves."""
        self._client = client
        self._verifier = verifier

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward a completion, or None where there is no verdict.

        Args:
            completions: texts, or lists of messages of which the last counts.
            columns: those of the data set, one value a completion, and whatever else TRL hands over.
        """
        texts = [text if isinstance(text, str) else text[-1]["content"] for text in completions]
        labels = [{name: columns[name][at] for name in LABEL if name in columns} for at in range(len(texts))]
        items = [self._item(text, label) for text, label in zip(texts, labels, strict=True)]
        answer = self._client.post("/v1/score", json={"items": items})
        answer.raise_for_status()
        rewards: list[float | None] = answer.json()["rewards"]
        return rewards

    def _item(self, text: str, label: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: value for name, value in label.items() if value not in (None, [], ())}
        if "tests" in given:
            given["tests"] = [_test(test) for test in given["tests"]]
        return given | {"verifier": self._verifier, "completion": text}


def _test(test: Mapping[str, Any]) -> dict[str, Any]:
    """A test as the server reads it; in tables, arguments and what is expected of them are JSON texts."""
    if test.get("args") is None:
        return {"input": test["input"], "output": test["output"]}
    return {"args": json.loads(test["args"]), "expected": json.loads(test["expected"] or "null")}


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder, or a name on the hub")
    parser.add_argument("data", help="a folder that `selfplay export prompts --layout grpo` wrote")
    parser.add_argument("--server", default="http://127.0.0.1:8700")
    parser.add_argument("--verifier", default="math")
    parser.add_argument("--output", default="served-grpo")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="arguments of TRL's GRPOConfig"
    )
    given = parser.parse_args()

    import datasets
    from trl import GRPOConfig, GRPOTrainer

    own = {name: json.loads(value) for name, _, value in (pair.partition("=") for pair in given.set)}
    token = os.environ.get("SELFPLAY_SERVE_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    rows = datasets.load_dataset(given.data, "grpo", split="train")
    with httpx.Client(base_url=given.server, headers=headers, timeout=PATIENCE_S) as client:
        config = GRPOConfig(given.output, report_to="none", **own)
        trainer = GRPOTrainer(given.model, ServedRewards(client, given.verifier), config, rows)
        trainer.train()
        trainer.save_model(given.output)


if __name__ == "__main__":
    main()
