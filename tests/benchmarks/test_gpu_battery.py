"""The battery for a GPU: what is run and kept, what waits, how steps end, and its page, with toy steps."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import gpu
from benchmarks._gpu import parts as real
from benchmarks._gpu.engine_arm import compared
from benchmarks._gpu.page import pages, rates
from benchmarks._gpu.steps import Figures, Part, Results, Step, Told, collected, run_parts
from selfplay.planning.rates import read_rates
from tests.docs.pages import pages as documents

NOWHERE = Path("nowhere")
ROOT = Path(__file__).parents[2]
SLEEPER = (
    "import subprocess,sys,time; print(subprocess.Popen(['sleep','60']).pid,file=sys.stderr,flush=True); time.sleep(60)"
)


def toy(name: str, code: str, **more: Any) -> Step:
    """A step that starts in milliseconds."""
    return Step(name, ("-I", "-S", "-c", code), **{"limit_s": 20.0} | more)


def says(name: str, value: object, **more: Any) -> Step:
    code = f"import json; print('chatter'); print(json.dumps({{'value': {value!r}}})); print('goodbye')"
    return toy(name, code, **more)


def told(done: Mapping[str, Figures]) -> Told:
    return Told(
        [f"{len(done)} done <b>|"], ("step", "value"), [(name, str(one["value"])) for name, one in done.items()]
    )


def a_part(*steps: Step) -> list[Part]:
    return [Part("toys", "Toys", steps, told)]


def run(parts: list[Part], out: Path, budget_s: float = 100.0, anew: bool = False, machine: str = "m") -> list[str]:
    said: list[str] = []
    run_parts(parts, Results(out, machine), budget_s, anew, said.append)
    return said


def states(parts: list[Part], out: Path) -> dict[str, str]:
    return {name: one["state"] for name, one in collected(parts, Results(out, "m"))["toys"]["steps"].items()}


def test_what_is_done_is_kept_and_what_failed_is_told_and_left_alone(tmp_path: Path) -> None:
    wrong = toy("wrong", "import sys; sys.exit('it has no memory left')")
    parts = a_part(says("one", 1), wrong, says("no", 0, skipped="no vLLM"), toy("mute", "pass"))
    run(parts, tmp_path)
    assert states(parts, tmp_path) == {"one": "done", "wrong": "failed", "no": "skipped", "mute": "failed"}
    found = collected(parts, Results(tmp_path, "m"))["toys"]
    assert found["steps"]["one"]["figures"] == {"value": 1}
    assert found["steps"]["wrong"]["sentence"] == "it has no memory left"
    assert found["steps"]["mute"]["sentence"] == "it said nothing; exit code 0"
    assert found["table"]["rows"] == [["one", "1"]]
    assert run(parts, tmp_path) == ["toys/one: done", "toys/wrong: failed", "toys/no: skipped", "toys/mute: failed"]
    assert any("wrong: begins" in line for line in run(parts, tmp_path, anew=True))


def test_another_command_or_machine_is_measured_again(tmp_path: Path) -> None:
    run(a_part(says("one", 1)), tmp_path)
    assert states(a_part(says("one", 2)), tmp_path) == {"one": "waiting"}
    assert "begins" in run(a_part(says("one", 1)), tmp_path, machine="another")[0]


def test_a_step_is_ended_at_its_limit_with_all_that_it_started(tmp_path: Path) -> None:
    parts = a_part(toy("slow", SLEEPER, limit_s=1.0))
    run(parts, tmp_path)
    assert states(parts, tmp_path) == {"slow": "too slow"}
    started = int((tmp_path / "steps" / "toys" / "slow.log").read_text())
    deadline = time.monotonic() + 5
    while _lives(started) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _lives(started)


def _lives(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def test_what_does_not_fit_into_a_call_waits_and_shorter_steps_go_first(tmp_path: Path) -> None:
    parts = a_part(says("one", 1, limit_s=5), says("long", 2, limit_s=50), says("short", 3, limit_s=5))
    run(parts, tmp_path, budget_s=20)
    assert states(parts, tmp_path) == {"one": "done", "long": "waiting", "short": "done"}
    # Alone in a call it has whatever there is.
    run(parts, tmp_path, budget_s=20)
    assert states(parts, tmp_path)["long"] == "done"


def test_what_was_cut_by_the_end_of_a_call_is_tried_again(tmp_path: Path) -> None:
    parts = a_part(toy("slow", "import time; time.sleep(60)", limit_s=50))
    run(parts, tmp_path, budget_s=0.2)
    (found,) = collected(parts, Results(tmp_path, "m"))["toys"]["steps"].values()
    assert found["state"] == "cut"
    assert found["sentence"].endswith("since --minutes were over; give it more")
    assert "begins" in run(parts, tmp_path, budget_s=0.2)[0]


GOES_ON = """
import json, os, sys
file = os.path.join(sys.argv[1], "begun")
if os.path.exists(file):
    print(json.dumps({"value": open(file).read()}))
else:
    open(file, "w").write("before")
    sys.exit("something came in between")
