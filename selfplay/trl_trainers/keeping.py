"""A model that was trained is kept twice: as engines read it, and as the next training needs it.

A step of 1e-6 is smaller than half the distance between two bfloat16 numbers of the size of a weight: rounded at the
end of each training, most of what was learnt is gone. So the weights that were trained stay as they are, in float32 or,
under LoRA, as an adapter, and the next training starts from them (`ModelRef.masters`). Engines get a view in the
recipe's number format, into which an adapter is merged; one that was trained on a quantised base is merged into the
base as it is on disk. What that did is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from selfplay.engines.base import MASTERS, ModelRef
from selfplay.trl_trainers.jobs import Placement, TrainerJob
from selfplay.trl_trainers.model_folder import write_fingerprint
from selfplay.trl_trainers.rounding import round_weights
from selfplay.trl_trainers.variants.experts import restore_routing
from selfplay.trl_trainers.variants.quantised import is_quantised

CHANGED, LOSS, LOSS_CHANGE = "view/changed", "view/heldout_loss", "view/heldout_loss_change"

Loss = Callable[[Any], float]
"""The held-out loss of a network, nats a token."""


def keep(network: Any, tokenizer: Any, job: TrainerJob, place: Placement, loss: Loss | None = None) -> dict[str, float]:
    """Writes a trained model as engines read it and, where that is less exact, its masters, with fingerprints.

    Args:
        network: a whole model, or one with peft's adapter `default`.
        tokenizer: its tokenizer.
        job: what was trained; its model is what the training started from.
        place: where to, and how weights are rounded.
        loss: measures what rounding costs, and the return from a quantised base to the whole one; else not asked.

    Returns:
        `view/changed`, the share of weights that engines see changed against the model before, where that was a whole
        one; and of what was rounded or quantised the held-out loss after, and its change on the way.
    """
    import torch

    from selfplay.engines.configurations import configuration
    from selfplay.engines.loading import load_adapted, number_format

    folder, dtype = place.output, number_format(job.model)
    adapted, quantised = hasattr(network, "peft_config"), is_quantised(network)
    base = job.model.trainable.base or job.model.trainable
    restore_routing(network.config, configuration(base).to_dict())
    folder.mkdir(parents=True, exist_ok=True)
    if adapted and job.keep_adapter:
        _write(network, tokenizer, folder, job.model.dtype, base)
        return _compared(network, lambda: load_adapted(folder, base), loss)[1] if quantised and loss else {}
    rounded = getattr(torch, dtype)
    masters = adapted or any(p.dtype.itemsize > rounded.itemsize for p in network.parameters())
    if masters:
        exactly = (base.dtype, base) if adapted else ("float32", None)
        _write(network, tokenizer, folder / MASTERS, *exactly)
    if adapted and not quantised:
        # On the CPU: beside the trainer's states a GPU may have no room for the base in float32.
        network = network.cpu().float()

    def seen() -> Any:
        whole = load_adapted(folder / MASTERS, base) if quantised else network
        whole = whole.merge_and_unload() if adapted else whole
        round_weights(whole, rounded, place.rounding, place.seed)
        return whole

    measured = loss if masters and (quantised or rounded is not torch.float32) else None
    view, figures = _compared(network, seen, measured)
    _write(view.to(rounded), tokenizer, folder, dtype)
    share = changed_share(job.model, folder)
    return figures if share is None else figures | {CHANGED: share}


def _compared(trained: Any, seen: Callable[[], Any], loss: Loss | None) -> tuple[Any, dict[str, float]]:
    """A network as engines will see it, with its held-out loss and how that differs from the network's own.

    Args:
        trained: the network, which `seen` may change.
        seen: makes the other one.
        loss: measures both; None for no figures.
    """
    if loss is None:
        return seen(), {}
    exact = loss(trained)
    view = seen()
    found = loss(view)
    return view, {LOSS: found, LOSS_CHANGE: found - exact}


def _write(network: Any, tokenizer: Any, folder: Path, dtype: str, base: ModelRef | None = None) -> None:
    # A reference that TRL puts beside an adapter is not part of the model.
    which = {} if base is None else {"selected_adapters": ["default"]}
    network.save_pretrained(folder, **which)
    tokenizer.save_pretrained(folder)
    write_fingerprint(folder, dtype, base)


def changed_share(before: ModelRef, folder: Path) -> float | None:
    """Share of a whole model's weights in a folder that differ from those of another, in the folder's number format.

    Args:
        before: the other one.
        folder: the model's.

    Returns:
        None where the other one is an adapter, or has no tensor of the same name and shape.
    """
    from safetensors import safe_open

    from selfplay.engines.model_files import weight_files

    if before.base is not None:
        return None
    places = {name: file for file in weight_files(before.path, before.revision) for name in _names(file)}
    changed, total = 0, 0
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as new:
            for name in sorted(set(new.keys()) & places.keys()):
                with safe_open(places[name], "pt") as old:
                    now, then = new.get_tensor(name), old.get_tensor(name)
                if now.shape == then.shape:
                    changed += int((then.to(now.dtype) != now).sum())
                    total += now.numel()
    return changed / total if total else None


def _names(file: Path) -> list[str]:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return list(opened.keys())
