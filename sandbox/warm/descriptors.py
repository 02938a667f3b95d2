"""Files in memory: the fork server's code and all data go to and from a sandbox by them, with no pipe to pump and no
folder to clean."""

from __future__ import annotations
import __future__

import fcntl
import functools
import marshal
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType

_POSTPONED = b"from __future__ import annotations\n"
_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_INSIDE = ("wire", "plain", "program_text", "child", "process_tree", "box", "zygote")
INSIDE_MODULES = ("sandbox", "sandbox.inside", *(f"sandbox.inside.{name}" for name in _INSIDE))
"""In the order of their imports."""

BUNDLE_ENV = "SANDBOX_BUNDLE"
"""Environment variable naming the blob's descriptor."""

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "PYTHONDONTWRITEBYTECODE": "1",
    # One order of sets and dicts of strings, so that a program gives one answer.
    "PYTHONHASHSEED": "0",
}
"""Of every fork server and its programs."""

BIND_NOW = {"LD_BIND_NOW": "1"}
"""Environment of a fork server's start: what the linker looks up then, no test looks up and copies."""

_LOADER = f"""
import sys
for name in ("LD_BIND_NOW", "{BUNDLE_ENV}"):
    del posix.environ[name.encode()]
    posix.unsetenv(name)
for name, code in modules:
    module = sys.modules[name] = type(sys)(name)
    module.__file__ = code.co_filename
    exec(code, module.__dict__)
"""
_LOAD = f"""
import marshal, posix
fd = int(posix.environ[b"{BUNDLE_ENV}"])
loader, modules = marshal.loads(posix.pread(fd, posix.fstat(fd).st_size, 0))
exec(loader)
"""
"""Short, since it is compiled at each start."""

ENTRY = f'{_LOAD}sys.modules["sandbox.inside.zygote"].serve()\n'
"""The code that the interpreter inside is started with."""

LANDLOCK_MODULES = ("sandbox.landlock", "sandbox.landlock.rules", "sandbox.landlock.inside")
LANDLOCK_ENTRY = f'{_LOAD}sys.modules["sandbox.landlock.inside"].main()\n'
"""The same where there are no namespaces."""


def open_sealed(data: bytes) -> int:
    """A descriptor of an anonymous file that nobody can change any more; the caller closes it."""
    fd = os.memfd_create("data", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        written = 0
        while written < len(data):
            # The place to read from stays the start.
            written += os.pwrite(fd, memoryview(data)[written:], written)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(fd)
        raise
    return fd


def open_program(data: bytes) -> int:
    """The same of a file to be executed, which none can be that is open for writing anywhere."""
    fd = open_sealed(data)
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def fill(fd: int, data: bytes) -> None:
    """Writes every byte."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


@contextmanager
def scratch_files(count: int) -> Iterator[list[int]]:
    """Descriptors of empty anonymous files for a program to write to, closed at the end."""
    fds = [os.memfd_create("output", os.MFD_CLOEXEC) for _ in range(count)]
    try:
        yield fds
    finally:
        for fd in fds:
            os.close(fd)


def read_back(fd: int, limit: int) -> bytes:
    """The file's first bytes, at most `limit`."""
    size = size_of(fd)
    return os.pread(fd, min(size, limit), 0) if size else b""


def size_of(fd: int) -> int:
    """The file's length in bytes."""
    return os.lseek(fd, 0, os.SEEK_END)


@functools.cache
def bundle(further: tuple[str, ...] = ()) -> bytes:
    """The blob: what loads the modules that run inside, and their names and code, `further` ones last.

    It needs the same interpreter on both sides.
    """
    loader = compile(_LOADER, "<loader>", "exec", dont_inherit=True)
    return marshal.dumps((loader, [(name, code_of(name)) for name in (*INSIDE_MODULES, *further)]))


@functools.cache
def code_of(module: str) -> CodeType:
    """The code of one of this package's modules, without docstrings, which would only take time to load.

    So would the module __future__, which an import from it loads although the compiler alone needs to know.
    """
    text, flags = source_of(module), 0
    if _POSTPONED in text:
        text, flags = text.replace(_POSTPONED, b"\n", 1), __future__.annotations.compiler_flag
    code: CodeType = compile(text, f"<{module}>", "exec", flags, dont_inherit=True, optimize=2)
    return code


def source_of(module: str) -> bytes:
    """The text of one of this package's modules; none for a folder, whose modules are shipped one by one."""
    place = Path(__file__).parents[2].joinpath(*module.split("."))
    return b"" if place.is_dir() else place.with_suffix(".py").read_bytes()
