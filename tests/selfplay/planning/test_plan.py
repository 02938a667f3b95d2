"""Plans of whole recipes: the stages, what fits, what mends it, and what a machine without GPUs refuses."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from selfplay.cli.app import app
from selfplay.config.load import RecipeError, load_recipe, recipe_of
from selfplay.config.recipe import Recipe
from selfplay.planning.counts import PUBLISHED, rows_of
from selfplay.planning.machine import GIB, UnknownMachine, card_of, named, of_nodes
from selfplay.planning.memory import ZERO_BUCKET
from selfplay.planning.need import Need
from selfplay.planning.plan import DoesNotFit, Outlook, outlook
from selfplay.planning.rates import Rates, UnusableRates, read_rates
from selfplay.planning.remedies import demand_fit, remedy
from selfplay.planning.view import plan_json
from selfplay.preflight.fit import demand_gpus, demand_room, fits_here
from selfplay.suites.catalogue import SUITES

ROOT = Path(__file__).resolve().parents[3]
CONFIGS = ROOT / "configs"
QWEN = str(CONFIGS / "qwen3-4b.yaml")


WHOLE = (
    "compute.sharding=none",
    "engine={kind: transformers, batch_tokens: 262144, shard: 256, args: {}}",
    *(f"labelling.labellers.{name}=null" for name in ("policy", "larger")),
    "labelling.sampling={max_new_tokens: 32768}",
)
"""All weights on every GPU, a policy that labels alone, an engine with static batches: what 8 x 80 GiB do not hold."""


def of_qwen(*overrides: str) -> Recipe:
    return load_recipe(QWEN, [*WHOLE, *overrides])


def find(plan: Outlook, stage: str, what: str) -> Need:
    return next(need for need in plan.needs if (need.stage, need.what) == (stage, what))


def test_sixteen_bytes_a_weight_and_the_buffers_of_several_ranks() -> None:
    plan = outlook(of_qwen("training.algorithm=rft"), named("8x80"), Rates())
    terms = find(plan, "selfplay_1", "rft").terms
    weights = 4 * 4_022_468_096
    assert terms["weights"] == weights
    assert terms["optimiser"] == 2 * weights
    # The buckets of data parallelism, and bfloat16 copies of all weights.
    assert terms["buffers"] == weights + weights // 2
    alone = outlook(of_qwen("training.algorithm=rft"), named("1x80"), Rates())
    assert find(alone, "selfplay_1", "rft").terms["buffers"] == weights // 2


def test_a_rationale_is_scored_once_for_its_reward_and_twice_for_the_bound() -> None:
    em = {"pairs": 100, "candidates": 8, "heldout_pairs": 10, "bound_samples": 16}
    given = [f"em.{name}={value}" for name, value in em.items()]
    drawn, measured = 100 * 8, 10 * 16

    def scored(*more: str) -> float:
        recipe = load_recipe(CONFIGS / "qwen2.5-32b-em.yaml", [*given, *more])
        domains = len(recipe.domains)
        need = find(outlook(recipe, named("8x80"), Rates(), 10_000), "em_1", "likelihoods")
        return need.tokens / domains

    once, soft, gained = scored(), scored("em.assignment=soft"), scored("em.reward=information_gain")
    a_sequence = once / (drawn + 2 * measured)
    assert soft == pytest.approx(a_sequence * (2 * drawn + 2 * measured))
    assert gained == pytest.approx(a_sequence * (drawn + 100 + 2 * measured))


def test_dpo_holds_a_reference_unless_it_trains_an_adapter() -> None:
    whole = find(outlook(of_qwen(), named("8x80"), Rates()), "selfplay_1", "dpo")
    assert whole.terms["reference"] == whole.terms["weights"]
    adapted = find(outlook(of_qwen("training.lora={r: 8}"), named("8x80"), Rates()), "selfplay_1", "dpo")
    assert adapted.terms["reference"] == 0
    assert adapted.terms["weights"] < whole.terms["weights"] * 0.51


def test_what_does_not_fit_names_the_term_the_field_and_the_change() -> None:
    plan = outlook(of_qwen(), named("8x80"), Rates())
    with pytest.raises(DoesNotFit, match=r"selfplay_1, dpo: needs .* most of it for activations .*set compute"):
        demand_fit(plan)


def test_a_model_is_spread_over_several_gpus_before_its_sequences_are_cut() -> None:
    """What is learnt is the same then; one GPU alone has nothing to spread it over."""
    alone, several = (outlook(of_qwen(), named(machine), Rates()) for machine in ("1x80", "8x80"))
    said = remedy(several, find(several, "selfplay_1", "dpo"))
    assert said.startswith("set compute.sharding=fsdp2, with which it takes ")
    demand_fit(outlook(of_qwen("engine.kind=vllm", "compute.sharding=fsdp2"), named("8x80"), Rates()))
    assert "sharding" not in remedy(alone, find(alone, "selfplay_1", "dpo"))


def test_activations_of_long_sequences_are_cut_over_gpus() -> None:
    """Weights stay as they are spread, tokens are as many; ranks beyond the model's key heads are told of."""
    spread = ("training.algorithm=rft", "compute.sharding=fsdp2", "engine.kind=vllm")

    def learning(*more: str) -> tuple[Outlook, Need]:
        plan = outlook(of_qwen(*spread, *more), named("8x24"), Rates())
        return plan, find(plan, "selfplay_1", "rft")

    (_, whole), (_, cut) = learning(), learning("compute.sequence_parallel=8")
    assert cut.terms == whole.terms | {"activations": cut.terms["activations"], "logits": cut.terms["logits"]}
    assert cut.terms["activations"] * 8 == pytest.approx(whole.terms["activations"], rel=0.01)
    assert (cut.tokens, cut.hours) == (whole.tokens, whole.hours)
    plan, need = learning(
        *(f"training.rft.args.{one}" for one in ("per_device_train_batch_size=1", "max_length=131072"))
    )
    assert remedy(plan, need).startswith("set compute.sequence_parallel=8, with which it takes ")
    _, beyond = learning("compute.sequence_parallel=16")
    assert beyond.notes == (
        "compute.sequence_parallel is 16, but ranks cannot have equal parts of 8 key heads; set it to a divisor of 8",
    )


