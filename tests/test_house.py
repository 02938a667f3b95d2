"""Rooms are folders, imports run downward only, nothing is crowded, and the light modules stay light."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from handbook.__main__ import MADE

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("selfplay", "verifiers", "sandbox")
ARCHITECTURE = "docs/explanation/architecture.md"

FLOORS: list[tuple[str, ...]] = [
    ("sandbox",),
    ("verifiers",),
    ("selfplay.config",),
    ("selfplay.run", "selfplay.formats"),
    ("selfplay.compute", "selfplay.planning", "selfplay.quickstart", "selfplay.tracking"),
    ("selfplay.engines", "selfplay.watching"),
    ("selfplay.rollouts", "selfplay.report"),
    ("selfplay.trl_trainers",),
    ("selfplay.stage",),
    ("selfplay.seeds",),
    ("selfplay.concepts", "selfplay.suites"),
    ("selfplay.curation", "selfplay.synthesis"),
    ("selfplay.labelling", "selfplay.training", "selfplay.evaluation"),
    ("selfplay.preflight", "selfplay.export"),
    ("selfplay.pipeline",),
    ("selfplay.cli",),
    ("selfplay.__main__",),
]
HEIGHT = {room: height for height, floor in enumerate(FLOORS) for room in floor}

MOST_FLOORS = 20
MOST_MODULES = 20
MOST_AT_THE_TOP = {"selfplay": 4, "verifiers": 10, "sandbox": 10}


def room_of(module: str) -> str | None:
    parts = module.split(".")
    return next((name for n in (2, 1) if (name := ".".join(parts[:n])) in HEIGHT), None)


def product_files() -> list[Path]:
    return [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]


def module_of(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(file): file for file in product_files()}


def imports_of(file: Path) -> set[str]:
    """The modules of the three packages that a file imports, also inside functions and for types alone."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def folder_of(module: str) -> str:
    """A module's folder; modules at the top of a package, and the sub-packages' own files, stand for themselves."""
    return module if module.count(".") < 2 else module.rpartition(".")[0]


@pytest.mark.parametrize("file", product_files(), ids=lambda file: str(file.relative_to(ROOT)))
def test_a_room_imports_only_from_floors_below_it(file: Path) -> None:
    module = module_of(file)
    room = room_of(module)
    if room is None:
        assert module == "selfplay", f"{module} stands on no floor: name it in FLOORS and in {ARCHITECTURE}"
        return
    for imported in imports_of(file):
        other = room_of(imported)
        if other is None or other == room:
            continue
        assert HEIGHT[other] < HEIGHT[room], f"{module} imports {imported}, which is not below it"


def test_every_room_is_a_folder_on_one_floor() -> None:
    folders = {f"selfplay.{path.name}" for path in (ROOT / "selfplay").iterdir() if (path / "__init__.py").exists()}
    modules = {"selfplay.formats", "selfplay.__main__"}
    rooms = [room for floor in FLOORS for room in floor]
    assert sorted(rooms) == sorted(folders | modules | {"verifiers", "sandbox"})
    assert len(FLOORS) <= MOST_FLOORS


@pytest.mark.parametrize("grain", [str, folder_of], ids=["files", "folders"])
def test_nothing_imports_in_a_circle(grain: type[str]) -> None:
    graph: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        graph.setdefault(grain(module), set()).update({grain(name) for name in imports_of(file)} - {grain(module)})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_every_page_that_is_named_is_there() -> None:
    """In code, recipes, tests and pages; links inside `docs/` are held by tests/docs."""
    named = re.compile(r"\bdocs/[\w/-]+\.(?:md|svg|png)")
    places = [ROOT / place for place in (*PACKAGES, "configs", "tests", "benchmarks", "examples", "docs")]
    files = [file for place in places for file in place.rglob("*") if file.suffix in {".py", ".md", ".yaml", ".json"}]
    pages = {(file, page) for file in [*files, *ROOT.glob("*.md")] for page in named.findall(file.read_text())}
    assert [f"{file.relative_to(ROOT)}: {page}" for file, page in sorted(pages) if not (ROOT / page).exists()] == []


def test_every_file_of_code_that_is_explained_is_there() -> None:
    """Tutorials and how-tos name files of the reader's own, too."""
    code = [
        f"/{file.relative_to(ROOT)}"
        for place in (*PACKAGES, "tests", "benchmarks")
        for file in ROOT.glob(f"{place}/**/*.py")
    ]
    pages = [page for shelf in ("explanation", "reference", "results") for page in (ROOT / "docs" / shelf).glob("*.md")]
    named = {(page.name, name) for page in pages for name in re.findall(r"`([\w/]+\.py)`", page.read_text())}
    assert [one for one in sorted(named) if not any(file.endswith(f"/{one[1]}") for file in code)] == []


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    """As `make docs` demands, which takes mkdocs."""
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    named = set(re.findall(r"[\w/-]+\.md", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))
    assert pages - named == set()


