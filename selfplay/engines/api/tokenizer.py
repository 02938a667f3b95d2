"""The tokenizer of a model behind an endpoint, from its files alone: no torch, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from selfplay.engines.base import Encoded, ScoringRequest
from verifiers.untrusted.files import read_json, read_text

REMEDY = "give a folder with tokenizer.json and tokenizer_config.json, or a hub name"


class TokenizerError(RuntimeError):
    """A tokenizer cannot be loaded; the message names it and the remedy."""


class EndpointTokenizer:
    """Cuts texts into the token ids that transformers' tokenizer of the same files would give."""

    def __init__(self, name: str) -> None:
        """Takes a folder or a hub name. Raises TokenizerError where there is no `tokenizer.json` with an end token."""
        self._tokenizer, self.end, begin = _load(name)
        # As `hf_engine.prompt_ids`.
        self._opening = [begin] if begin is not None and self._tokenizer.encode("").ids[:1] == [begin] else []

    def ids(self, text: str) -> list[int]:
        """The ids of a text, without special tokens around it."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def spans(self, request: ScoringRequest) -> Encoded:
        """The ids of a request, each part tokenised on its own, and the half-open span of each segment."""
        prefix = [*self._opening, *self.ids(request.prefix)]
        if not prefix:
            raise ValueError("a request to score needs a prefix: the first token of all has no log-probability")
        return request.encoded(prefix, self.ids, self.end)


def _load(name: str) -> tuple[Any, int, int | None]:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    files = ("tokenizer.json", "tokenizer_config.json")
    try:
        local = Path(name).is_dir()
        found, settings = [Path(name) / file if local else Path(hf_hub_download(name, file)) for file in files]
        tokenizer = Tokenizer.from_str(read_text(found, TokenizerError, REMEDY))
        config = read_json(settings, TokenizerError, REMEDY, finite=False)
    except (OSError, ValueError, HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise TokenizerError(f"the tokenizer {name!r} cannot be loaded ({error}); {REMEDY}") from error
    except Exception as error:  # the library raises nothing narrower for a file that it cannot read
        if type(error) is not Exception:
            raise
        raise TokenizerError(f"the tokenizer {name!r} is not readable ({error}); {REMEDY}") from error
    end = _special(tokenizer, config, "eos_token")
    if end is None:
        raise TokenizerError(f"the tokenizer {name!r} names no end-of-sequence token; {REMEDY}")
    return tokenizer, end, _special(tokenizer, config, "bos_token")


def _special(tokenizer: Any, config: Any, name: str) -> int | None:
    said = config.get(name) if isinstance(config, dict) else None
    text = said.get("content") if isinstance(said, dict) else said
    return tokenizer.token_to_id(text) if isinstance(text, str) else None
