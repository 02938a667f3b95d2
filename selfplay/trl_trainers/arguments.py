"""TRL's own arguments: what a recipe may pass through, what this project presets, and how mistakes are explained."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Collection, Mapping
from typing import Any

from selfplay.config.errors import UserError
from selfplay.config.recipe import UNCUT
from selfplay.trl_trainers.asynchronous import library
from selfplay.trl_trainers.checks.further_means import means_faults
from selfplay.trl_trainers.checks.names import CLASSES, names_in_source
from selfplay.trl_trainers.checks.no_learning import learning_faults
from selfplay.trl_trainers.checks.ranges import OF_FILES, value_faults
from verifiers.untrusted.files import demand_file
from verifiers.untrusted.shown import quoted

RESERVED = {
    "output_dir": "the run directory decides it",
    "seed": "it derives from the recipe's seed",
    "data_seed": "it derives from the recipe's seed",
    "report_to": "the run's own tracking logs every metric",
    "use_cpu": "compute.device decides it",
    "resume_from_checkpoint": "the run continues by itself",
    "chat_template_kwargs": "prompts are templated as they are where the policy is measured",
    "save_only_model": "a training goes on from its checkpoints, which takes the optimiser's state, too",
    "ignore_data_skip": "a training that goes on does not read again what it has learnt from",
    "eval_strategy": "the run evaluates each policy itself, on problems that no trainer sees",
    "eval_on_start": "the run evaluates each policy itself, on problems that no trainer sees",
    "load_best_model_at_end": "training.selection chooses the best policy, on development problems",
    "push_to_hub": "the run keeps its models in its own folder",
    "log_completions_hub_repo": "the run keeps its rollouts in its own folder",
    "trackio_space_id": "the run's own tracking logs every metric",
    "fsdp": "compute.sharding: fsdp2 spreads a model over all workers, and keeps it whole at the end",
    "fsdp_config": "compute.sharding: fsdp2 spreads a model over all workers, and keeps it whole at the end",
    "deepspeed": "compute.sharding: zero2 or zero3 has DeepSpeed spread a model over all workers",
    "use_vllm": "training.grpo.rollouts decides it",
    "vllm_mode": "training.grpo.rollouts decides it",
    **dict.fromkeys(
        ("vllm_server_base_url", "vllm_server_host", "vllm_server_port", "vllm_server_timeout", "vllm_group_port"),
        "the run starts the server of training.grpo.rollouts: server by itself",
    ),
    "vllm_importance_sampling_cap": "TRL replaced it by vllm_importance_sampling_clip_max",
    "use_transformers_paged": "rollouts are logged with the masks of TRL's own generation",
}

_TOOLS = "completions are written in one turn, without tools"
_NO_CHOICE = "the run has loaded the model that is trained, with the attention that this trainer needs"
RESERVED_FOR = {
    "async_grpo": {
        "max_staleness": "training.grpo.max_staleness decides it",
        "weight_sync_steps": "every step is followed by a sync",
        "weight_sync_timeout": "training.grpo.vllm.sync_timeout_s decides it",
        "request_timeout": "training.grpo.vllm.supervision says when a server hangs",
        "heartbeat_stale_after_s": "training.grpo.vllm.supervision says when a server hangs",
        "queue_maxsize": "no more is drawn than is learnt from in time",
        "token_budget": "a micro-batch has per_device_train_batch_size completions, so that it is known how old each "
        "will be",
        "max_tool_calling_iterations": _TOOLS,
        "fork_threshold_tokens": _TOOLS,
        "log_completions": "the run's own log has all completions",
        "num_completions_to_print": "the run's own log has all completions",
        "model_init_kwargs": _NO_CHOICE,
        "dtype": _NO_CHOICE,
        "trust_remote_code": _NO_CHOICE,
        "use_liger_kernel": "this trainer refuses it, since its own loss holds no logits",
        "accelerator_config": "this trainer sets it, since one rank hands out the completions",
        "router_aux_loss_coef": "experts are not for this trainer here",
        "beta": "this trainer has no term for a reference model",
        "loss_type": "this trainer has one loss, a mean over tokens",
        "scale_rewards": "this trainer divides by the deviation of each group",
        "mask_truncated_completions": "this trainer learns from cut completions by what they say",
        **dict.fromkeys(("steps_per_generation", "num_iterations"), "this trainer learns from each completion once"),
    }
}
"""The same of one kind of training alone."""

NO_PARALLELISM = {
    "grpo": f"one sequence cannot be cut over several GPUs in GRPO: {UNCUT['grpo']}; shorten "
    "args.max_completion_length, or let compute.sharding make room",
    "dpo": f"one sequence cannot be cut over several GPUs in DPO: {UNCUT['dpo']}; shorten args.max_length, or let "
    "compute.sharding make room",
    "sft": "compute.sequence_parallel cuts one sequence over several GPUs, and compute.sharding says what else ranks "
    "share",
}
NO_PARALLELISM["async_grpo"] = NO_PARALLELISM["grpo"]
"""The way to go in place of TRL's own argument, by kind of training."""


