"""Sequences that are cut over ranks (Ulysses): each of N ranks has one part of every sequence, 1/N of its tokens.

Layers work on the part that a rank has. Attention alone needs the whole sequence: before it the ranks exchange, so that
each has all tokens of 1/N of the heads, and after it they exchange back. The N ranks get the same batch, and others get
other batches. A rank's loss is the sum over the labels of its part, over the number of labels in the global batch, as
TRL has it for ranks that share nothing, so that sums over ranks are those of one process.

TRL has this by DeepSpeed alone, and takes the mean of the means of micro-batches, however many labels each has. This
needs torch alone, and goes with each way of sharding. (Jacobs et al. 2023, arXiv:2309.14509)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from selfplay.config.errors import UserError
from selfplay.planning.architecture import cut_fault

IGNORED = -100
FIELD = "compute.sequence_parallel"
ATTENTIONS = ("sdpa", "flash_attention_2", "flash_attention_3")
"""Those that are causal without a mask."""
BY_HEAD = ("s_aux", "position_bias")
"""Additions of an attention by head, of which a rank would take those of other heads."""
MOVING = ("dynamic", "longrope")
"""Rotary embeddings that depend on the longest position that a rank sees."""


class NotCut(UserError):
    """A training whose sequences were to be cut over ranks, and cannot be, or are not."""


class _Exchange(torch.autograd.Function):
    """Sends the n-th row to the n-th rank; gradients go back the same way."""

    @staticmethod
    def forward(ctx: Any, rows: torch.Tensor, group: Any) -> torch.Tensor:
        ctx.group = group
        return _sent(rows, group)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _sent(gradients[0], ctx.group), None


def _sent(rows: torch.Tensor, group: Any) -> torch.Tensor:
    rows = rows.contiguous()
    received = torch.empty_like(rows)
    distributed.all_to_all_single(received, rows, group=group)
    return received


def heads_of_all_tokens(states: torch.Tensor, group: Any) -> torch.Tensor:
    """[batch, heads, tokens of a part, size] as [batch, heads / ranks, tokens, size]: all ranks call this together."""
    ranks = distributed.get_world_size(group)
    batch, heads, tokens, size = states.shape
    rows = states.reshape(batch, ranks, heads // ranks, tokens, size).transpose(0, 1)
    received = _Exchange.apply(rows, group)
    return received.permute(1, 2, 0, 3, 4).reshape(batch, heads // ranks, ranks * tokens, size)


def tokens_of_all_heads(states: torch.Tensor, group: Any) -> torch.Tensor:
    """[batch, tokens, heads / ranks, size] as [batch, tokens of a part, heads, size]: the way back."""
    ranks = distributed.get_world_size(group)
    batch, tokens, heads, size = states.shape
    rows = states.reshape(batch, ranks, tokens // ranks, heads, size).transpose(0, 1)
    received = _Exchange.apply(rows, group)
    return received.permute(1, 2, 0, 3, 4).reshape(batch, tokens // ranks, ranks * heads, size)


class Parts:
    """The ranks among which a sequence is cut, and what this one's layers and attention are given of it."""

    def __init__(self, ranks: int, place: int, layers: int, group: Any) -> None:
        """
        Args:
            ranks: how many there are.
            place: this one's among them.
            layers: of the model, each with one attention.
            group: torch's of the ranks.
        """
        self._ranks, self._place, self._layers, self._group = ranks, place, layers, group
        self._looked = False
        self._part = 0
        self._seen: list[int] = []
        """Tokens that each layer's attention saw in this batch."""

    def attention(self, known: Callable[..., Any]) -> Callable[..., Any]:
        """An attention of transformers that sees all tokens of some heads, by one that sees what it is given."""

        def exchanged(
            module: Any, query: Any, key: Any, value: Any, attention_mask: Any, *given: Any, **settings: Any
        ) -> Any:
            _demand_plain(settings)
            # What is masked are later tokens, and padding, which is later than all else: causal attention says both.
            settings.pop("position_ids", None)
            whole = [heads_of_all_tokens(states, self._group) for states in (query, key, value)]
            self._seen.append(whole[0].shape[2])
            mixed, weights = known(module, *whole, None, *given, **settings)
            return tokens_of_all_heads(mixed, self._group), weights

        return exchanged

    def before(self, _: Any, given: Any, settings: Mapping[str, Any]) -> None:
        """Takes down what a batch gives to the layers.

        Raises:
            NotCut: the first that is no padding is another part of the sequence than this rank's.
        """
        self._part, self._seen = settings["input_ids"].shape[1], []
        # Padding has no places, and a part may be padding alone.
        if not self._looked and bool(settings["attention_mask"][:, 0].any()):
            self._looked = True
            first = int(settings["position_ids"][:, 0].max())
            if first != self._place * self._part:
                raise self._not_cut(f"a rank's part of {self._part} tokens begins at token {first}")

    def after(self, *_: Any) -> None:
        """Looks at what attention saw of the batch.

        Raises:
            NotCut: that of a layer did not see all tokens.
        """
        if self._seen != [self._part * self._ranks] * self._layers:
            raise self._not_cut(
                f"{self._layers} layers had {self._part} tokens on a rank, and attention saw {self._seen or 'none'}"
            )

    def _not_cut(self, seen: str) -> NotCut:
        return NotCut(f"{FIELD} is {self._ranks}, but {seen}: sequences of this model are not cut here; set it to 1")


