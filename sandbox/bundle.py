"""The fork server's code as one blob, compiled by the caller, so that a start neither reads nor compiles sources."""

from __future__ import annotations

import functools
import marshal
from pathlib import Path

_MODULES = (
    *("sandbox", "sandbox.wire", "sandbox.plain", "sandbox.program_text", "sandbox.child"),
    *("sandbox.process_tree", "sandbox.box", "sandbox.zygote"),
)
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

ENTRY = f'{_LOAD}sys.modules["sandbox.zygote"].serve()\n'
"""What the interpreter inside is started with."""

LANDLOCK_MODULES = ("sandbox.landlock_rules", "sandbox.landlock_inside")
LANDLOCK_ENTRY = f'{_LOAD}sys.modules["sandbox.landlock_inside"].main()\n'
"""The same where there are no namespaces."""


@functools.cache
def bundle(further: tuple[str, ...] = ()) -> bytes:
    """The blob: names and code of the modules that run inside, `further` ones last.

    It needs the same interpreter on both sides.
    """
    folder = Path(__file__).parent
    codes = []
    for name in (*_MODULES, *further):
        file = folder / f"{name.partition('.')[2] or '__init__'}.py"
        codes.append((name, compile(file.read_bytes(), f"<{name}>", "exec", dont_inherit=True)))
    return marshal.dumps(codes)
