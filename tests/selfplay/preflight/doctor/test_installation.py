"""Another distribution that uses a package name of this project's is lived with, or found and explained."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from selfplay.preflight.doctor.installation import clash

ROOT = Path(__file__).resolve().parents[4]
START = "from selfplay.cli.app import main; main()"


def command(*folders: Path, code: str = START) -> subprocess.CompletedProcess[str]:
    """`selfplay --help` where Python looks into these folders first."""
    line = f"import sys; sys.path[:0] = {list(map(str, folders))}; {code}"
    return subprocess.run(
        [sys.executable, "-c", line, "--help"], capture_output=True, text=True, check=False, cwd=folders[0]
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder as pip leaves it: the three packages and a RECORD of their files."""
    site = tmp_path / "site"
    hidden = shutil.ignore_patterns("__pycache__")
    for package in ("selfplay", "verifiers", "sandbox"):
        shutil.copytree(ROOT / package, site / package, ignore=hidden)
    record = [f"{file.relative_to(site)},,{file.stat().st_size}" for file in sorted(site.rglob("*.py"))]
    _distribution(site, "promptcot", record)
    return site


def _distribution(site: Path, name: str, record: list[str]) -> None:
    folder = site / f"{name}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.1.0\n")
    (folder / "RECORD").write_text("\n".join(record) + "\n")


def test_this_checkout_is_clean() -> None:
    assert clash() == ""


def test_a_package_of_the_name_elsewhere_hides_ours_and_is_named_with_the_remedy(tmp_path: Path) -> None:
    stub = tmp_path / "verifiers"
    stub.mkdir()
    (stub / "__init__.py").write_text("")
    done = command(tmp_path, ROOT)
    assert done.returncode == 2
    assert f"`verifiers` is found in {stub}, which hides this project's in {ROOT}" in done.stderr
    assert "pip uninstall verifiers" in done.stderr


def test_a_distribution_whose_files_lie_beside_ours_is_lived_with(installed: Path) -> None:
    (installed / "verifiers" / "__init__.py").write_text("def load_environment(): return 'theirs'")
    _distribution(installed, "verifiers", ["verifiers/__init__.py,,"])
    done = command(installed)
    assert done.returncode == 0, done.stderr
    both = "import verifiers, verifiers.model; print(verifiers.load_environment(), verifiers.model.__file__)"
    assert command(installed, code=both).stdout.split() == ["theirs", str(installed / "verifiers" / "model.py")]


def test_a_file_that_another_distribution_replaced_is_named_with_its_owner(installed: Path) -> None:
    (installed / "verifiers" / "model.py").write_text("theirs = True")
    _distribution(installed, "others", ["verifiers/model.py,,13"])
    done = command(installed)
    assert done.returncode == 2
    assert f"{installed / 'verifiers' / 'model.py'}: was replaced by the distribution others" in done.stderr
    assert "pip install --force-reinstall --no-deps promptcot" in done.stderr


def test_a_file_that_an_uninstall_took_along_is_named(installed: Path) -> None:
    (installed / "sandbox" / "model.py").unlink()
    done = command(installed)
    assert done.returncode == 2
    assert f"{installed / 'sandbox' / 'model.py'}: is missing" in done.stderr
