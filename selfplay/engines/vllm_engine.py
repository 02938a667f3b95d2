"""The work of the vLLM engine inside a worker: prompts that flow, and shards of requests to score."""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfplay.engines import loading, vllm_opening
from selfplay.engines.base import ModelRef, Sampling
from selfplay.engines.configurations import stretched_settings
from selfplay.engines.flow import SLOTS, FlowJob, Item, Keeper, Shard, flowed
from selfplay.engines.hf_engine import completed, encode_request, end_ids, prompt_ids
from selfplay.engines.jobs import Row, ScoreJob, ShardJob
from selfplay.engines.model_files import UNTRUSTED, ModelError, check_weights
from selfplay.run.seeding import derive
from verifiers.untrusted.files import read_bytes, read_json

PAUSE_S = 0.05
"""Wait of an engine that has nothing to do until the driver has laid out more."""
Finished = tuple[int, Row]
"""The place of a request in its shard, and its row."""


@dataclass(slots=True)
class _Open:
    key: str
    shape: str
    """Properties that two models must share to exchange weights; empty where that is not safe."""
    llm: Any
    tokenizer: Any
    ends: list[int]


_open: list[_Open] = []
"""The one model that this worker has open, if any: vLLM takes the memory that it is given at once."""


def score_shard(job: ScoreJob) -> list[Row]:
    """Scores a shard's requests."""
    rows = dict(item for item in scores(job) if item is not None)
    return [rows[place] for place in sorted(rows)]


def flow_shards(job: FlowJob) -> int:
    """Completes shards as they come; returns how many completions it made."""
    keeper = Keeper(job)
    for ended in flow(job):
        if ended is not None:
            keeper.hear(*ended)
    return keeper.finished


def flow(job: FlowJob) -> Iterator[tuple[Item, Row] | None]:
    """Completions of the shards that this replica takes, each as it ends; None when the model is open, and after each
    step. A shard's number with `TAKEN` comes before its completions."""
    opened = _load(job)
    yield None
    slots = int(job.settings.args.get("max_num_seqs") or SLOTS)
    more = flowed(job, slots, _asking(opened, job.model.chat, job.sampling))
    for ended in _run(opened, more):
        if ended is None:
            yield None
        else:
            item, output = ended
            yield item, {} if output is None else _completed(opened, output)


def _asking(opened: _Open, chat: bool, sampling: Sampling) -> Callable[[Shard, int], tuple[list[int], Any]]:
    """Makes of a shard and a place the ids of the prompt and vLLM's parameters."""
    from vllm import SamplingParams

    def ask(shard: Shard, place: int) -> tuple[list[int], Any]:
        params = SamplingParams(
            temperature=sampling.temperature,
            top_p=sampling.top_p,
            top_k=sampling.top_k,
            min_p=sampling.min_p,
            max_tokens=sampling.max_new_tokens,
            # A seed for each prompt, so that a completion depends on no neighbour in the batch.
            seed=derive(shard.seed, place) if sampling.temperature > 0 else None,
            stop_token_ids=opened.ends,
            detokenize=False,
            # No alternatives: the log-probability of the drawn token alone.
            logprobs=0,
        )
        return prompt_ids(opened.tokenizer, shard.prompts[place], chat, sampling), params

    return ask


def _completed(opened: _Open, output: Any) -> Row:
    row = completed(opened.tokenizer, list(output.outputs[0].token_ids), opened.ends)
    found = zip(row["token_ids"], output.outputs[0].logprobs, strict=False)
    logprobs = [position[token].logprob for token, position in found]
    return row | {"prompt_tokens": len(output.prompt_token_ids), "logprobs": logprobs}


def _once(asked: dict[Any, Any]) -> Callable[[int], dict[Any, Any] | None]:
    """All at the first asking, and then the end."""
    given = iter([asked])
    return lambda under_way: next(given, None)


def _run(opened: _Open, more: Callable[[int], dict[Any, Any] | None]) -> Iterator[tuple[Any, Any] | None]:
    """The engine's outputs, by item, in the order in which they end; None after each step.

    Args:
        opened: the model.
        more: is told how many are under way, and gives further items with their ids and parameters; None at the end.
            An item for which nothing is asked comes back at once, with no output.
    """
    from vllm.sampling_params import RequestOutputKind

    engine, numbers, over = opened.llm.llm_engine, itertools.count(), False
    under_way: dict[str, Any] = {}
    try:
        while True:
            new = None if over else more(len(under_way))
            over = new is None
            for item, asked in (new or {}).items():
                if asked is None:
                    yield item, None
                    continue
                ids, params = asked
                params.output_kind = RequestOutputKind.FINAL_ONLY
                name = str(next(numbers))
                _add(engine, name, ids, params)
                under_way[name] = item
            if under_way:
                for output in engine.step():
                    yield under_way.pop(output.request_id), output
            elif over:
                return
            elif not new:
                time.sleep(PAUSE_S)
            yield None
    finally:
        # After a fault, or where nobody asks any more, the next shard must find the engine empty.
        engine.abort_request(list(under_way))


