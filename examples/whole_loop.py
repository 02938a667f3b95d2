"""PromptCoT 2.0 on one page: a model invents problems, labels them by vote, and learns from the verdicts.

`python -m examples.whole_loop` does the whole of it in two minutes on one CPU core, with torch, transformers, TRL and
nothing of this project, so that what the packages do can be read before they are trusted. The world is sums of two
two-digit numbers. A problem x is `3 7 + 2 5`; its concepts c are the tens of both numbers and whether the units carry;
its rationale z is what a designer thinks between c and x. In order:

1. a base model learns arithmetic from solutions of which some are wrong: it can carry, but often forgets to;
2. cold start: p(z, x | c) and q(z | c, x) learn from annotated seeds, both from the base;
3. EM: q draws K rationales a pair, p scores them, q learns the best (E); p learns q's greedy rationales (M);
4. synthesis: p writes problems for new combinations of concepts, and gates drop what is faulty, known or held out;
5. labels: the base solves each problem k times, and the answer of most becomes the label;
6. GRPO, by TRL: the policy is rewarded for answers that equal the label;
7. evaluation on held-out problems, before and after.

Simpler than in the packages: equality of answers (of strings), the sampler (no embeddings), one round of each kind.
"""

from __future__ import annotations

import copy
import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

CANDIDATES, VOTES, LEAST_AGREEMENT, GROUP = 8, 8, 0.5, 8
"""Rationales a pair, solutions a problem, the least share of votes that makes a label, rollouts of a GRPO group."""
FORGOTTEN = 0.3
"""How often a solution that the base learns from forgets to carry."""
RATIONALE = ("<!-- BEGIN RATIONALE -->", "<!-- END RATIONALE -->")
PROBLEM = ("<!-- BEGIN PROBLEM -->", "<!-- END PROBLEM -->")
CONCEPTS = [f"{which}-{tens}0s" for which in ("first", "second") for tens in range(1, 10)] + ["carry", "plain"]
WORDS = [*"0123456789", *CONCEPTS, *"+=,:", "\\boxed{", "}", "units", "and", "some", "that", "hmm", "concepts", "sum"]

Example = tuple[str, tuple[str, ...]]
"""A prompt, and the segments that follow it."""


@dataclass(frozen=True)
class Problem:
    """A sum x with its concepts c and, where someone wrote one, a rationale z."""

    x: str
    c: tuple[str, ...]
    z: str = ""

    def for_p(self) -> Example:
        """c -> z, x."""
        return "concepts : " + " , ".join(self.c), (block(self.z, RATIONALE), block(self.x, PROBLEM))

    def for_q(self) -> Example:
        """c, x -> z."""
        return f"{self.for_p()[0]} {block(self.x, PROBLEM)}", (block(self.z, RATIONALE),)


def block(text: str, markers: tuple[str, str]) -> str:
    """A text between its markers."""
    return f"{markers[0]} {text} {markers[1]}"


def inside(text: str, markers: tuple[str, str]) -> str:
    """What stands between two markers; empty where they don't."""
    _, begun, rest = text.partition(markers[0])
    found, ended, _ = rest.partition(markers[1])
    return found.strip() if begun and ended else ""


