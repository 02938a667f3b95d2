"""The work of `selfplay serve`: opens the verifiers, binds, and answers until it is told to stop."""

from __future__ import annotations

import functools
import ipaddress
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
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
_FILES = 8192
_CONNECTIONS = 1000
_BACKLOG = 512


class ServeError(UserError):
    """The service can't start; the message says why and what mends it."""


def missing_extra() -> str:
    """One sentence on what has to be installed first; empty when nothing has."""
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if not missing:
        return ""
    return f"selfplay serve needs {', '.join(missing)}: install the extra with `pip install 'promptcot[serve]'`"


def read_token(file: Path | None) -> str | None:
    """The token from a file, else from the environment, else None. Raises ServeError for one that is no token."""
    if file is not None:
        token, source = read_text(file, lambda sentence: ServeError(f"--token-file {sentence}")).strip(), str(file)
    elif TOKEN_VARIABLE in os.environ:
        token, source = os.environ[TOKEN_VARIABLE].strip(), TOKEN_VARIABLE
    else:
        return None
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise ServeError(
            f"{source}: a token has at least {_SHORTEST_TOKEN} ASCII characters and no blanks; make one with "
            "`python -c 'import secrets; print(secrets.token_urlsafe())'`"
        )
    return token


def bind(host: str, port: int, token: str | None) -> socket.socket:
    """A listening socket. Raises ServeError where that fails, or where others could reach it without a token."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise ServeError(f"--host {host}: {error}") from error
    family, _, _, _, address = found[0]
    if token is None and not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_loopback:
        raise ServeError(
            f"--host {host}: other machines could reach the service there, so it needs a token; set {TOKEN_VARIABLE} "
            "or give --token-file, or bind to 127.0.0.1"
        )
    # The protocol by name: asyncio sets TCP_NODELAY only on sockets that have it, and answers wait 40 ms without.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise ServeError(f"--host {host} --port {port}: {error}") from error
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


def read_limits(settings: Sequence[str]) -> dict[str, int | float]:
    """Reads `name=number` for the fields of ServiceLimits. Raises ServeError for another name or no number."""
    from verifiers.service.settings import ServiceLimits

    kinds = {name: type(value) for name, value in asdict(ServiceLimits()).items()}
    found: dict[str, int | float] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in kinds:
            raise ServeError(f"--limit {setting}: there is no such limit; there are: {', '.join(kinds)}")
        try:
            found[name] = kinds[name](text)
        except ValueError as error:
            raise ServeError(f"--limit {setting}: must be a number ({kinds[name].__name__})") from error
    return found


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
    from verifiers.service.known import open_all
    from verifiers.service.settings import ServiceLimits, merged, parse_verifiers, read_verifiers

    bounds = ServiceLimits(**read_limits(limits))  # type: ignore[arg-type]
    token = read_token(token_file)
    named = parse_verifiers(verifiers) if verifiers or verifiers_file is None else []
    described, sandbox = ([], {}) if verifiers_file is None else read_verifiers(verifiers_file)
    wanted = merged(named, described)
    opener = sandbox_opener(sandbox, verifiers_file)
    defaults: dict[str, dict[str, Any]] = {
        "math": {"workers": workers},
        "math_verify": {"workers": workers},
        "code": {"workers": workers, "open_sandbox": opener},
    }
    # uvicorn raises the signal that ended it once more when it is done; and one that comes before must end us too.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _stop)
    with bind(host, port, token) as listening:
        opened = open_all(wanted, defaults=defaults, probe_sandbox=lambda: opener().close())
        say(f"serving {', '.join(opened)} on {_url(listening)} ({_who(listening, token)})")
        _run(listening, opened, bounds, token, drain_s)


def _run(
    listening: socket.socket, opened: Mapping[str, Opened], limits: ServiceLimits, token: str | None, drain_s: int
) -> None:
    import uvicorn

    from verifiers.service.app import create_service

    logging.basicConfig(format="%(levelname)s %(message)s")
    _allow_files()
    config = uvicorn.Config(
        create_service(opened, limits, token=token),
        http="h11",
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=drain_s,
    )
    uvicorn.Server(config).run(sockets=[listening])


def _allow_files() -> None:
    """As many connections as are answered need file descriptors, and the usual limit is as small."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _stop(*_: object) -> NoReturn:
    raise SystemExit(0)


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _who(listening: socket.socket, token: str | None) -> str:
    where = "this machine only" if ipaddress.ip_address(listening.getsockname()[0]).is_loopback else "the network"
    return f"{where}, {'with a token' if token else 'no token'}"