def test_the_change_that_is_named_mends_it() -> None:
    plan = outlook(of_qwen("training.algorithm=rft"), named("1x40"), Rates())
    need = find(plan, "selfplay_1", "rft")
    assert not need.fits
    said = remedy(plan, need)
    changes = said.removeprefix("set ").partition(", with which")[0]
    overrides = [changes] if "{" in changes else changes.split()
    mended = recipe_of(plan.recipe.model_dump(mode="json"), overrides)
    assert find(outlook(mended, plan.machine, Rates()), "selfplay_1", "rft").fits


def test_all_changes_that_are_named_mend_all_together() -> None:
    """Two models of one engine: two GPUs for the one and four for the other were named, in an order that left two."""
    recipe = load_recipe(CONFIGS / "qwen3-30b-a3b-2x8.yaml", ["training.rounds=0", "compute.executor=local"])
    with pytest.raises(DoesNotFit) as refused:
        demand_fit(outlook(recipe, named("8x40"), Rates()))
    assert "what is named before mends that, too" in str(refused.value)
    changes = [one for said in re.findall(r"; set (.*?), with which", str(refused.value)) for one in said.split()]
    demand_fit(outlook(recipe_of(recipe.model_dump(mode="json"), changes), named("8x40"), Rates()))


def test_the_smallest_change_comes_first() -> None:
    """Batches of eight are halved before anything else is touched, and no more often than is needed."""
    recipe = of_qwen(
        "training.algorithm=rft",
        "training.lora={r: 8}",
        "training.rft.args.per_device_train_batch_size=8",
        "training.sampling.max_new_tokens=16384",
    )
    plan = outlook(recipe, named("1x80"), Rates())
    need = find(plan, "selfplay_1", "rft")
    assert not need.fits
    batch = "training.rft.args.per_device_train_batch_size="
    said = remedy(plan, need)
    assert said.startswith(f"set {batch}")
    smaller = int(said.removeprefix(f"set {batch}").split()[0])
    for size, fits in ((smaller, True), (smaller * 2, False)):
        other = load_recipe(QWEN, []).model_copy(update={"training": recipe.training})
        changed = recipe_of(other.model_dump(mode="json"), [f"{batch}{size}"])
        assert find(outlook(changed, plan.machine, Rates()), "selfplay_1", "rft").fits is fits


