"""The fork server's code as one blob, compiled by the caller, so that a start neither reads nor compiles sources."""

from __future__ import annotations

import functools
import marshal
from pathlib import Path

_INSIDE = ("wire", "plain", "program_text", "child", "process_tree", "box", "zygote")
INSIDE_MODULES = ("sandbox", "sandbox.inside", *(f"sandbox.inside.{name}" for name in _INSIDE))
"""In the order of their imports."""

BUNDLE_ENV = "SANDBOX_BUNDLE"
"""Environment variable naming the blob's descriptor."""

_LOAD = f"""
import marshal, os, sys
fd = int(os.environ.pop("{BUNDLE_ENV}"))
for name, code in marshal.loads(os.pread(fd, os.fstat(fd).st_size, 0)):
    module = sys.modules[name] = type(sys)(name)
    module.__file__ = code.co_filename
    exec(code, module.__dict__)
"""

ENTRY = f'{_LOAD}sys.modules["sandbox.inside.zygote"].serve()\n'
"""What the interpreter inside is started with."""

LANDLOCK_MODULES = ("sandbox.landlock", "sandbox.landlock.rules", "sandbox.landlock.inside")
LANDLOCK_ENTRY = f'{_LOAD}sys.modules["sandbox.landlock.inside"].main()\n'
"""The same where there are no namespaces."""


@functools.cache
def bundle(further: tuple[str, ...] = ()) -> bytes:
    """The blob: names and code of the modules that run inside, `further` ones last.

    It needs the same interpreter on both sides.
    """
    codes = []
    for name in (*INSIDE_MODULES, *further):
        codes.append((name, compile(source_of(name), f"<{name}>", "exec", dont_inherit=True)))
    return marshal.dumps(codes)


def source_of(module: str) -> bytes:
    """The text of one of this package's modules; none for a folder, whose modules are shipped one by one."""
    place = Path(__file__).parents[2].joinpath(*module.split("."))
    return b"" if place.is_dir() else place.with_suffix(".py").read_bytes()
