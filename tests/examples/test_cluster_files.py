"""The files for clusters: the script of SLURM is run with stand-ins for its commands, that of Kubernetes is read."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfplay.config import errors
from selfplay.config.load import load_recipe

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SCRIPT = EXAMPLES / "slurm" / "one_node.sbatch"
STOPS_IN_ORDER = """#!/usr/bin/env bash
echo "selfplay $*" >> "$HEARD"
trap 'exit 143' TERM
while :; do sleep 0.05; done
"""


def command(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(text)
    file.chmod(0o755)


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """The environment of a job, whose commands write down how they were called."""
    command(tmp_path, "scontrol", '#!/usr/bin/env bash\necho "scontrol $*" >> "$HEARD"\n')
    heard = str(tmp_path / "heard")
    return dict(os.environ) | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HEARD": heard, "SLURM_JOB_ID": "7"}


def test_a_job_that_is_stopped_before_its_limit_is_queued_again(tmp_path: Path, cluster: dict[str, str]) -> None:
    command(tmp_path, "selfplay", STOPS_IN_ORDER)
    job = subprocess.Popen(["bash", str(SCRIPT), "a recipe.yaml", "runs/mine", "seed=1"], env=cluster)
    heard, until = tmp_path / "heard", time.monotonic() + 60
    while not heard.exists() and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.1)
    job.send_signal(signal.SIGTERM)
    assert job.wait(60) == 143
    assert heard.read_text().splitlines() == [
        "selfplay run a recipe.yaml --run-dir runs/mine seed=1",
        "scontrol requeue 7",
    ]


@pytest.mark.parametrize("code", [0, errors.FAILED, errors.UNUSABLE, errors.SPENT])
def test_a_job_that_ends_by_itself_is_not(tmp_path: Path, cluster: dict[str, str], code: int) -> None:
    command(tmp_path, "selfplay", f"#!/usr/bin/env bash\nexit {code}\n")
    ended = subprocess.run(["bash", str(SCRIPT), "recipe.yaml", "runs/mine"], env=cluster, check=False)
    assert ended.returncode == code
    assert not (tmp_path / "heard").exists()


def test_the_script_asks_slurm_for_one_node_and_a_signal() -> None:
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(\S*)$", SCRIPT.read_text(), re.MULTILINE))
    assert asked["nodes"] == "1"
    assert asked["signal"].startswith("B:TERM@")
    assert "requeue" in asked


def manifests() -> dict[str, Any]:
    text = (EXAMPLES / "kubernetes" / "run.yaml").read_text()
    return {one["kind"]: one for one in yaml.safe_load_all(text)}


def test_the_manifests_name_one_another(tmp_path: Path) -> None:
    found = manifests()
    assert set(found) == {"ConfigMap", "PersistentVolumeClaim", "Job", "NetworkPolicy"}
    pod = found["Job"]["spec"]["template"]
    [trainer], [doctor] = pod["spec"]["containers"], pod["spec"]["initContainers"]
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for container in (trainer, doctor):
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
    assert volumes["runs"]["persistentVolumeClaim"]["claimName"] == found["PersistentVolumeClaim"]["metadata"]["name"]
    assert volumes["recipe"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    labels = found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
    assert labels.items() <= pod["metadata"]["labels"].items()
    [name] = found["ConfigMap"]["data"]
    assert f"/recipe/{name}" in trainer["args"]
    file = tmp_path / name
    file.write_text(found["ConfigMap"]["data"][name])
    assert load_recipe(file).sandbox.waive == ("disk",)


def test_the_job_gives_up_where_the_run_does() -> None:
    rules = manifests()["Job"]["spec"]["podFailurePolicy"]["rules"]
    codes = [rule["onExitCodes"]["values"] for rule in rules if rule["action"] == "FailJob"]
    assert codes == [[errors.UNUSABLE, errors.BROKEN, errors.SPENT]]
    # Kubernetes takes such a policy only where pods are not started again by themselves.
    assert manifests()["Job"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_the_index_names_every_example() -> None:
    text = (EXAMPLES / "README.md").read_text()
    named = {target.split("/")[0] for target in re.findall(r"\]\((?!\.\.)([^)]+)\)", text)}
    here = {path.name for path in EXAMPLES.iterdir() if not path.name.startswith(("_", "README", "."))}
    assert named == here