def test_where_nothing_mends_it_the_size_is_said() -> None:
    recipe = of_qwen("model.name=Qwen/Qwen3-30B-A3B", "training.algorithm=rft", "engine.kind=vllm")
    plan = outlook(recipe, named("1x24"), Rates())
    with pytest.raises(DoesNotFit, match=r"no setting of this recipe mends that: it takes devices of at least \d+ GiB"):
        demand_fit(plan)


def test_vllm_must_hold_its_longest_sequence() -> None:
    """The release for 262,144 tokens does not open beside 61 GB of weights unless it is told to take fewer."""
    recipe = of_qwen("model.name=Qwen/Qwen3-30B-A3B-Thinking-2507", "engine.kind=vllm", "training.rounds=0")
    plan = outlook(recipe, named("8x80"), Rates())
    with pytest.raises(DoesNotFit, match=r"set engine.args.max_model_len="):
        demand_fit(plan)
    short = of_qwen("engine.kind=vllm", "engine.args={max_model_len: 8192}")
    with pytest.raises(DoesNotFit, match=r"max_model_len is 8192, less than a prompt of 512 and 32768 more tokens"):
        demand_fit(outlook(short, named("8x80"), Rates()))


def test_rates_that_were_measured_come_first(tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    row = "{gpu: H100, model: Qwen/Qwen3-4B-Thinking-2507, work: generate, tokens_per_s: 1000}"
    file.write_text(f"completion_share: 0.25\nmeasured:\n- {row}\n")
    plan = outlook(of_qwen(), named("8xH100"), read_rates(file))
    votes = find(plan, "labelling", "votes")
    assert votes.speed.measured
    assert votes.tokens == int(50000 * 0.7) * 8 * 8192
    assert votes.hours == pytest.approx(votes.tokens / 8000 / 3600)
    assert not plan.measured


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("train_share: 2", "train_share"),
        ("speed: 1", "speed"),
        ("a: [", "line 1"),
        ("measured: [{gpu: x}]", "measured.0"),
    ],
)
def test_rates_that_cannot_be_used_are_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "rates.yaml"
    file.write_text(text)
    with pytest.raises(UnusableRates, match=said):
        read_rates(file)


@pytest.mark.parametrize("text", ["8", "x80", "0x80", "8x81", "8x80x2", "-1x80", "8xcard", "9999999x80", "٣x80"])
def test_machines_that_mean_nothing_are_refused(text: str) -> None:
    with pytest.raises(UnknownMachine, match="such as 8x80"):
        named(text)


def test_a_machine_is_named_by_memory_or_card() -> None:
    assert (named("8x80").card.name, named("8x80").devices) == ("A100", 8)
    assert named("2xh100").card.name == "H100"
    assert named("80") == named("1x80")
    assert of_nodes("1x8x80") == named("8x80")
    two = of_nodes("2x8x80")
    assert (two.devices, two.nodes, two.device_bytes) == (16, 2, named("8x80").device_bytes)
    with pytest.raises(UnknownMachine, match="is no number of nodes"):
        of_nodes("0x8x80")


@pytest.mark.parametrize(
    ("driver", "gib", "card"),
    [
        ("NVIDIA A100-SXM4-80GB", 79, "A100"),
        ("NVIDIA A100-SXM4-40GB", 40, "A100-40"),
        ("NVIDIA A10", 23, "A10"),
        ("NVIDIA GeForce RTX 4090", 24, "RTX 4090"),
        ("NVIDIA H100 80GB HBM3", 79, "H100"),
        ("Somebody's 9000", 178, "B200"),
    ],
)
def test_a_card_is_known_by_what_its_driver_calls_it(driver: str, gib: int, card: str) -> None:
    """An A100 was taken for the A10 whose name begins so: two and a half times the hours, and none of its rates."""
    assert card_of(driver, gib * GIB).name == card