"""


def test_a_step_that_goes_on_finds_its_folder_and_others_an_empty_one(tmp_path: Path) -> None:
    for goes_on in (True, False):
        step = Step("run", ("-I", "-S", "-c", GOES_ON, "{work}"), 20.0, goes_on=goes_on)
        parts, out = a_part(step), tmp_path / str(goes_on)
        run(parts, out)
        run(parts, out, anew=True)
        assert states(parts, out) == {"run": "done" if goes_on else "failed"}


def test_a_step_for_one_gpu_sees_the_first_and_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    names = "('CUDA_VISIBLE_DEVICES', 'HF_HUB_OFFLINE')"
    code = f"import json, os; print(json.dumps({{'value': [os.environ[name] for name in {names}]}}))"
    parts = a_part(toy("one", code), toy("all", code, gpus=0), toy("none", code, gpus=None))
    run(parts, tmp_path)
    found = collected(parts, Results(tmp_path, "m"))["toys"]["steps"]
    assert found["one"]["figures"]["value"] == ["3", "1"]
    assert found["all"]["figures"]["value"] == ["3,5", "1"]
    assert found["none"]["figures"]["value"] == ["", "1"]
    assert {step.gpus for part in real.battery(real.dry(NOWHERE)) for step in part.steps} == {None}


def test_the_page_has_the_figures_and_escapes_what_programs_said(tmp_path: Path) -> None:
    parts = a_part(says("one", "<script>"), toy("wrong", "import sys; sys.exit('<i>a|b')"))
    run(parts, tmp_path)
    made = pages(collected(parts, Results(tmp_path, "m")), "Title", "gpu")
    assert "&lt;script&gt;" in made["battery.html"]
    assert "<script>" not in made["battery.html"]
    assert "wrong: failed: &lt;i&gt;a|b" in made["battery.html"]
    assert "| one | &lt;script> |" in made["battery.md"]
    assert "- wrong: failed: &lt;i>a\\|b" in made["battery.md"]
    assert "Steps: 1 done, 1 failed." in made["battery.md"]


@pytest.mark.parametrize("setting", [real.on_gpus(1, NOWHERE), real.on_gpus(8, NOWHERE), real.dry(NOWHERE)])
def test_forty_minutes_are_enough_and_eight_hold_each_step(setting: real.Setting) -> None:
    parts = real.battery(setting)
    steps = [step for part in parts for step in part.steps]
    assert sum(step.limit_s for step in steps) <= real.WHOLE_S * setting.patience
    assert max(step.limit_s for step in steps) <= real.CALL_S * setting.patience
    assert {step.command[0] for step in steps} == {"-m"}
    modules = {step.command[1].replace(".", "/") + ".py" for step in steps}
    assert all((ROOT / module).is_file() for module in modules)
    skipped = {part.name for part in parts if all(step.skipped for step in part.steps)}
    assert skipped == ({"smollm2"} | ({"sharding"} if setting.gpus == 1 else set()))


def test_without_a_gpu_it_says_so_and_unknown_parts_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "gpus", lambda environment: ([], []))
    with pytest.raises(SystemExit, match="there is no GPU here; --dry runs the battery on this CPU"):
        gpu.run([])
    with pytest.raises(SystemExit, match="there is no part 'engine'; there are machine, engines,"):
        gpu.run(["--dry", "--parts", "engine", "--out", str(tmp_path)])


def test_engines_are_compared_up_to_where_they_part() -> None:
    one = {"completions": [[1, 2, 3], [4, 5]], "logprobs": [[-1.0, -1.0, -1.0], [-2.0, -2.0]]}
    other = {"completions": [[1, 2, 9], [4, 5]], "logprobs": [[-1.0, -1.5, -9.0], [-2.0, -2.0]]}
    found = compared(one, other)
    assert (found["equal"], found["tokens_before_they_part"], found["tokens"]) == (1, 4, 5)
    assert (found["nats_apart_max"], found["nats_apart_mean"]) == (0.5, 0.125)


def test_measured_rates_are_a_file_of_the_plan(tmp_path: Path) -> None:
    doctor = {"devices": [{"name": "NVIDIA H100 80GB HBM3"}]}
    found = {
        "machine": {"steps": {"doctor": {"figures": doctor}}},
        "engines": {"steps": {"vllm-bfloat16": {"figures": {"tokens_per_s": 9000.4}}}},
        "training": {"steps": {"sft": {"state": "failed"}}},
    }
    text = rates(found)
    assert text is not None
    file = tmp_path / "rates.yaml"
    file.write_text(text)
    (row,) = read_rates(file).measured
    assert (row.gpu, row.model, row.work, row.tokens_per_s) == ("H100", "Qwen/Qwen3-0.6B", "generate", 9000)
    assert rates({"machine": found["machine"]}) is None


def test_the_manual_has_the_parts_and_their_limits() -> None:
    page = documents("how-to/gpu-battery.md")
    rows = re.findall(r"^\| `(\w+)` \| .* \| ([\d.]+) \|$", page, re.M)
    minutes = {p.name: f"{sum(s.limit_s for s in p.steps) / 60:g}" for p in real.battery(real.on_gpus(8, NOWHERE))}
    assert dict(rows) == minutes


@pytest.mark.long
def test_it_runs_whole_on_a_cpu(tmp_path: Path) -> None:
    """With `.venv-vllm` its engines and its GRPO are both, otherwise those of transformers alone."""
    command = [sys.executable, "-m", "benchmarks", "gpu", "--dry", "--minutes", "600", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    parts = json.loads(done.stdout)["parts"]
    ended = {f"{p}/{s}": step["state"] for p, part in parts.items() for s, step in part["steps"].items()}
    assert set(ended.values()) <= {"done", "skipped"}, done.stderr
    assert {name for name, state in ended.items() if state == "skipped"} <= {
        "engines/vllm-float32", "grpo/vllm", "smollm2/transformers", "smollm2/vllm"
    }  # fmt: skip
    assert all(part["table"]["rows"] for name, part in parts.items() if name != "smollm2")
    whole, shared = (parts["sharding"]["steps"][name]["figures"]["states"] for name in ("none", "fsdp2"))
    assert shared == pytest.approx(whole / 2, rel=1e-3)
    assert "| sft-5M |" in (tmp_path / "out" / "battery.md").read_text()