def seed_problem(a: int, b: int, rng: random.Random) -> Problem:
    """A sum as annotated: the rationale names the units or stays vague, and may ramble, as annotators differ."""
    kind = "carry" if a % 10 + b % 10 > 9 else "plain"
    thought = rng.choice((f"units {a % 10} and {b % 10}", f"some units that {kind}"))
    c = (CONCEPTS[a // 10 - 1], CONCEPTS[8 + b // 10], kind)
    return Problem(f"{' '.join(str(a))} + {' '.join(str(b))}", c, "hmm " * rng.choice((0, 0, 1, 2)) + thought)


def solution(x: str, rng: random.Random) -> str:
    """Worked from the units to the tens; a carry may be forgotten."""
    a, b, _, c, d = x.split()
    units = int(b) + int(d)
    carried = units > 9 and rng.random() >= FORGOTTEN
    tens = " ".join(str(int(a) + int(c) + carried))
    steps = f"{b} + {d} = {' '.join(str(units))} , {a} + {c}{' + 1' * carried} = {tens}"
    return f"{steps} \\boxed{{ {tens} {units % 10} }}"


def answer_of(completion: str) -> str | None:
    """The answer in a completion's box."""
    return inside(completion, ("\\boxed{", "}")).replace(" ", "") or None


def make_model(seed: int) -> tuple[Any, Any]:
    """A Qwen3 with random weights, and its tokenizer: one token a word."""
    from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel({word: at for at, word in enumerate(["<pad>", "<eos>", *WORDS])}, "<pad>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.add_tokens([AddedToken(marker, special=False) for marker in (*RATIONALE, *PROBLEM)])
    ends = {"pad_token": "<pad>", "eos_token": "<eos>", "padding_side": "left"}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **ends)
    torch.manual_seed(seed)
    size = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 16}
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=len(tokenizer), **size, **heads, **ids)), tokenizer


def encode(tokenizer: Any, examples: Sequence[Example]) -> list[list[torch.Tensor]]:
    """The tokens of each example's prompt and segments; the end belongs to the last segment."""
    texts = [text for prompt, segments in examples for text in (prompt, *segments[:-1], segments[-1] + " <eos>")]
    ids = iter(tokenizer(texts, add_special_tokens=False)["input_ids"])
    return [[torch.tensor(next(ids)) for _ in (prompt, *segments)] for prompt, segments in examples]


def log_probs(model: Any, encoded: Sequence[list[torch.Tensor]]) -> list[list[torch.Tensor]]:
    """For each example, and each of its segments: the log-probabilities of the tokens. None of the prompt's."""
    rows = [torch.cat(parts) for parts in encoded]
    # Padding is on the right and attention looks to the left only, so that it changes nothing.
    batch = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    picked = model(input_ids=batch).logits[:, :-1].log_softmax(-1).gather(2, batch[:, 1:, None])[..., 0]
    found = zip(picked, rows, encoded, strict=True)
    own = [(values[: len(row) - 1], [len(part) for part in parts]) for values, row, parts in found]
    return [list(values[sizes[0] - 1 :].split(sizes[1:])) for values, sizes in own]