def test_a_machine_without_gpus_refuses_what_it_cannot_have_meant(tmp_path: Path) -> None:
    recipe = load_recipe(CONFIGS / "qwen3-30b-a3b.yaml")
    with pytest.raises(DoesNotFit, match=r"model.name: Qwen/Qwen3-30B-A3B.* has 30.5 billion parameters.*no GPU"):
        demand_gpus(recipe)
    (finding,) = fits_here(recipe, 0, 1, tmp_path)
    assert "`selfplay run` would refuse here" in finding.detail
    meant = load_recipe(CONFIGS / "qwen3-30b-a3b.yaml", ["compute.device=cpu"])
    demand_gpus(meant)


def test_a_run_is_refused_before_anything_loads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from selfplay.compute.workers import Workers
    from selfplay.pipeline.launch import launch

    started = []
    monkeypatch.setattr(Workers, "start", lambda *_: started.append(1))
    monkeypatch.setattr("selfplay.pipeline.crew.gpu_count", lambda: 0)
    monkeypatch.setenv("WANDB_MODE", "offline")
    recipe = load_recipe(CONFIGS / "qwen3-30b-a3b.yaml", ["tracking.wandb.mode=disabled"])
    with pytest.raises(DoesNotFit, match="this machine has no GPU"):
        launch(recipe, tmp_path / "run")
    assert started == []


def test_too_little_memory_of_a_cpu_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("selfplay.planning.machine.host_bytes", lambda: GIB)
    recipe = load_recipe(CONFIGS / "quickstart.yaml", ["model.hidden_size=1024", "model.layers=24"])
    with pytest.raises(DoesNotFit, match="base, from scratch: needs"):
        demand_room(recipe, "cpu", 2, tmp_path)
    monkeypatch.setattr("selfplay.planning.machine.host_bytes", lambda: 4 * GIB)
    assert demand_room(load_recipe(CONFIGS / "quickstart.yaml"), "cpu", 2, tmp_path)[0].name == "plan"


def test_a_model_of_unknown_sizes_is_not_refused(tmp_path: Path) -> None:
    recipe = of_qwen("model.name=nobody/nothing-1B", "generator=null", "compute.device=cpu")
    (finding,) = demand_room(recipe, "cpu", 1, tmp_path)
    assert finding.detail.startswith("not planned: model.name: the sizes of nobody/nothing-1B")


