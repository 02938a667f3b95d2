"""Files by which a cluster runs a recipe over several nodes: a script for SLURM, or manifests for KubeRay."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import yaml

from selfplay.config.errors import UserError
from selfplay.config.recipe import Recipe
from selfplay.planning.machine import Machine

LONGEST_NAME = 40
"""Characters of a name in Kubernetes, to which KubeRay adds its own."""
_SLURM = """#!/usr/bin/env bash
# {name} on {nodes} nodes with {gpus} GPUs each, by SLURM; queued again until it is finished:
#
#   sbatch {file}
#
# Written by `selfplay plan --slurm`. Look at the lines marked CHECK: they depend on your cluster. The run directory
# must lie on storage that all nodes mount at the same path; every node needs the same packages, `promptcot[ray]` among
# them.
#SBATCH --job-name={name}
#SBATCH --nodes={nodes}
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node={gpus}
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH --time=24:00:00  # CHECK
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log

set -uo pipefail
# Models are downloaded on a node with network; compute nodes read the cache.
export HF_HUB_OFFLINE=${{HF_HUB_OFFLINE:-1}}
# Programs of models are run in here: local disk, not the cluster's.
export TMPDIR=${{SLURM_TMPDIR:-${{TMPDIR:-/tmp}}}}
# Whoever reaches Ray's ports without this token is refused; it is not on any command line.
export RAY_AUTH_MODE=token RAY_AUTH_TOKEN
RAY_AUTH_TOKEN=$(od -An -N32 -tx1 /dev/urandom | tr -d ' \\n')
# Workers are as important as anything else on a node; Ray's own default puts them behind.
export RAY_USAGE_STATS_ENABLED=0 RAY_worker_niceness=0

# CHECK: the address by which the other nodes reach this one.
address=$(hostname --ip-address | awk '{{print $1}}')
port=6379
ray start --head --node-ip-address="$address" --port=$port --include-dashboard=false --block &
if [ "$SLURM_JOB_NUM_NODES" -gt 1 ]; then
  srun --no-kill --kill-on-bad-exit=0 --nodes=$((SLURM_JOB_NUM_NODES - 1)) --ntasks-per-node=1 \\
    --exclude="$SLURMD_NODENAME" ray start --address="$address:$port" --block &
fi

selfplay run {recipe} --run-dir {run} compute.executor=ray compute.ray.address="$address:$port" \\
  compute.workers={workers} {overrides} &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM
# The first wait ends with the signal, the second one with the run.
wait "$child"
code=$?
while kill -0 "$child" 2>/dev/null; do
  wait "$child"
  code=$?
done
ray stop >/dev/null 2>&1

# 143: it was stopped in order; 1: it stopped for want of a node, or the like. In both cases the same command goes on.
if [ "$code" -eq 143 ]; then
  echo "stopped before the time limit; queued again"
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
_VARIABLES = {
    "TMPDIR": "/scratch",
    "HOME": "/runs/home",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_worker_niceness": "0",
}
_IMAGE = "registry.example.org/promptcot:cuda"


def slurm_script(recipe: Recipe, file: Path, overrides: Sequence[str], machine: Machine, script: Path) -> str:
    """A batch script that starts Ray on all nodes of its allocation and runs the recipe there.

    Args:
        recipe: with the overrides.
        file: the recipe's.
        overrides: as the command line has them.
        machine: the nodes.
        script: where it will lie.

    Raises:
        UserError: GPUs of a node are no multiple of what an engine takes.
    """
    return _SLURM.format(
        name=recipe.name,
        nodes=machine.nodes,
        gpus=machine.devices // machine.nodes,
        file=shlex.quote(str(script)),
        recipe=shlex.quote(str(file)),
        run=shlex.quote(f"runs/{recipe.name}"),
        workers=workers_on(recipe, machine),
        overrides=" ".join(map(shlex.quote, overrides)),
    )


