"""Beside the index's other distribution named `verifiers`, in one site-packages: each works, and outlives the other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.packaging.conftest import Environment

pytestmark = pytest.mark.long

OURS = """
import json
from sandbox.model import Limits, Program
from sandbox.open import open_sandbox
from selfplay.preflight.doctor.installation import clash
from verifiers.mathematics import MathVerifier
from verifiers.model import Task, Test
from verifiers.programs import CodeVerifier

math, code = MathVerifier(workers=1), CodeVerifier()
doubled = Task(tests=(Test("2\\n", "4\\n"),))
found = {
    "math": [math.verify(Task(answer="(x+1)^2"), text).passed for text in (r"\\boxed{x^2+2x+1}", r"\\boxed{x^2}")],
    "code": [code.verify(doubled, f"```python\\nprint({source})\\n```").passed for source in ("2 * int(input())", "5")],
    "clash": clash(),
}
math.close()
code.close()
with open_sandbox() as sandbox:
    found["sandbox"] = sandbox.run(Program("print(6 * 7)"), [b""], Limits())[0].stdout.decode()
print("ours", json.dumps(found))
"""
WELL = {"math": [True, False], "code": [True, False], "clash": "", "sandbox": "42\n"}
THEIRS = {
    "0.1.14": "import verifiers as vf; print('theirs', vf.__version__, vf.extract_boxed_answer('so \\\\boxed{7}'))",
    "0.4.0": "import verifiers, verifiers.v1 as vf; "
    "print('theirs', verifiers.__version__, vf.AssistantMessage(content='7').content)",
}
NO_INDEX = re.compile(r"NewConnectionError|Max retries exceeded|Temporary failure in name resolution|timed out", re.I)


@pytest.fixture(scope="module", params=sorted(THEIRS))
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A version of the other distribution, and its real wheel."""
    folder = tmp_path_factory.mktemp("theirs")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
    done = subprocess.run([*command, f"verifiers=={request.param}"], capture_output=True, text=True, check=False)
    if done.returncode and NO_INDEX.search(done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    return request.param, wheel


def install(environment: Environment, wheel: Path) -> None:
    environment.pip("install", "--quiet", "--no-deps", "--ignore-installed", wheel)


def uninstall(environment: Environment, name: str) -> None:
    environment.pip("uninstall", "--quiet", "--yes", name)


def check_ours(environment: Environment) -> None:
    done = environment.run(OURS)
    said = [line for line in done.stdout.splitlines() if line.startswith("ours ")]
    found: dict[str, Any] = json.loads(said[0].removeprefix("ours ")) if said else {}
    assert found == WELL, done.stdout + done.stderr
    command = environment.run("from selfplay.cli.app import main; main()", "--help")
    assert command.returncode == 0, command.stderr


def check_theirs(environment: Environment, version: str) -> None:
    done = environment.run(THEIRS[version])
    assert f"theirs {version} 7" in done.stdout.splitlines(), done.stdout + done.stderr


@pytest.mark.usefixtures("needs_sandbox")
@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
def test_each_works_beside_the_other_and_outlives_it(
    wheel: Path, theirs: tuple[str, Path], ours_first: bool, make_environment: Callable[[], Environment]
) -> None:
    version, their_wheel = theirs
    environment = make_environment()
    if version != "0.1.14":  # which needs nothing for its top-level package that we don't need, too
        environment.pip("install", "--quiet", f"verifiers=={version}")
        uninstall(environment, "verifiers")
    for one in (wheel, their_wheel) if ours_first else (their_wheel, wheel):
        install(environment, one)
    check_ours(environment)
    check_theirs(environment, version)

    uninstall(environment, "verifiers")
    check_ours(environment)
    assert environment.run("import verifiers; print(verifiers.__file__)").stdout == "None\n"
    install(environment, their_wheel)
    check_ours(environment)

    uninstall(environment, "promptcot")
    check_theirs(environment, version)
    assert "ModuleNotFoundError" in environment.run("import verifiers.mathematics").stderr
    install(environment, wheel)
    check_ours(environment)
    check_theirs(environment, version)

    found = environment.run("import verifiers.model; print(verifiers.model.__file__)")
    Path(found.stdout.strip()).write_text("model = None\n")
    with (environment.site / f"verifiers-{version}.dist-info" / "RECORD").open("a") as record:
        record.write("verifiers/model.py,,13\n")
    said = environment.run("from selfplay.preflight.doctor.installation import clash; print(clash())").stdout
    assert "verifiers/model.py: was replaced by the distribution verifiers; run `pip install --force-reinstall" in said
    uninstall(environment, "verifiers")
    said = environment.run("from selfplay.preflight.doctor.installation import clash; print(clash())").stdout
    assert "verifiers/model.py: is missing" in said
    install(environment, wheel)
    check_ours(environment)
