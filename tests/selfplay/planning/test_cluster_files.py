"""What `selfplay plan` writes for clusters: the script runs with stand-ins for commands, manifests are read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfplay.config.errors import UserError
from selfplay.config.load import load_recipe
from selfplay.planning.cluster_files import kuberay_manifests, kubernetes_name, slurm_script, workers_on
from selfplay.planning.machine import of_nodes

CONFIGS = Path(__file__).parents[3] / "configs"
RECIPE = CONFIGS / "qwen3-30b-a3b.yaml"
NODES = of_nodes("2x8x80")
HEARD = '#!/usr/bin/env bash\necho "{name} $* token=${{#RAY_AUTH_TOKEN}}" >> "$HEARD"\nexit {code}\n'


@pytest.mark.parametrize("code", [0, 1, 143])
def test_the_script_starts_ray_on_all_nodes_and_the_run_on_the_first(tmp_path: Path, code: int) -> None:
    script, heard = tmp_path / "run.sbatch", tmp_path / "heard"
    file = tmp_path / "a recipe.yaml"
    script.write_text(slurm_script(load_recipe(RECIPE), file, ["seed=1", "name=a b"], NODES, script))
    for name in ("ray", "srun", "selfplay", "scontrol"):
        command = tmp_path / name
        command.write_text(HEARD.format(name=name, code=code if name == "selfplay" else 0))
        command.chmod(0o755)
    (tmp_path / "hostname").write_text("#!/usr/bin/env bash\necho 10.0.0.1 fe80::1\n")
    (tmp_path / "hostname").chmod(0o755)
    slurm = {"SLURM_JOB_NUM_NODES": "2", "SLURMD_NODENAME": "n1", "SLURM_JOB_ID": "7"}
    own = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HEARD": str(heard)}
    done = subprocess.run(
        ["bash", str(script)], env=os.environ | slurm | own, check=False, capture_output=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    said = heard.read_text().splitlines()
    # The token is in the environment of each, and on no command line.
    assert all(line.endswith(" token=64") for line in said)
    lines = {line.removesuffix(" token=64") for line in said}
    assert lines == {
        "ray start --head --node-ip-address=10.0.0.1 --port=6379 --include-dashboard=false --block",
        "srun --no-kill --kill-on-bad-exit=0 --nodes=1 --ntasks-per-node=1 --exclude=n1 ray start "
        "--address=10.0.0.1:6379 --block",
        f"selfplay run {file} --run-dir runs/qwen3-30b-a3b compute.executor=ray "
        "compute.ray.address=10.0.0.1:6379 compute.workers=8 seed=1 name=a b",
        "ray stop",
        *(["scontrol requeue 7"] if code == 143 else []),
    }


def test_a_path_of_several_lines_stays_within_its_comment() -> None:
    made = slurm_script(load_recipe(RECIPE), RECIPE, [], NODES, Path("a\ntouch here"))
    assert not [line for line in made.splitlines() if line.startswith("touch")]


def test_the_manifests_hold_the_recipe_and_name_one_another(tmp_path: Path) -> None:
    recipe = load_recipe(RECIPE, ["seed=7"])
    text = kuberay_manifests(recipe, NODES)
    found: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(text)}
    assert set(found) == {"ConfigMap", "PersistentVolumeClaim", "RayJob", "NetworkPolicy"}
    assert "&id" not in text
    [(name, settings)] = found["ConfigMap"]["data"].items()
    (tmp_path / name).write_text(settings)
    assert load_recipe(tmp_path / name) == recipe
    spec = found["RayJob"]["spec"]
    assert spec["entrypoint"].endswith("compute.executor=ray compute.ray.address=auto compute.workers=8")
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    [group] = cluster["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"]) == (2, 2)
    for template in (cluster["headGroupSpec"]["template"], group["template"]):
        volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
        [container] = template["spec"]["containers"]
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        claim = volumes["runs"]["persistentVolumeClaim"]["claimName"]
        assert claim == found["PersistentVolumeClaim"]["metadata"]["name"]
        assert volumes["recipe"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
        labels = found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]
        assert labels.items() <= template["metadata"]["labels"].items()
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert group["template"]["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == 8
    assert found["PersistentVolumeClaim"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_an_engine_larger_than_a_node_is_refused() -> None:
    recipe = load_recipe(RECIPE, ["engine.args.tensor_parallel_size=16"])
    with pytest.raises(UserError, match="an engine takes 16 GPUs, and a node has 8"):
        workers_on(recipe, NODES)


@pytest.mark.parametrize(
    ("name", "made"),
    [
        *(("Qwen3_4B.x", "qwen3-4b-x"), ("--", "run"), ("a" * 60, "a" * 40)),
        # KubeRay refuses a digit first since 1.4, and services always did.
        *(("4b-run", "run-4b-run"), ("7" * 60, "run-" + "7" * 36)),
    ],
)
def test_names_are_those_of_kubernetes(name: str, made: str) -> None:
    assert kubernetes_name(name) == made
