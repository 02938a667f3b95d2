"""The doctor's findings on machines that lack things: by fakes of the driver's tool, small disks, other versions."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from sandbox.model import SandboxUnavailable
from selfplay.cli.app import app
from selfplay.planning.machine import existing
from selfplay.preflight.doctor import hardware, isolation, software
from selfplay.preflight.doctor.finding import State, fail, ok, warn, worst
from verifiers import registry
from verifiers.registry import Offer

FREE = "0, NVIDIA H100 80GB HBM3, 81559, 4, 550.54.15\n1, NVIDIA H100 80GB HBM3, 81559, 4, 550.54.15"
BUSY = "0, NVIDIA H100 80GB HBM3, 81559, 60000, 550.54.15"

Tool = Callable[[str], None]


@pytest.fixture
def tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tool:
    """Puts a driver's tool into the path that is the given script."""

    def put(script: str) -> None:
        file = tmp_path / "nvidia-smi"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return put


def test_gpus_are_named_with_their_memory_and_driver(tool: Tool) -> None:
    tool(f"echo '{FREE}'")
    found, findings = hardware.gpus({"CUDA_VISIBLE_DEVICES": "1"})
    assert [gpu.total for gpu in found] == [81559 * 2**20] * 2
    assert findings[0].detail == (
        "2 x NVIDIA H100 80GB HBM3 (80 GiB), driver 550.54.15; CUDA_VISIBLE_DEVICES leaves 1 of them to a run"
    )
    assert "shared memory" in [finding.subject for finding in findings]


def test_gpus_that_others_use_and_torch_without_them(tool: Tool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "read_text", lambda *_: "from typing import Optional\ncuda: Optional[str] = None\n")
    tool(f"echo '{BUSY}'")
    _, findings = hardware.gpus({})
    assert [(finding.subject, finding.state) for finding in findings] == [("GPUs", "warn"), ("torch on GPUs", "warn")]
    assert "in use by others: GPU 0 58.6 GiB" in findings[0].detail
    monkeypatch.setattr(hardware, "read_text", lambda *_: "cuda: str = '13.0'\n")
    assert hardware._torch_for_gpus() == [ok("torch on GPUs", "built for CUDA 13.0")]


@pytest.mark.parametrize(
    ("script", "state", "said"),
    [
        ("echo 'No devices were found'; exit 6", "ok", "models run on the CPU"),
        ("echo 'NVIDIA-SMI has failed'; exit 9", "fail", "nvidia-smi fails: NVIDIA-SMI has failed"),
        ("exec sleep 9", "fail", "does not answer within 0.2 s"),
    ],
)
def test_a_driver_that_has_no_gpus_or_is_ill(
    tool: Tool, monkeypatch: pytest.MonkeyPatch, script: str, state: str, said: str
) -> None:
    monkeypatch.setattr(hardware, "_PATIENCE_S", 0.2 if "sleep" in script else 20)
    tool(script)
    found, [finding] = hardware.gpus({})
    assert (found, finding.state) == ([], state)
    assert said in finding.detail


def test_a_gpu_without_its_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(hardware, "DEVICES", (tmp_path / "none",))
    assert hardware.gpus({}) == ([], [ok("GPUs", "none: models run on the CPU")])
    monkeypatch.setattr(hardware, "DEVICES", (tmp_path,))
    assert [finding.state for finding in hardware.gpus({})[1]] == ["fail"]


@pytest.mark.parametrize(("free", "state"), [(2**20, "fail"), (5 * 2**30, "warn"), (50 * 2**30, "ok")])
def test_disks_that_are_nearly_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage.__class__(usage.total, usage.used, free))
    runs, models, temporary = hardware.disks(tmp_path / "runs", {"HF_HOME": str(tmp_path)})
    assert (runs.state, models.state) == (state, state)
    assert temporary.state == ("fail" if state == "fail" else "ok")
    assert f"{free / 2**30:.1f} GiB free in {tmp_path}" == runs.detail


@pytest.mark.parametrize("place", ["~nobody-of-this-name/models", pytest.param("x" * 5000, id="long")])
def test_a_disk_of_models_that_is_nowhere_is_looked_for_above(tmp_path: Path, place: str) -> None:
    """The page ended in a traceback, also where HF_HOME was below the folder of another user."""
    assert [one.state for one in hardware.disks(tmp_path, {"HF_HOME": place})]


def test_a_folder_that_may_not_be_looked_into_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "is_dir", refuse)
    assert existing(tmp_path / "theirs" / "models") == tmp_path


def test_a_machine_with_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "host_bytes", lambda: 2**30)
    assert [finding.state for finding in hardware.processors()] == ["warn"]


def test_a_package_that_is_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.state for finding in software.packages()] == ["ok"]
    asked = ["pyarrow>=900", "no-such-package>=2", "rich", "never; python_version < '3'", "vllm>=1; extra == 'vllm'"]
    monkeypatch.setattr(software, "distribution", lambda _: type("Ours", (), {"requires": asked, "version": "1"}))
    old, missing = software.packages()
    assert old.remedy == "`pip install 'pyarrow>=900'`"
    assert missing.detail == "no-such-package>=2 is needed, and is not installed"


def test_vllm_beside_a_torch_that_it_was_not_built_against(monkeypatch: pytest.MonkeyPatch) -> None:
    needed = {"promptcot": ["vllm>=0.22,<0.32; extra == 'vllm'"], "vllm": ["torch==2.9.0", "rich>=900"]}
    found = {"vllm": "0.40", "torch": "2.13.0+cpu"}
    monkeypatch.setattr(software, "_requires", lambda name: needed.get(name, []))
    monkeypatch.setattr(software, "_version", found.get)
    monkeypatch.setattr(software, "version", found.__getitem__)
    assert [finding.detail for finding in software.vllm(True)] == [
        "vllm<0.32,>=0.22 is needed, and 0.40 is installed",
        "vllm 0.40 needs torch==2.9.0, and 2.13.0+cpu is installed",
    ]
    found.clear()
    assert [software.vllm(has)[0].state for has in (True, False)] == ["warn", "ok"]