def fit(start: Any, tokenizer: Any, examples: Sequence[Example], steps: int, rate: float) -> Any:
    """A copy of a model after maximum likelihood on the segments, the learning rate falling to 0."""
    model = copy.deepcopy(start).train()
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps, pct_start=0.1)
    encoded = encode(tokenizer, examples)
    for _ in range(steps):
        chosen = [encoded[at] for at in torch.randint(len(encoded), (64,)).tolist()]
        tokens = torch.cat([part for row in log_probs(model, chosen) for part in row])
        optimizer.zero_grad()
        (-tokens.mean()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


@torch.no_grad()
def write(model: Any, tokenizer: Any, prompts: Sequence[str], temperature: float = 1.0) -> list[str]:
    """One completion a prompt, all in one batch; greedy at temperature 0."""
    batch = tokenizer(list(prompts), return_tensors="pt", padding=True, return_token_type_ids=False)
    how = {"do_sample": True, "temperature": temperature, "top_k": 0} if temperature else {"do_sample": False}
    written = model.eval().generate(**batch, **how, max_new_tokens=28)[:, batch["input_ids"].shape[1] :]
    return list(tokenizer.batch_decode(written, skip_special_tokens=True))


# The method.


@torch.no_grad()
def rewards(p: Any, tokenizer: Any, candidates: Sequence[Problem]) -> list[float]:
    """R(c, x, z) = log p(z | c) + log p(x | z, c)."""
    of_segments = log_probs(p, encode(tokenizer, [one.for_p() for one in candidates]))
    return [float(sum(part.sum() for part in row)) for row in of_segments]


def choose(values: Sequence[float | None]) -> int | None:
    """The E-step's choice: the index of the greatest reward, the lowest among equals; None is a faulty rationale."""
    there = [(-value, at) for at, value in enumerate(values) if value is not None]
    return min(there)[1] if there else None


def best_rationales(p: Any, q: Any, tokenizer: Any, pairs: Sequence[Problem]) -> list[Problem]:
    """E: each pair with the best of the K rationales that q draws for it."""
    drawn = write(q, tokenizer, [pair.for_q()[0] for pair in pairs for _ in range(CANDIDATES)])
    found = []
    for at, pair in enumerate(pairs):
        own = [replace(pair, z=inside(text, RATIONALE)) for text in drawn[at * CANDIDATES : (at + 1) * CANDIDATES]]
        values = [value if one.z else None for one, value in zip(own, rewards(p, tokenizer, own), strict=True)]
        best = choose(values)
        found += [] if best is None else [own[best]]
    return found


def greedy_rationales(q: Any, tokenizer: Any, pairs: Sequence[Problem]) -> list[Problem]:
    """The pairs with the rationale that q finds likeliest, for the M-step and for measuring."""
    written = write(q, tokenizer, [pair.for_q()[0] for pair in pairs], 0)
    own = [replace(pair, z=inside(text, RATIONALE)) for pair, text in zip(pairs, written, strict=True)]
    return [one for one in own if one.z]


def joint_nll(p: Any, q: Any, tokenizer: Any, heldout: Sequence[Problem]) -> float:
    """Mean of -log p(z, x | c) at q's greedy z, in nats."""
    return -statistics.fmean(rewards(p, tokenizer, greedy_rationales(q, tokenizer, heldout)))


def combinations(seeds: Sequence[Problem], count: int, rng: random.Random) -> list[tuple[str, ...]]:
    """New combinations of concepts: the first by frequency, the others by how often they stood beside those chosen."""
    frequency = Counter(one for seed in seeds for one in seed.c)
    together = Counter((a, b) for seed in seeds for a in seed.c for b in seed.c if a != b)
    drawn: set[tuple[str, ...]] = set()
    while len(drawn) < count:
        chosen = rng.choices(CONCEPTS, [frequency[one] for one in CONCEPTS])
        for _ in range(2):
            # A softmax of the sum of their logarithms: what never stood together is never drawn together.
            chosen += rng.choices(CONCEPTS, [math.prod(together[a, one] for a in chosen) for one in CONCEPTS])
        drawn.add(tuple(sorted(chosen, key=CONCEPTS.index)))
    return sorted(drawn)


def synthesise(p: Any, tokenizer: Any, combos: Sequence[tuple[str, ...]], allowed: AbstractSet[str]) -> list[str]:
    """The problems of p that are whole, and sums that are neither seeds nor held out."""
    written = write(p, tokenizer, [Problem("", c).for_p()[0] for c in combos for _ in range(4)])
    return sorted({inside(text, PROBLEM) for text in written if inside(text, RATIONALE)} & allowed)


def vote(answers: Sequence[str | None]) -> tuple[str | None, float]:
    """The label and its share of all votes; no label on a tie or below the least agreement."""
    ranked = Counter(answer for answer in answers if answer).most_common(2)
    share = ranked[0][1] / len(answers) if ranked else 0.0
    tied = len(ranked) > 1 and ranked[0][1] == ranked[1][1]
    return (ranked[0][0] if ranked and not tied and share >= LEAST_AGREEMENT else None), share


def label(policy: Any, tokenizer: Any, problems: Sequence[str]) -> dict[str, str]:
    """Problems and their labels, by a vote of the policy's own solutions."""
    written = write(policy, tokenizer, [f"sum {x} :" for x in problems for _ in range(VOTES)])
    answers = list(map(answer_of, written))
    labels = {x: vote(answers[at * VOTES : (at + 1) * VOTES])[0] for at, x in enumerate(problems)}
    return {x: found for x, found in labels.items() if found is not None}


def reinforce(policy: Any, tokenizer: Any, labels: dict[str, str], seed: int, steps: int) -> Any:
    """The policy after GRPO: within each group of rollouts, those that equal the label beat the others."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer

    def verified(completions: list[str], answer: list[str], **_: Any) -> list[float]:
        return [float(answer_of(text) == wanted) for text, wanted in zip(completions, answer, strict=True)]

    with tempfile.TemporaryDirectory() as folder:
        rows = Dataset.from_list([{"prompt": f"sum {x} :", "answer": answer} for x, answer in labels.items()])
        sizes = {"per_device_train_batch_size": 16 * GROUP, "num_generations": GROUP, "max_completion_length": 28}
        quiet = {"report_to": "none", "save_strategy": "no", "disable_tqdm": True, "logging_strategy": "no"}
        machine = {"use_cpu": True, "bf16": False, "dataloader_pin_memory": False, "gradient_checkpointing": False}
        args = GRPOConfig(folder, **sizes, **quiet, **machine, max_steps=steps, learning_rate=3e-4, beta=0.0, seed=seed)
        trainer = GRPOTrainer(copy.deepcopy(policy), verified, args, rows, processing_class=tokenizer)
        trainer.train()
    return trainer.model


def accuracy(policy: Any, tokenizer: Any, truth: dict[str, str]) -> float:
    """avg@4 at temperature 1: the share of solutions that are right."""
    asked = [x for x in truth for _ in range(4)]
    answers = map(answer_of, write(policy, tokenizer, [f"sum {x} :" for x in asked]))
    return statistics.fmean(given == truth[x] for x, given in zip(asked, answers, strict=True))


def main(seed: int = 0) -> dict[str, float]:
    """The whole loop; tells each figure, and the processor's seconds until then."""
    torch.set_num_threads(1)
    rng, figures, begun = random.Random(seed), {}, time.process_time()

    def tell(name: str, value: float) -> None:
        figures[name] = value
        print(f"{time.process_time() - begun:6.1f} s  {name}: {value:.3f}", flush=True)

    sums = [(a, b) for a in range(10, 100) for b in range(10, 100)]
    everything = {seed_problem(a, b, rng): str(a + b) for a, b in rng.sample(sums, len(sums))}
    truth = {one.x: answer for one, answer in everything.items()}
    heldout, seeds, others = (list(everything)[start:end] for start, end in ((0, 200), (200, 600), (600, 3600)))
    measured = {one.x: truth[one.x] for one in heldout}
    model, tokenizer = make_model(seed)
    base = fit(model, tokenizer, [(f"sum {one.x} :", (solution(one.x, rng),)) for one in others + seeds], 400, 5e-3)
    tell("accuracy of the base", accuracy(base, tokenizer, measured))
    p = fit(base, tokenizer, [one.for_p() for one in seeds], 150, 2e-3)
    q = fit(base, tokenizer, [one.for_q() for one in seeds], 150, 2e-3)
    tell("nats of a held-out rationale and problem after the cold start", joint_nll(p, q, tokenizer, heldout))
    q = fit(q, tokenizer, [one.for_q() for one in best_rationales(p, q, tokenizer, seeds)], 50, 5e-4)
    p = fit(p, tokenizer, [one.for_p() for one in greedy_rationales(q, tokenizer, seeds)], 50, 5e-4)
    tell("the same after a round of EM", joint_nll(p, q, tokenizer, heldout))

    allowed = truth.keys() - {one.x for one in heldout + seeds}
    problems = synthesise(p, tokenizer, combinations(seeds, 120, rng), allowed)
    tell("new problems", len(problems))
    labels = label(base, tokenizer, problems)
    tell("labelled", len(labels))
    tell("right labels", statistics.fmean(found == truth[x] for x, found in labels.items()))
    policy = reinforce(base, tokenizer, labels, seed, 40)
    tell("accuracy of the policy", accuracy(policy, tokenizer, measured))
    return figures


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
