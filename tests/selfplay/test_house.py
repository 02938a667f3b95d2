"""Imports run downward only, and the light modules stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

FLOORS: list[tuple[str, ...]] = [
    ("sandbox",),
    ("verifiers",),
    (
        "selfplay.settings",
        "selfplay.seeding",
        "selfplay.installation",
        "selfplay.ragged",
        "selfplay.system_errors",
        "selfplay.run_files",
    ),
    (
        "selfplay.annotation_settings",
        "selfplay.em_settings",
        "selfplay.sandbox_settings",
        "selfplay.model_settings",
        "selfplay.seed_settings",
        "selfplay.tracking_settings",
    ),
    (
        "selfplay.curation_settings",
        "selfplay.labelling_settings",
        "selfplay.synthesis_settings",
        "selfplay.teacher_settings",
    ),
    ("selfplay.training_settings",),
    ("selfplay.config", "selfplay.seed_rows"),
    ("selfplay.recipe_file", "selfplay.records", "selfplay.tables", "selfplay.formats", "selfplay.devices"),
    ("selfplay.run", "selfplay.store", "selfplay.workers", "selfplay.quickstart"),
    (
        "selfplay.tracking",
        "selfplay.engines",
        "selfplay.clock",
        "selfplay.plan",
        "selfplay.progress_file",
        "selfplay.prompt_rounds",
        "selfplay.stopping",
    ),
    (
        "selfplay.judging",
        "selfplay.command_line",
        "selfplay.concepts",
        "selfplay.stage_figures",
        "selfplay.run_status",
        "selfplay.rollout_lookup",
    ),
    ("selfplay.trainers",),
    (
        "selfplay.context",
        "selfplay.terminal",
        "selfplay.plan_view",
        "selfplay.model_commands",
        "selfplay.sandbox_trials",
        "selfplay.serve_command",
        "selfplay.track_commands",
        "selfplay.verifier_commands",
    ),
    ("selfplay.curation", "selfplay.sandbox_commands", "selfplay.verdict_commands"),
    (
        "selfplay.annotation_view",
        "selfplay.rollout_view",
        "selfplay.status_view",
        "selfplay.seed_problems",
        "selfplay.base_model",
        "selfplay.synthesis",
        "selfplay.labelling",
        "selfplay.training",
        "selfplay.evaluation",
        "selfplay.report",
    ),
    ("selfplay.audience", "selfplay.rollout_commands", "selfplay.rounds_summary", "selfplay.given_prompts"),
    ("selfplay.summary", "selfplay.preflight", "selfplay.export", "selfplay.prompt_lookup", "selfplay.em_ablation"),
    ("selfplay.em_ablation_figures", "selfplay.em_ablation_plot", "selfplay.story"),
    ("selfplay.self_play",),
    ("selfplay.pipeline", "selfplay.prompt_checks", "selfplay.reward_checks"),
    ("selfplay.launch", "selfplay.prompt_commands", "selfplay.check_command", "selfplay.status_commands"),
    ("selfplay.run_commands",),
    ("selfplay.em_ablation_command",),
    ("selfplay.cli",),
    ("selfplay.__main__",),
]
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return next((name for n in (2, 1) if (name := ".".join(parts[:n])) in HEIGHT), None)


def imports_of(file: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return [name for name in found if name.split(".")[0] in ("selfplay", "verifiers", "sandbox")]


def product_files() -> list[Path]:
    return [f for package in ("selfplay", "verifiers", "sandbox") for f in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("file", product_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_below_it(file: Path) -> None:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    room = room_of(module)
    if room is None:
        assert module == "selfplay", f"{module} stands on no floor: name it in FLOORS and in docs/architecture.md"
        return
    for imported in imports_of(file):
        other = room_of(imported)
        if other is None or other == room:
            continue
        assert HEIGHT[other] < HEIGHT[room], f"{module} imports {imported}, which is not below it"


@pytest.mark.parametrize(
    "module", ["selfplay.config", "selfplay.recipe_file", "selfplay.cli", "selfplay.launch", "verifiers.registry"]
)
def test_light_modules_load_no_heavy_library(module: str) -> None:
    heavy = ["torch", "transformers", "trl", "datasets", "wandb", "sympy"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_loads_no_torch() -> None:
    code = (
        "import sys\nfrom selfplay.cli import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\nprint('torch' in sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip().endswith("False")
    assert "run" in done.stdout


def test_the_packages_that_share_a_name_with_others_stay_hollow() -> None:
    for package in ("verifiers", "sandbox"):
        body = ast.parse((ROOT / package / "__init__.py").read_text()).body
        names = [node.targets[0].id for node in body if isinstance(node, ast.Assign)]  # type: ignore[attr-defined]
        assert names == ["__version__"]
        assert len(body) == 2