class ArgumentsError(UserError):
    """Trainer arguments that the trainer would not take; the message names the field and the remedy."""


def config_class(kind: str) -> Any:
    """TRL's configuration class of an algorithm: sft, dpo, grpo or async_grpo.

    Raises:
        NoAsyncTrainer: this TRL has none of async_grpo.
    """
    if kind == "async_grpo":
        return library.config_class()
    import trl

    return {"sft": trl.SFTConfig, "dpo": trl.DPOConfig, "grpo": trl.GRPOConfig}[kind]


def check_lora(lora: dict[str, Any] | None, field: str) -> None:
    """Refuses arguments that peft's LoraConfig would refuse.

    Raises:
        ArgumentsError: names the field.
    """
    from peft import LoraConfig

    try:
        LoraConfig(**(lora or {}))
    except (TypeError, ValueError) as error:
        raise ArgumentsError(f"{field}: peft's LoraConfig refuses it: {error}") from error
    _check_values("lora", LoraConfig, lora or {}, field)


def check_names(kind: str, args: Mapping[str, Any], field: str) -> None:
    """Refuses names that TRL's configuration class does not take, without loading TRL.

    Args:
        kind: sft, dpo, grpo or async_grpo.
        args: what the recipe says.
        field: where it says so.

    Raises:
        ArgumentsError: an unknown name, or one that the run itself decides.
    """
    # Where the source does not tell, `check_arguments` still will.
    _demand_names(kind, args, field, names_in_source(kind) or args.keys())


def _demand_names(kind: str, args: Mapping[str, Any], field: str, names: Collection[str]) -> None:
    reserved = RESERVED | RESERVED_FOR.get(kind, {})
    for name in args:
        if name in reserved:
            raise ArgumentsError(f"{field}.{name}: is not yours to set here ({reserved[name]}); remove it")
        if name not in names:
            _, _, known_as = CLASSES[kind][0]
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            hint = f"did you mean `{near[0]}`?" if near else f"see the documentation of {known_as}"
            raise ArgumentsError(f"{field}.{name}: is not an argument of TRL's {known_as}; {hint}")