def _add(engine: Any, name: str, ids: list[int], params: Any) -> None:
    try:
        engine.add_request(name, {"prompt_token_ids": ids}, params)
    except Exception as error:
        # Its own kinds of errors differ between versions; here they are all about what is asked.
        raise ValueError(f"vLLM refuses a prompt of {len(ids)} tokens: {error}") from error


def scores(job: ScoreJob) -> Iterator[Finished | None]:
    """A shard's scores, each as it is found, with its place; None when the model is open, and after each step."""
    from vllm import SamplingParams

    opened = _load(job)
    yield None
    places = range(len(job.requests)) if job.wanted is None else job.wanted
    encoded = {place: encode_request(opened.tokenizer, job.requests[place]) for place in places}
    # Zero alternatives: the log-probability of each token of the prompt, and of no other.
    how = {"max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0, "detokenize": False}
    params = {place: SamplingParams(**how) for place in encoded}
    for ended in _run(opened, _once({place: (ids, params[place]) for place, (ids, _) in encoded.items()})):
        if ended is None:
            yield None
            continue
        place, output = ended
        ids, spans = encoded[place]
        found = zip(ids[1:], output.prompt_logprobs[1:], strict=True)
        logprobs = [0.0, *(position[token].logprob for token, position in found)]
        sums = [sum(logprobs[start:end]) for start, end in spans]
        yield place, {"sums": sums, "tokens": [end - start for start, end in spans]}


def _load(job: ShardJob) -> _Open:
    model = job.model
    engine_args = with_stretch(model, job.settings.args)
    key = open_key(model, engine_args)
    if _open and _open[0].key == key:
        return _open[0]
    # vLLM reads an index as it stands.
    check_weights(model.path, model.revision)
    shape = _shape(model, engine_args)
    if _open and shape and _open[0].shape == shape:
        _open[0].llm.collective_rpc("reload_weights", kwargs={"weights_path": model.path})
        # Where a request still holds keys and values of the old weights, they cannot be dropped.
        if _open[0].llm.reset_prefix_cache():
            _open[0].key = key
            return _open[0]
    loading.forget_all()
    vllm_opening.prepare(job.device)
    from vllm import LLM

    settings = vllm_opening.settings_of(model, job.device) | within_reach(model, engine_args)
    llm = LLM(**settings, **vllm_opening.place_of(model))
    tokenizer = llm.get_tokenizer()
    _open.append(_Open(key, shape, llm, tokenizer, _end_ids(model, tokenizer)))
    return _open[0]


def with_stretch(model: ModelRef, engine_args: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with the positions of a model that is stretched; overrides of the recipe's own go before.

    Raises:
        ModelError: it cannot be.
    """
    stretched = stretched_settings(model)
    if not stretched:
        return engine_args
    return engine_args | {"hf_overrides": stretched | engine_args.get("hf_overrides", {})}


def within_reach(model: ModelRef, engine_args: dict[str, Any]) -> dict[str, Any]:
    """The arguments, with no longer sequence than the model was made for: vLLM would refuse to open it.

    One section of a recipe is for all its models, of which a generator may reach less far than the policy. What is
    stretched, by its own configuration or by `hf_overrides`, is left as it is.
    """
    from transformers import AutoConfig

    asked = engine_args.get("max_model_len")
    if not isinstance(asked, int) or "hf_overrides" in engine_args:
        return engine_args
    config = AutoConfig.from_pretrained(model.path, revision=model.revision or "main", **UNTRUSTED).get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    most = getattr(config, "max_position_embeddings", None)
    if not isinstance(most, int) or rope.get("rope_type", "default") != "default":
        return engine_args
    return engine_args | {"max_model_len": min(asked, most)}


def open_key(model: ModelRef, engine_args: dict[str, Any]) -> str:
    """All that an open model depends on: one of another number format, or with other arguments, is another."""
    return json.dumps([model.path, model.fingerprint, model.revision, model.dtype, engine_args], sort_keys=True)


def _shape(model: ModelRef, engine_args: dict[str, Any]) -> str:
    """Settings of a model in a folder, with its tokenizer's files; empty for others, with tied embeddings or quantised.

    vLLM silently keeps the old output head of a model whose embeddings are tied, and packs what it quantises.
    """
    folder = Path(model.path)
    config = folder / "config.json"
    if not config.is_file():
        return ""
    settings = read_json(config, ModelError, finite=False)
    quantised = "quantization_config" in settings or {"quantization", "quantization_config"} & engine_args.keys()
    if quantised or settings.get("tie_word_embeddings", True):
        return ""
    tokenizer = hashlib.sha256(read_bytes(folder / "tokenizer.json", ModelError)).hexdigest()
    return json.dumps([settings, tokenizer, model.dtype, engine_args], sort_keys=True)


def _end_ids(model: ModelRef, tokenizer: Any) -> list[int]:
    from transformers import GenerationConfig

    try:
        generation = GenerationConfig.from_pretrained(model.path, revision=model.revision or "main")
    except OSError:
        generation = None  # a model without settings of its own
    return end_ids(generation, tokenizer)


def close() -> None:
    """Frees the model that is open, and its memory."""
    while _open:
        opened = _open.pop()
        opened.llm.llm_engine.engine_core.shutdown()
        del opened
    gc.collect()


loading.on_forget(close)