def test_clashes_of_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [finding.state for finding in software.clashes()] == ["ok"]
    monkeypatch.setattr(software, "_version", lambda name: "0.1.14" if name == "verifiers" else None)
    assert "verifiers 0.1.14 of others lies beside ours" in software.clashes()[0].detail
    monkeypatch.setattr(registry, "hidden_offers", lambda: [Offer("math", "theirs 1.0", "theirs:Math")])
    monkeypatch.setattr(software, "_twice", lambda: [("torch", 2)])
    shadowed, twice = software.clashes()
    assert shadowed.remedy == "name theirs by its path in the recipe, theirs:Math"
    assert "torch is installed 2 times" in twice.detail
    monkeypatch.setattr(software, "clash", lambda: "here: is missing; run `pip install x`")
    assert software.clashes() == [fail("clashes", "here: is missing", "run `pip install x`")]


def test_an_entry_point_that_bears_a_shipped_name_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry.EntryPoint("math", "theirs:Math", registry.GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    assert registry.hidden_offers() == [Offer("math", "an installed package", "theirs:Math")]


def test_wandb_is_asked_for_by_files_alone_and_no_key_is_shown(tmp_path: Path) -> None:
    file = tmp_path / "netrc"
    environment = {"NETRC": str(file)}
    [absent] = software.wandb_login(environment)
    assert (absent.state, "wandb login" in absent.remedy) == ("ok", True)
    file.write_text("machine api.wandb.ai login user password sesame\n")
    [known] = software.wandb_login(environment)
    [other] = software.wandb_login(environment | {"WANDB_BASE_URL": "https://own.example"})
    [named] = software.wandb_login({"WANDB_API_KEY": "sesame"})
    file.write_text("machine\n")
    [damaged] = software.wandb_login(environment)
    assert known.detail == f"logged in at api.wandb.ai, by {file}"
    assert "not logged in at own.example" in other.detail
    assert named.detail == "a key for api.wandb.ai in WANDB_API_KEY"
    assert damaged.state == "warn"
    assert "sesame" not in f"{known}{other}{named}{damaged}"


@pytest.mark.parametrize("environment", [{"WANDB_BASE_URL": "http://["}, {"NETRC": "~nobody-of-this-name/netrc"}])
def test_settings_of_wandb_that_mean_nothing_are_told(environment: dict[str, str]) -> None:
    [found] = software.wandb_login(environment)
    assert found.subject == "W&B"


def test_a_host_with_a_weaker_sandbox_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(backend: str, waive: Any) -> Any:
        raise SandboxUnavailable(f"{backend}: no")

    monkeypatch.setattr(isolation, "open_sandbox", none)
    [finding] = isolation.sandboxes()
    assert (finding.state, finding.detail) == ("fail", "none works: bubblewrap: no; landlock: no")

    class Weaker:
        unenforced = frozenset({"disk"})
        __enter__ = lambda self: self  # noqa: E731
        __exit__ = lambda *_: None  # noqa: E731

    monkeypatch.setattr(
        isolation, "open_sandbox", lambda name, waive: Weaker() if name != "bubblewrap" else none(name, ())
    )
    monkeypatch.setattr(isolation, "means", lambda _: "by magic")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    weak, _, compiler = isolation.sandboxes()
    assert weak.detail == "landlock enforces 9 of 10 limits, without disk"
    assert weak.remedy.endswith("`sandbox.waive: [disk]`")
    assert compiler.state == "warn"


@pytest.mark.parametrize(
    ("findings", "code"), [([ok("a", "is")], 0), ([warn("a", "is", "mend")], 0), ([fail("a", "[b]", "mend")], 1)]
)
def test_the_page_and_its_exit_code(monkeypatch: pytest.MonkeyPatch, findings: list[Any], code: int) -> None:
    monkeypatch.setattr("selfplay.preflight.doctor.examine_machine", lambda folder: findings)
    page, plain = CliRunner().invoke(app, ["doctor"]), CliRunner().invoke(app, ["doctor", "--json"])
    assert (page.exit_code, plain.exit_code) == (code, code)
    assert json.loads(plain.stdout) == [asdict(finding) for finding in findings]
    assert findings[0].detail in page.stdout
    assert findings[0].remedy in page.stdout


def test_the_worst_of_findings_counts() -> None:
    assert worst([]) is State.OK
    assert worst([ok("a", ""), fail("b", "", ""), warn("c", "", "")]) is State.FAIL


def test_extras_are_told_from_what_is_always_needed() -> None:
    texts = ["rich", "vllm>=1; extra == 'vllm'", "=broken"]
    assert list(software._requirements(texts, "")) == [Requirement("rich")]
    assert [one.name for one in software._requirements(texts, "vllm")] == ["vllm"]


@pytest.mark.usefixtures("needs_sandbox")
def test_the_whole_page_is_made_without_torch() -> None:
    code = (
        "import sys; from pathlib import Path; from selfplay.preflight.doctor import examine_machine\n"
        "found = examine_machine(Path()); print(len({one.subject for one in found}))\n"
        "print([name for name in ('torch', 'transformers', 'wandb', 'vllm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    count, heavy = done.stdout.splitlines()
    assert int(count) >= 10
    assert heavy == "[]"