def test_the_command_plans_in_under_two_seconds_of_work() -> None:
    """Processor time, which others on the machine do not lengthen; and no heavy library is there at the end."""
    code = (
        "import sys, time\nfrom selfplay.cli.app import app\n"
        f"try: app(['plan', {QWEN!r}, '--gpus', '8x80', 'training.lora={{r: 8}}', 'engine.kind=vllm',"
        " 'engine.args={max_model_len: 90112}'])\n"
        "except SystemExit as end: print('ended', end.code, file=sys.stderr)\n"
        "heavy = {'torch', 'transformers', 'trl', 'pyarrow', 'scipy', 'datasets'} & set(sys.modules)\n"
        "print(sorted(heavy), time.process_time() < 2, file=sys.stderr)"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.splitlines()[-1] == "[] True", (done.stderr, time.monotonic() - began)
    assert "ended 0" in done.stderr


def test_the_command_refuses_with_its_exit_code() -> None:
    done = CliRunner().invoke(app, ["plan", QWEN, "--gpus", "1x24"])
    assert done.exit_code == 2
    assert "does not fit on 1 x 24 GiB" in done.output
    noted = CliRunner().invoke(app, ["plan", QWEN, "--gpus", "8x80", "--note", "seed=1"])
    assert noted.exit_code == 2
    assert "put the overrides into it" in noted.output
    neither = CliRunner().invoke(app, ["plan", QWEN])
    assert neither.exit_code == 2
    assert "--gpus 8x80" in neither.output


def test_json_has_every_figure() -> None:
    found = plan_json(outlook(of_qwen(), named("8x80"), Rates(), seeds=100))
    row = next(row for row in found["work"] if row["work"] == "p")
    assert row["total"] == sum(row["terms"].values())
    assert found["hours"] == pytest.approx(sum(row["hours"] for row in found["work"]))
    assert {"host", "disk", "tokens", "tokens_per_s", "measured", "fits"} <= row.keys()


def test_a_tiny_model_on_vllm_is_not_refused(tmp_path: Path) -> None:
    """Its 512 tokens hold its own short prompts, whatever is assumed of those of large models."""
    recipe = load_recipe(CONFIGS / "quickstart.yaml", ["engine={kind: vllm, args: {max_model_len: 512}}"])
    assert demand_room(recipe, "cpu", 2, tmp_path)[0].name == "plan"
    demand_fit(outlook(recipe, named("1x24"), Rates()))


def test_a_sharded_training_holds_its_part_alone() -> None:
    def terms(*overrides: str) -> dict[str, int]:
        recipe = of_qwen("training.algorithm=rft", "compute.sharding=fsdp2", *overrides)
        return find(outlook(recipe, named("8x80"), Rates()), "selfplay_1", "rft").terms

    found, parameters = terms(), 4_022_468_096
    assert found["weights"] == parameters * 4 // 8
    assert found["optimiser"] == parameters * 8 // 8
    assert found["gradients"] <= (parameters + 151936 * 2560) * 4 // 8
    # The tied embedding, the last norm and two layers, in bfloat16, with their gradients.
    layer = 2 * 2560 * (4096 + 1024) + 2 * 128 + 3 * 2560 * 9728 + 2 * 2560
    assert found["buffers"] == 2 * 2 * (151936 * 2560 + 2560 + 2 * layer)
    whole = find(outlook(of_qwen("training.algorithm=rft"), named("8x80"), Rates()), "selfplay_1", "rft")
    assert sum(found.values()) < whole.total / 3
    # Under an adapter the base is loaded in float32.
    adapted = terms('training.lora={"r": 8, "target_modules": ["q_proj"]}')
    assert adapted["weights"] == (parameters * 4 + 36 * 8 * (2560 + 4096) * 4) // 8


def test_what_is_spread_is_loaded_once_and_a_reference_too() -> None:
    model = 4 * 4_022_468_096
    libraries = 8 * 3 * GIB
    for rule, sharding, loaded in (
        ("rft", "none", 8 * model),
        ("rft", "fsdp2", model),
        ("rft", "zero2", 8 * model),
        ("dpo", "fsdp2", 2 * model),
        ("dpo", "zero2", 16 * model),
        ("dpo", "zero3", 2 * model),
    ):
        recipe = of_qwen(f"training.algorithm={rule}", f"compute.sharding={sharding}")
        found = find(outlook(recipe, named("8x80"), Rates()), "selfplay_1", rule).host
        assert found == max(loaded + libraries, 0 if sharding == "none" else 2 * model), (rule, sharding)


@pytest.mark.parametrize("stage", ["zero2", "zero3"])
def test_deepspeed_holds_weights_twice_and_cuts_what_it_says(stage: str) -> None:
    recipe = of_qwen("training.algorithm=rft", f"compute.sharding={stage}")
    found = find(outlook(recipe, named("8x80"), Rates()), "selfplay_1", "rft").terms
    parameters = 4_022_468_096
    assert found["weights"] == parameters * 4 // (8 if stage == "zero3" else 1) + parameters * 4 // 8
    assert found["optimiser"] == parameters * 8 // 8
    assert found["gradients"] <= (parameters + 151936 * 2560) * 4 // 8
    layer = 2 * 2560 * (4096 + 1024) + 2 * 128 + 3 * 2560 * 9728 + 2 * 2560
    live = (151936 * 2560 + 2560 + 2 * layer + ZERO_BUCKET) * 6
    assert found["buffers"] == 2 * ZERO_BUCKET * 4 + (live if stage == "zero3" else parameters * 2)


def test_what_deepspeed_puts_on_the_host_is_counted_there() -> None:
    def need(offload: bool) -> Need:
        given = ("training.algorithm=rft", "compute.sharding=zero3", f"compute.offload={offload}")
        return find(outlook(of_qwen(*given), named("8x80"), Rates()), "selfplay_1", "rft")

    there, here = need(False), need(True)
    parameters = 4_022_468_096
    assert here.terms["optimiser"] == 0
    assert here.terms["weights"] == parameters * 4 // 8
    assert there.terms["weights"] == 2 * here.terms["weights"]
    # 8 bytes of states, 4 of gradients and 4 of weights of the optimiser's own, of all ranks together.
    assert here.host - there.host == 16 * parameters
    assert here.total < there.total - 10 * parameters // 8
    with pytest.raises(RecipeError, match="offload is DeepSpeed's, but sharding is fsdp2"):
        of_qwen("compute.sharding=fsdp2", "compute.offload=true")


def test_rows_are_counted_in_every_form_of_file(tmp_path: Path) -> None:
    """Lines were: a JSON list on one line was no problem at all, and a CSV of long texts several times as many."""
    rows = [{"problem": f"first line\nsecond, of {n}", "answer": str(n)} for n in range(5)]
    texts = {
        "list.json": json.dumps(rows),
        "indented.json": json.dumps(rows, indent=2),
        "lines.json": "\n".join(map(json.dumps, rows)),
        "lines.jsonl": "".join(json.dumps(row) + "\n" for row in rows),
        "rows.csv": "problem,answer\n" + "".join(f'"{row["problem"]}",{row["answer"]}\n' for row in rows),
        "rows.tsv": "problem\tanswer\n" + "".join(f'"{row["problem"]}"\t{row["answer"]}\n' for row in rows),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    assert {name: rows_of(tmp_path / name) for name in texts} == dict.fromkeys(texts, 5)
    (tmp_path / "cut.json").write_text("[{")
    with pytest.raises(UnusableRates, match=r"cut\.json"):
        rows_of(tmp_path / "cut.json")


def test_suites_and_relabelling_are_part_of_the_plan() -> None:
    suites = "evaluation.suites={names: [aime24, math500], samples: 4, every: 2, sampling: {max_new_tokens: 1000}}"
    again = "labelling.relabelling={samples: 3, sampling: {max_new_tokens: 100}}"
    plan = outlook(of_qwen("training.rounds=2", suites, again), named("8x80"), Rates())
    measured = {need.stage: need.tokens for need in plan.needs if need.what == "suites"}
    assert measured == dict.fromkeys(("evaluation_0", "evaluation_2"), 530 * 4 * 500)
    votes = find(plan, "relabelling_2", "votes")
    assert votes.tokens == find(plan, "labelling", "votes").tokens // votes_of_labelling(plan.recipe) * 3 * 50


def votes_of_labelling(recipe: Recipe) -> int:
    """Tokens that labelling writes a prompt, as assumed."""
    return sum(int(one.samples * one.sampling.max_new_tokens * 0.5) for one in recipe.labelling.voters.values())


def test_problems_of_named_suites_are_those_of_the_catalogue() -> None:
    known = {name: suite.problems for name, suite in SUITES.items() if suite.problems is not None}
    assert known == PUBLISHED


def test_a_disk_without_room_is_told_of_in_a_unit_that_shows_it() -> None:
    tiny = recipe_of(
        {
            "name": "t",
            "model": {"kind": "scratch"},
            "domains": {"math": {"seeds": {"kind": "quickstart", "grammar": "math"}}},
        }
    )
    machine = dataclasses.replace(named("1x80"), disk_bytes=2 * 2**20)
    [fault] = outlook(tiny, machine, Rates()).faults()
    assert re.fullmatch(
        r"disk: needs [1-9][0-9.]* [MG]iB, and 2\.0 MiB are there; lower .*, or choose a --run-dir.*", fault
    )
