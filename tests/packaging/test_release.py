"""What builds and publishes is well formed, and says the same as the rest: workflows, Dockerfile, citation."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from selfplay import __version__
from tests.packaging.conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(file: Any) -> dict[Any, Any]:
    content: dict[Any, Any] = yaml.safe_load(file.read_text())
    return content


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_have_jobs_with_limits_and_few_rights(file: Any) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow[True], "YAML reads `on` as true"
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert all(("uses" in step) != ("run" in step) for step in job["steps"])
        assert set(job.get("needs", "").split()) <= set(workflow["jobs"])


def test_ci_runs_what_is_run_here() -> None:
    jobs = read(ROOT / ".github/workflows/ci.yml")["jobs"]
    assert jobs["test"]["steps"][-1] == {"run": ".ci/run"}
    assert jobs["dockerfile"]["steps"][-1]["run"].endswith("hadolint Dockerfile")
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_a_release_is_checked_and_published_without_a_token() -> None:
    jobs = read(ROOT / ".github/workflows/release.yml")["jobs"]
    runs = [step.get("run", "") for step in jobs["build"]["steps"]]
    assert "python -m build" in runs
    assert any("twine check --strict" in run for run in runs)
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["needs"] == "build"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text()


def test_the_dockerfile_has_both_targets_and_copies_what_is_there() -> None:
    text = (ROOT / "Dockerfile").read_text()
    stages = dict(re.findall(r"^FROM (\S+) AS (\w+)$", text, re.M)[::-1])
    assert set(re.findall(r" AS (\w+)$", text, re.M)) == {"base", "cpu", "cuda"}
    assert stages
    for sources in re.findall(r"^COPY (.+) \S+$", text, re.M):
        assert all((ROOT / source).exists() for source in sources.split())
    assert text.count("USER 1000") == text.count("--uid 1000 runner") == 2


def test_the_citation_names_this_version() -> None:
    assert read(ROOT / "CITATION.cff")["version"] == __version__