def _demand_plain(settings: Mapping[str, Any]) -> None:
    """Refuses attention that is not causal over the whole sequence, or is told of heads.

    Raises:
        NotCut: says which.
    """
    told = [name for name in (*BY_HEAD, "sliding_window") if settings.get(name) is not None]
    if told:
        raise NotCut(f"{FIELD}: attention of this model has {', '.join(told)}, which needs the whole; set it to 1")


def fault_of(args: Mapping[str, Any]) -> str:
    """The reason against cutting the sequences of an SFT, as a name and the end of a sentence; empty without one.

    Args:
        args: of TRL's SFTConfig.
    """
    attention = (args.get("model_init_kwargs") or {}).get("attn_implementation", ATTENTIONS[0])
    joined = "joins sequences, and what is cut is causal over the whole"
    faults = {
        f"model_init_kwargs: has {attention}, which needs a mask; take one of {', '.join(ATTENTIONS)}": (
            attention not in ATTENTIONS
        ),
        f"packing: {joined}; remove it": args.get("packing"),
        f"padding_free: {joined}; remove it": args.get("padding_free"),
        "label_smoothing_factor: looks at labels that are not cut; remove it": args.get("label_smoothing_factor"),
        "neftune_noise_alpha: has its noise by a sequence's length, of which a rank sees a part; remove it": (
            args.get("neftune_noise_alpha")
        ),
        "average_tokens_across_devices: is false, but each rank counts its own part alone; remove it": (
            not args.get("average_tokens_across_devices", True)
        ),
        "train_sampling_strategy: batch_rebalance gives each rank batches of its own; remove it": (
            args.get("train_sampling_strategy") == "batch_rebalance"
        ),
    }
    said = f", or set {FIELD} to 1"
    return next((f"{fault}{said}" for fault, holds in faults.items() if holds), "")


def demand_heads(config: Any, ranks: int) -> None:
    """Refuses a model whose heads or positions cannot be cut.

    Args:
        config: transformers' of the model.
        ranks: over which a sequence is cut.

    Raises:
        NotCut: names the heads, and what to set.
    """
    text = config.get_text_config()
    heads = text.num_attention_heads
    if fault := cut_fault(ranks, heads, getattr(text, "num_key_value_heads", None) or heads):
        raise NotCut(f"{FIELD}: {fault}")
    attention = config._attn_implementation
    if attention not in ATTENTIONS:
        raise NotCut(f"{FIELD}: goes with {', '.join(ATTENTIONS)}, and not with {attention}; take one of these")
    kinds = set(getattr(text, "layer_types", None) or ()) - {"full_attention"}
    kinds |= {(getattr(text, "rope_parameters", None) or {}).get("rope_type")} & set(MOVING)
    if kinds:
        raise NotCut(f"{FIELD}: this model has {', '.join(sorted(kinds))}, which needs the whole; set it to 1")