def kuberay_manifests(recipe: Recipe, machine: Machine) -> str:
    """A recipe, storage, and a RayJob with its cluster, as YAML; Ray asks every caller for a token.

    Raises:
        UserError: GPUs of a node are no multiple of what an engine takes.
    """
    name = kubernetes_name(recipe.name)
    settings = yaml.safe_dump(recipe.model_dump(mode="json", exclude_unset=True), sort_keys=False, allow_unicode=True)
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": f"{name}-recipe"},
        "data": {"recipe.yaml": settings},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": f"{name}-runs"},
        # All nodes write: a file system such as NFS, CephFS or Lustre, and no disk of one node.
        "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "500Gi"}}},
    }
    each = machine.devices // machine.nodes
    run = (
        f"selfplay run /recipe/recipe.yaml --run-dir /runs/{name} compute.executor=ray compute.ray.address=auto "
        f"compute.workers={workers_on(recipe, machine)}"
    )
    job = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": name},
        "spec": {
            "entrypoint": run,
            # The operator asks the head's dashboard, which is for it and for the pods of the run alone.
            "submissionMode": "HTTPMode",
            "backoffLimit": 3,
            "shutdownAfterJobFinishes": True,
            "rayClusterSpec": {
                "rayVersion": "2.60.0",
                "authOptions": {"mode": "token"},
                "headGroupSpec": {
                    # It holds the run's driver alone.
                    "rayStartParams": {"num-cpus": "0", "num-gpus": "0"},
                    "template": _pod("ray-head", name, {"cpu": "4", "memory": "32Gi"}),
                },
                "workerGroupSpecs": [
                    {
                        "groupName": "nodes",
                        "replicas": machine.nodes,
                        "minReplicas": machine.nodes,
                        "maxReplicas": machine.nodes,
                        "rayStartParams": {},
                        "template": _pod(
                            "ray-worker",
                            name,
                            {"cpu": str(8 * each), "memory": f"{64 * each}Gi", "nvidia.com/gpu": each},
                        ),
                    }
                ],
            },
        },
    }
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": {
            "podSelector": {"matchLabels": {"app": name}},
            "policyTypes": ["Ingress"],
            # Ray, Gloo and NCCL are for the pods of the run alone, and for the operator, which submits it.
            "ingress": [
                {"from": [{"podSelector": {"matchLabels": {"app": name}}}]},
                {
                    "from": [
                        {
                            "namespaceSelector": {},
                            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "kuberay-operator"}},
                        }
                    ]
                },
            ],
        },
    }
    head = (
        f"# {recipe.name} on {machine.nodes} nodes with {each} GPUs each, by KubeRay 1.5.1 or newer:\n#\n"
        "#   kubectl apply -f FILE\n#\n"
        "# Written by `selfplay plan --kuberay`. Put in your image, storage class, and what a node has of CPUs and\n"
        "# memory; files that the recipe names must lie on the volume. docs/how-to/several-machines.md says more.\n"
    )
    written = yaml.dump_all([config, claim, job, policy], Dumper=_Manifests, sort_keys=False, allow_unicode=True)
    return head + str(written)


class _Manifests(yaml.SafeDumper):
    """Writes texts of several lines as they are, and nothing by reference."""

    def ignore_aliases(self, data: object) -> bool:
        """Manifests are for people, too."""
        return True


def _as_it_is(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Manifests.add_representer(str, _as_it_is)


def workers_on(recipe: Recipe, machine: Machine) -> int:
    """The workers of a recipe on some nodes, each on one of them.

    Raises:
        UserError: an engine takes more GPUs than a node has.
    """
    ranks, each = recipe.engine.ranks, machine.devices // machine.nodes
    if ranks > each:
        raise UserError(
            f"engine.args: an engine takes {ranks} GPUs, and a node has {each}; a model is spread over GPUs of one "
            "node: lower tensor_parallel_size or pipeline_parallel_size"
        )
    return recipe.compute.workers or each // ranks * machine.nodes


def kubernetes_name(name: str) -> str:
    """A name as Kubernetes takes it: small letters, digits and hyphens."""
    letters = (letter if letter.isascii() and letter.isalnum() else "-" for letter in name.lower())
    return "".join(letters).strip("-")[:LONGEST_NAME].strip("-") or "run"


def _pod(container: str, name: str, limits: dict[str, object]) -> dict[str, object]:
    """The template of a pod: as an ordinary user, with the recipe, the shared volume, and local disk for programs."""
    return {
        "metadata": {"labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 300,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": container,
                    "image": _IMAGE,
                    "env": [{"name": variable, "value": value} for variable, value in _VARIABLES.items()],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "resources": {"limits": limits},
                    "volumeMounts": [
                        {"name": "runs", "mountPath": "/runs"},
                        {"name": "recipe", "mountPath": "/recipe"},
                        {"name": "scratch", "mountPath": "/scratch"},
                        {"name": "shared-memory", "mountPath": "/dev/shm"},
                    ],
                }
            ],
            "volumes": [
                {"name": "runs", "persistentVolumeClaim": {"claimName": f"{name}-runs"}},
                {"name": "recipe", "configMap": {"name": f"{name}-recipe"}},
                {"name": "scratch", "emptyDir": {"sizeLimit": "4Gi"}},
                {"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": "16Gi"}},
            ],
        },
    }
