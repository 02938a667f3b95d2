"""The recipe's part on how untrusted programs are run. Importing this module loads no heavy library."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from sandbox.model import RemoteServer
from selfplay.config.section import Section

Limit = Literal[
    "network",
    "host_read",
    "host_write",
    "other_processes",
    "memory",
    "processes",
    "cpu",
    "wall",
    "output",
    "disk",
]


class SandboxSettings(Section):
    """How untrusted programs are run."""

    may_change: ClassVar[tuple[str, ...]] = ("workers", "concurrency", "token_env")
    """Fields that change no verdict."""

    backend: Literal["auto", "bubblewrap", "landlock", "remote"] = "auto"
    """`auto` takes the strongest backend of this host that passes its own live test; `remote` is a server at `url`."""
    workers: Annotated[int, Field(ge=1, le=256)] = 2
    """Sandboxes open at a time."""
    waive: tuple[Limit, ...] = ()
    """Limits that may go unenforced, by the names that `selfplay sandbox doctor` prints."""
    packages: tuple[Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], ...] = ()
    """Installed packages that programs may import, such as numpy; a remote server has its own."""
    url: str | None = None
    """remote: base address of a SandboxFusion server, such as http://sandbox-fusion:8080."""
    token_env: str | None = None
    """remote: environment variable that holds a bearer token."""
    headers: dict[str, str] = {}
    """remote: further HTTP headers, each by the environment variable that holds its value."""
    timeout_s: Annotated[float, Field(gt=0, le=3600)] = 60.0
    """remote: longest wait for a place on the server, beyond a test's own limits, in seconds."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 4
    """remote: requests at a time of each of the `workers`, where the order of tests does not matter."""

    @property
    def server(self) -> RemoteServer | None:
        """The server of the backend `remote`."""
        if self.url is None:
            return None
        headers = tuple(sorted(self.headers.items()))
        return RemoteServer(self.url, self.token_env, headers, timeout_s=self.timeout_s, concurrency=self.concurrency)

    @model_validator(mode="after")
    def _server_is_named(self) -> SandboxSettings:
        if self.backend == "remote":
            if self.url is None:
                raise ValueError("backend remote needs url, the address of a SandboxFusion server")
            if self.packages:
                raise ValueError("packages are those of this host; a remote server's own cannot be chosen")
            # Refuses an address that cannot be one.
            _ = self.server
        else:
            for name in ("url", "token_env", "headers"):
                if getattr(self, name):
                    raise ValueError(f"{name} is set, but the backend is {self.backend}; set backend to remote")
        return self
