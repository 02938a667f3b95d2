"""The work of `selfplay serve`: opens the verifiers, binds, and answers until it is told to stop."""

from __future__ import annotations

import errno
import functools
import ipaddress
import logging
import math
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pydantic import ValidationError

from selfplay.config.errors import UserError
from verifiers.untrusted.files import read_text

if TYPE_CHECKING:
    from sandbox.model import Sandbox
    from verifiers.service.known import Opened
    from verifiers.service.settings import ServiceLimits

TOKEN_VARIABLE = "SELFPLAY_SERVE_TOKEN"
_NEEDED = ("fastapi", "uvicorn", "prometheus_client")
_SHORTEST_TOKEN = 16
_FILES, _FILES_OF_OURS = 8192, 256
_BACKLOG = 512


class ServeError(UserError):
    """The service can't start; the message says why and what mends it."""


def missing_extra() -> str:
    """One sentence on what has to be installed first; empty when nothing has."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    return f"selfplay serve needs {', '.join(missing)}: install the extra with `pip install 'promptcot[serve]'`"


def read_tokens(file: Path | None) -> list[str]:
    """The tokens of a file, one a line, else the one of the environment, else none. Raises ServeError for no token."""
    if file is not None:
        read = read_text(file, lambda sentence: ServeError(f"--token-file {sentence}"))
        found, source = read.strip().splitlines() or [""], str(file)
    elif TOKEN_VARIABLE in os.environ:
        found, source = [os.environ[TOKEN_VARIABLE]], TOKEN_VARIABLE
    else:
        return []
    tokens = [token.strip() for token in found]
    for token in tokens:
        if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
            raise ServeError(
                f"{source}: a token has at least {_SHORTEST_TOKEN} ASCII characters and no blanks; make one with "
                "`python -c 'import secrets; print(secrets.token_urlsafe())'`"
            )
    return tokens


def bind(host: str, port: int, tokens: Sequence[str]) -> socket.socket:
    """A listening socket. Raises ServeError where that fails, or where others could reach it without a token."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServeError(f"--host {host}: {error}") from error
    family, _, _, _, address = found[0]
    if not tokens and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ServeError(
            f"--host {host}: other machines could reach the service there, so it needs a token; set {TOKEN_VARIABLE} "
            "or give --token-file, or bind to 127.0.0.1"
        )
    # The protocol by name: asyncio sets TCP_NODELAY only on sockets that have it, and answers wait 40 ms without.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Else it would take IPv4, too, where the address that was looked at says nothing of who can reach it.
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        taken = "; another process listens there: give another --port, or 0 for a free one"
        remedy = taken if error.errno == errno.EADDRINUSE else ""
        raise ServeError(f"--host {host} --port {port}: {error.strerror or error}{remedy}") from error
    return listening


def sandbox_opener(section: Mapping[str, Any], file: Path | None) -> Callable[[], Sandbox]:
    """Opens a sandbox as the section `sandbox` of a file says. Raises ServeError for a section that is none."""
    from sandbox.open import open_sandbox
    from selfplay.config.sandbox import SandboxSettings

    try:
        settings = SandboxSettings.model_validate(section)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, ("sandbox", *fault["loc"])))
        raise ServeError(f"{file}: {place}: {fault['msg']}") from error
    return functools.partial(
        open_sandbox, settings.backend, settings.waive, server=settings.server, packages=settings.packages
    )


def serve(
    verifiers: str,
    verifiers_file: Path | None,
    *,
    host: str,
    port: int,
    token_file: Path | None,
    workers: int,
    drain_s: int,
    limits: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Serves until SIGTERM or SIGINT, then answers what it has accepted, and closes the verifiers.

    Raises ServeError or UnusableService before a request is answered, and SystemExit(0) at the end.
    """
    from sandbox.process.priority import come_first, stand_back
    from verifiers.service.known import open_all
    from verifiers.service.settings import merged, parse_verifiers, read_limits, read_verifiers

    bounds = read_limits(limits)
    tokens = read_tokens(token_file)
    named = parse_verifiers(verifiers) if verifiers or verifiers_file is None else []
    described, sandbox = ([], {}) if verifiers_file is None else read_verifiers(verifiers_file)
    wanted = merged(named, described)
    opener = sandbox_opener(sandbox, verifiers_file)
    defaults: dict[str, dict[str, Any]] = {
        "math": {"workers": workers},
        "math_verify": {"workers": workers},
        # No client has all sandboxes: one more than it may keep busy is there for another's programs.
        "code": {"workers": workers + 1, "open_sandbox": opener, "deadline_s": bounds.request_s},
    }
    # uvicorn raises the signal that ended it once more when it is done; and one that comes before must end us too.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    come_first()
    with bind(host, port, tokens) as listening:
        opened = open_all(
            wanted,
            defaults=defaults,
            probe_sandbox=lambda: opener().close(),
            quick_s=bounds.quick_s,
            quick_opened=lambda: stand_back(bounds.niceness),
        )
        say(f"serving {', '.join(opened)} on {_url(listening)} ({_who(listening, tokens)})")
        _run(listening, opened, bounds, tokens, drain_s)


def _run(
    listening: socket.socket, opened: Mapping[str, Opened], limits: ServiceLimits, tokens: Sequence[str], drain_s: int
) -> None:
    import uvicorn

    from verifiers.service.app import create_service

    logging.basicConfig(format="%(levelname)s %(message)s")
    # What a judging thread reads must not hold up the event loop for long.
    sys.setswitchinterval(0.0005)
    room = _files_allowed() - _FILES_OF_OURS
    if limits.connections > room:
        limits = limits.model_copy(update={"connections": max(1, room)})
    app, connections = create_service(opened, limits, tokens=tokens)
    config = uvicorn.Config(
        app,
        http=connections.protocol,  # type: ignore[arg-type]
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=math.ceil(limits.idle_s),
        timeout_graceful_shutdown=drain_s,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _files_allowed() -> int:
    """Asks for as many file descriptors as connections may need, and returns how many there may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted if soft == resource.RLIM_INFINITY else max(soft, wanted)


def _stop(*_: object) -> NoReturn:
    raise SystemExit(0)


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _who(listening: socket.socket, tokens: Sequence[str]) -> str:
    where = "this machine only" if ipaddress.ip_address(listening.getsockname()[0]).is_loopback else "the network"
    return f"{where}, {'with a token' if tokens else 'no token'}"
