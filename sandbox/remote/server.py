"""Where a sandbox server is: settings only, so that naming one loads no HTTP library."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class RemoteServer:
    """Where a SandboxFusion server is, and how to talk to it. Secrets are named, never held."""

    url: str
    """Base address, such as http://sandbox-fusion:8080."""
    token_env: str | None = None
    """Environment variable that holds a bearer token."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers: name, and the environment variable that holds the value."""
    timeout_s: float = 60.0
    """Longest wait for a place on the server and for its answer, beyond the test's own limits."""
    attempts: int = 4
    """Tries of one request; only connection errors and the answers 429 and 5xx are tried again."""
    pause_s: float = 0.25
    """Pause after the first failed try; it doubles with each, up to 30 s, and is jittered."""
    concurrency: int = 4
    """Requests at a time of one sandbox, where the order of tests does not matter."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"the sandbox server's url {self.url!r} is no http:// or https:// address")
        if parts.username or parts.password:
            raise ValueError("the sandbox server's url holds a password; give it by token_env or headers")
        if self.timeout_s <= 0 or self.attempts < 1 or self.concurrency < 1:
            raise ValueError("a sandbox server needs a positive timeout_s, attempts and concurrency")

    @property
    def endpoint(self) -> str:
        """The address of run_code, whether or not `url` already names it."""
        return f"{self.url.rstrip('/').removesuffix('/run_code')}/run_code"
