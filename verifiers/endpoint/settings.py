"""Where an endpoint is, and how it is asked: settings only, so that naming one loads no HTTP library."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """An OpenAI-compatible server, and the limits of what is asked of it."""

    base_url: str
    """Address up to where `/chat/completions` begins."""
    api_key_env: str | None = None
    """Environment variable that holds the key; the key itself is held nowhere."""
    concurrency: int = 8
    """Most requests under way at a time."""
    timeout_s: float = 60.0
    """Longest time of one try, from the connection to the last byte, seconds."""
    attempts: int = 4
    """Tries of one request that meets a lost connection, a timeout, a 408, 409, 425 or 429, or a 5xx."""
    pause_s: float = 1.0
    """Pause before the second try, seconds; it doubles with each further one, and is spread by chance."""
    longest_pause_s: float = 30.0
    """Longest pause between two tries, seconds, also where the server asks for a longer one."""
    max_reply_bytes: int = 1 << 20
    """Largest answer that is read, bytes."""

    def __post_init__(self) -> None:
        """Raises ValueError where `base_url` is no address."""
        checked_address(self.base_url)


def checked_address(base_url: str) -> str:
    """The address without a slash at its end.

    Raises:
        ValueError: it is no http(s) address, or holds what is none of an address's.
    """
    parts = urlsplit(base_url)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must hold no user, password or query; name the variable of a key in api_key_env")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("must be an address such as http://127.0.0.1:8000/v1")
    return base_url.rstrip("/")