def check_arguments(kind: str, args: dict[str, Any], field: str, workers: int = 1) -> None:
    """Refuses arguments that TRL's configuration class would refuse.

    Args:
        kind: sft, dpo, grpo or async_grpo.
        args: what the recipe says.
        field: where it says so.
        workers: processes that will train together, whose batches TRL adds up.

    Raises:
        ArgumentsError: an unknown name, one that the run itself decides, or a value that the class rejects.
        NoAsyncTrainer: this TRL has no such class.
    """
    cls = config_class(kind)
    _demand_names(kind, args, field, [f.name for f in dataclasses.fields(cls) if f.init])
    if "parallelism_config" in args:
        raise ArgumentsError(f"{field}.parallelism_config: {NO_PARALLELISM[kind]}; remove it")
    _check_values(kind, cls, args, field)
    for name, fault in means_faults(args).items():
        raise ArgumentsError(f"{field}.{name}: {fault}")
    for name in OF_FILES & args.keys():
        if isinstance(args[name], str):
            demand_file(args[name], lambda sentence: ArgumentsError(f"{field}.{name}: {sentence}"))  # noqa: B023
    try:
        config = build(kind, args | _batch_of_all(args, workers), output_dir="unused", seed=0, device="cpu")
    except Exception as error:  # what these classes raise at a value of another type depends on what they do with it
        raise ArgumentsError(f"{field}: TRL's {cls.__name__} refuses it: {error}") from error
    if config.save_strategy != "no" and getattr(config, "sync_ref_model", False):
        raise ArgumentsError(
            f"{field}.sync_ref_model: moves a reference model that is in no checkpoint, so that a training that goes "
            "on would differ from one that was not cut; remove it, or save_steps"
        )
    if kind == "grpo":
        _check_checkpoints(config, field)
        _check_rewards(config, field)


def _batch_of_all(args: dict[str, Any], workers: int) -> dict[str, int]:
    """The batch of all workers as that of one, for this process, which is alone."""
    return {"per_device_train_batch_size": args.get("per_device_train_batch_size", 8) * workers}


def check_top_up(top_up: float, args: dict[str, Any], field: str, workers: int) -> None:
    """Refuses a share of a generation batch that is less than a group for each worker: nothing would be topped up.

    Args:
        top_up: the share.
        args: what the recipe says of grpo, which was checked.
        field: of the rule.
        workers: processes that roll out equal parts of what is topped up.

    Raises:
        ArgumentsError: names the least share.
    """
    config = build("grpo", args | _batch_of_all(args, workers), output_dir="unused", seed=0, device="cpu")
    groups = config.generation_batch_size // config.num_generations
    if not top_up or int(top_up * groups) >= workers:
        return
    raise ArgumentsError(
        f"{field}.top_up: is {top_up:g} of {groups} groups, which is not one for each of {workers} workers, so that "
        f"nothing is topped up; raise it to {workers / groups:g}, or to 0 to learn from the batch as it is"
    )


def check_ahead(args: dict[str, Any], field: str, workers: int) -> None:
    """Refuses batches of which several serve one step, where the next is drawn while the trainer steps on this one.

    Args:
        args: what the recipe says of grpo, which was checked.
        field: of the rule.
        workers: processes that train together.

    Raises:
        ArgumentsError: names the argument.
    """
    config = build("grpo", args | _batch_of_all(args, workers), output_dir="unused", seed=0, device="cpu")
    passes = config.steps_per_generation * config.num_iterations
    if passes % config.gradient_accumulation_steps:
        raise ArgumentsError(
            f"{field}.max_staleness: is 1, but a step takes {config.gradient_accumulation_steps} batches, and a "
            f"generation batch has {passes}, which is no multiple of that; change args.steps_per_generation, or set "
            "max_staleness to 0"
        )


def check_group(args: dict[str, Any], stale: int, field: str, workers: int) -> None:
    """Refuses groups of which the end is always too old for the step that would learn from it.

    Args:
        args: what the recipe says of async_grpo, which was checked.
        stale: syncs by which a completion may be behind.
        field: of the rule.
        workers: processes that train together.

    Raises:
        ArgumentsError: names the argument.
    """
    config = build("async_grpo", args | _batch_of_all(args, workers), output_dir="unused", seed=0, device="cpu")
    step, group = config.per_device_train_batch_size * config.gradient_accumulation_steps, config.num_generations
    if group > step * (stale + 1):
        raise ArgumentsError(
            f"{field}.args.num_generations: is {group}, but a step learns from {step} completions, so that by "
            f"max_staleness {stale} all after the first {step * (stale + 1)} of a group come too late; raise "
            f"gradient_accumulation_steps {math.ceil(group / (step * (stale + 1)))} times, or lower num_generations"
        )