class CutCollator:
    """Batches of whole sequences as this rank's part of them, with the label of the next token beside each."""

    def __init__(self, whole: Any, ranks: int, place: int) -> None:
        """
        Args:
            whole: TRL's collator.
            ranks: among which a sequence is cut.
            place: this rank's among them.
        """
        whole.return_position_ids = True
        whole.pad_to_multiple_of = math.lcm(whole.pad_to_multiple_of or 1, ranks)
        self._whole, self._ranks, self._place = whole, ranks, place

    def __call__(self, examples: Any) -> dict[str, Any]:
        """TRL's batch, cut."""
        batch = self._whole(examples)
        batch["labels"] = torch.nn.functional.pad(batch["labels"][:, 1:], (0, 1), value=IGNORED)
        part = {name: self._part(value) for name, value in batch.items()}
        # The loss takes these as they are; the others are what transformers looks for before it counts labels.
        return part | {"shift_labels": part["labels"]}

    def _part(self, value: Any) -> Any:
        return value.chunk(self._ranks, dim=1)[self._place].contiguous()


@contextmanager
def cut(trainer: Any, ranks: int) -> Iterator[None]:
    """Has a trainer's sequences cut over ranks, meanwhile.

    Args:
        trainer: `sharded.trainer.ExamplesTrainer`.
        ranks: over which each sequence is cut, neighbours of each other.

    Raises:
        NotCut: the model has no heads for that, or the ranks that there are cannot be divided.
    """
    world, rank = distributed.get_world_size(), distributed.get_rank()
    if world % ranks:
        raise NotCut(f"{FIELD}: is {ranks}, but there are {world} ranks; set compute.workers to a multiple of it")
    demand_heads(trainer.model.config, ranks)
    group, _ = distributed.new_subgroups(ranks)
    place = rank % ranks
    parts = Parts(ranks, place, trainer.model.config.get_text_config().num_hidden_layers, group)
    trainer.data_collator = CutCollator(trainer.data_collator, ranks, place)
    trainer.accelerator.prepare_data_loader = _shared_out(trainer.accelerator, ranks)
    # What a rank counts is of its own part, in the last batch, too, where accelerate would take it for a duplicate.
    trainer.accelerator.gather_for_metrics = trainer.accelerator.gather
    trainer.sequence_ranks = ranks
    hooks = (
        trainer.model.register_forward_pre_hook(parts.before, with_kwargs=True),
        trainer.model.register_forward_hook(parts.after),
    )
    chosen = trainer.model.config._attn_implementation
    known = ALL_ATTENTION_FUNCTIONS[chosen]
    # Under its own name, by which transformers knows what it needs.
    ALL_ATTENTION_FUNCTIONS[chosen] = parts.attention(known)
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS[chosen] = known
        for hook in hooks:
            hook.remove()
        distributed.destroy_process_group(group)


def _shared_out(accelerator: Any, ranks: int) -> Callable[..., Any]:
    """accelerate's way to share batches out, by which neighbours get the same one."""
    from accelerate.data_loader import prepare_data_loader

    def prepare(loader: Any, device_placement: bool | None = None, slice_fn_for_dispatch: Any = None) -> Any:
        prepared = prepare_data_loader(
            loader,
            accelerator.device,
            num_processes=accelerator.num_processes // ranks,
            process_index=accelerator.process_index // ranks,
            put_on_device=accelerator.device_placement if device_placement is None else device_placement,
            rng_types=accelerator.rng_types.copy(),
            even_batches=accelerator.even_batches,
            use_seedable_sampler=accelerator.use_seedable_sampler,
            data_seed=accelerator.dataloader_config.data_seed,
            non_blocking=accelerator.non_blocking,
        )
        accelerator._dataloaders.append(prepared)
        return prepared

    return prepare