def test_pages_made_of_the_code_are_not_behind_it() -> None:
    """Fields, commands, tables, functions, metrics."""
    behind = [name for name, make in MADE.items() if (ROOT / "docs" / name).read_text(encoding="utf-8") != make()]
    assert behind == [], "`python -m handbook` makes them anew"


def test_no_folder_is_crowded() -> None:
    modules = Counter(str(file.parent.relative_to(ROOT)) for file in product_files() if file.name != "__init__.py")
    crowded = {folder: n for folder, n in modules.items() if n > MOST_AT_THE_TOP.get(folder, MOST_MODULES)}
    assert not crowded


def test_child_processes_have_one_owner() -> None:
    """Above the sandbox, which has programs that are not ours to run, all are made of `sandbox.process`."""
    starts = re.compile(
        r"subprocess\.(Popen|run|call|check_\w+)\b|os\.(popen|posix_spawn)|(import|from) multiprocessing"
    )
    above = [file for file in product_files() if file.relative_to(ROOT).parts[0] != "sandbox"]
    assert [str(file.relative_to(ROOT)) for file in above if starts.search(file.read_text())] == []


BACKTRACKING = {
    "verifiers.patterns.linear": "the names of flags",
    "verifiers.patterns.syntax": "Python's own parser of patterns, which sees no text",
    "selfplay.config.annotation": "names of environment variables in a recipe",
    "selfplay.config.values.secrets": "whatever a run writes: shapes of bounded length, pumped by test_secrets",
    "verifiers.untrusted.yaml_text": "PyYAML's table of numbers, for recipes",
    "selfplay.cli.verifiers": "arguments of the command line",
    "selfplay.quickstart.procedural": "expressions that a generator wrote",
    "selfplay.tracking.tracker": "names of tables, of our code and the recipe",
    "selfplay.tracking.wandb_sink": "the name of the run directory",
}
"""The modules that may import Python's `re`, and what its patterns see there. Text of models, data sets, endpoints and
plug-ins is for `verifiers.patterns`, or a scanner: a backtracking engine can be kept busy for ever by such a text."""


def test_no_backtracking_engine_sees_untrusted_text() -> None:
    importing = set()
    for module, file in MODULES.items():
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            if {name.split(".")[0] for name in names} & {"re", "regex", "sre_parse", "sre_compile", "fnmatch"}:
                importing.add(module)
    assert importing == set(BACKTRACKING)


def test_every_room_says_what_it_is() -> None:
    for file in product_files():
        if file.name == "__init__.py":
            assert ast.get_docstring(ast.parse(file.read_text())), f"{file.relative_to(ROOT)} has no docstring"


@pytest.mark.parametrize("package", ["verifiers", "sandbox"])
def test_the_packages_that_share_a_name_with_others_own_no_file_of_theirs(package: str) -> None:
    assert not (ROOT / package / "__init__.py").exists()
    assert not (ROOT / package / "py.typed").exists()


@pytest.mark.parametrize(
    "module",
    [
        *("selfplay.config.recipe", "selfplay.config.load", "selfplay.cli.app", "selfplay.pipeline.launch"),
        "verifiers.registry",
    ],
)
def test_light_modules_load_no_heavy_library(module: str) -> None:
    heavy = ["torch", "transformers", "trl", "datasets", "wandb", "sympy", "ray"]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom selfplay.cli.app import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'pyarrow', 'numpy', 'scipy'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stderr.strip() == "[]"
    assert "run" in done.stdout


def test_no_class_name_stands_twice() -> None:
    names = Counter(
        node.name
        for file in product_files()
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_docstrings_say_what_a_thing_is() -> None:
    """Not "What it does": a reader looks for the thing."""
    opening = '"""' + "What "
    assert [str(file.relative_to(ROOT)) for file in product_files() if opening in file.read_text()] == []


def test_few_files_are_crumbs() -> None:
    short = [file for file in product_files() if file.name != "__init__.py" and file.read_text().count("\n") < 50]
    assert len(short) <= 20, sorted(str(file.relative_to(ROOT)) for file in short)


def test_rollouts_and_sampling_are_made_in_few_places() -> None:
    calls = Counter(
        node.func.id
        for file in product_files()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    )
    assert calls["Rollout"] <= 3
    # Of a recipe's settings `Sampling.of` makes it, and nothing else does.
    assert calls["Sampling"] == 0


def test_no_code_reads_a_stage_off_its_name() -> None:
    kinds = ("em_", "selfplay_", "evaluation_", "selection_", "synthesis_", "labelling_", "feedback_", "curation_")
    cut = {"startswith", "removeprefix", "partition", "rpartition", "split"}
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno}"
        for file in product_files()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in cut
        for argument in node.args
        if isinstance(argument, ast.Constant) and argument.value in kinds
    ]
    assert found == []