def _check_checkpoints(config: Any, field: str) -> None:
    """A checkpoint amid the steps of one generation batch would lose what is left of it, and a resumed training
    would not be the unbroken one."""
    passes = config.steps_per_generation * config.num_iterations
    steps = math.lcm(passes, config.gradient_accumulation_steps) // config.gradient_accumulation_steps
    # A share of all steps, below 1, is no multiple that could be known here.
    if config.save_strategy == "steps" and steps > 1 and config.save_steps % steps:
        raise ArgumentsError(
            f"{field}.save_steps: is {config.save_steps:g}, but each generation batch serves {steps} steps, and a "
            f"training that goes on from the middle of one differs from one that was not cut; make it a multiple of "
            f"{steps}"
        )


def _check_rewards(config: Any, field: str) -> None:
    """TRL would refuse these only once the trainer is made."""
    if config.reward_weights is not None and len(config.reward_weights) != 1:
        raise ArgumentsError(
            f"{field}.reward_weights: has {len(config.reward_weights)} weights, but there is one reward, the verdict "
            "of the domain's verifier; give the components of a composite verifier their weights instead"
        )
    if config.remove_unused_columns:
        raise ArgumentsError(
            f"{field}.remove_unused_columns: takes away the columns that rewards are judged by; remove it"
        )


def _check_values(kind: str, cls: Any, args: dict[str, Any], field: str) -> None:
    """TRL checks few types and ranges: what it cannot use would only fail, or teach nothing, within a training."""
    faults = {name: f"but {fault}" for name, fault in value_faults(cls, args).items()} or learning_faults(kind, args)
    for name, fault in faults.items():
        raise ArgumentsError(f"{field}.{name}: is {quoted(args[name], 80)}, {fault}")


def build(
    kind: str, args: dict[str, Any], output_dir: str, seed: int, device: str, further: Mapping[str, Any] | None = None
) -> Any:
    """TRL's configuration object: this project's presets, then the recipe's arguments, then what the run decides.

    Args:
        kind: sft, dpo, grpo or async_grpo.
        args: the recipe's.
        output_dir: TRL's folder.
        seed: of the training.
        device: `cpu` or `cuda`.
        further: what else the run decides, as for a sharded training; None for nothing.
    """
    presets: dict[str, Any] = {
        # Alarms and curves look at every step.
        "logging_steps": 1,
        "save_strategy": "no",
        _checkpointing_name(kind): device != "cpu",
        "bf16": device != "cpu",
        "dataloader_pin_memory": device != "cpu",
        "disable_tqdm": True,
        # Looking for unused parameters costs a pass over the graph each step, and these models use all of theirs.
        "ddp_find_unused_parameters": False,
    }
    if kind in ("sft", "dpo"):
        # TRL would cut examples at 1,024 tokens; here a completion has the length that sampling allowed it.
        presets["max_length"] = None
    if kind == "grpo":
        # On a GPU vLLM leaves the memory to the trainer while it steps.
        presets["vllm_enable_sleep_mode"] = device != "cpu"
    if args.get("save_steps") is not None:
        # Two, since a kill may tear the newest.
        presets |= {"save_strategy": "steps", "save_total_limit": 2}
    decided = {
        "output_dir": output_dir,
        "seed": seed,
        "data_seed": seed,
        "report_to": "none",
        "use_cpu": device == "cpu",
    }
    return config_class(kind)(**(presets | args | decided | dict(further or {})))


def _checkpointing_name(kind: str) -> str:
    """The name that this version of transformers has for the recomputing of activations."""
    names = {f.name for f in dataclasses.fields(config_class(kind))}
    return "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
