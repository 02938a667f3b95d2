"""The program that runs on a SandboxFusion server for one test: the fork server's work once, and a report of it.

The server's own account of a program (text, cut at a length of its choosing, wall time only) is not enough to
judge by, so the program is a child of this one, with its input, output and limits in our hands. The report goes
out by standard output, or, if it is long, by a file that the server is asked for; either way behind a nonce that
stays unread in standard input until every process of the test has ended. A program that reaches this process all
the same (it runs as the same user) can forge the report, and gains what it would by printing or returning the
same.

Standard library only, and nothing newer than Python 3.9.
"""

from __future__ import annotations

import base64
import json
import os
import resource
import sys
from struct import Struct

from sandbox.inside import child, wire, zygote
from sandbox.inside.box import WatchedBox
from sandbox.inside.process_tree import Subreaper

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

REPORT_FILE = "sandbox-report"
"""Name of the file for a long report, in the folder that the server starts programs in."""
LENGTHS = Struct("<3Q")
"""After the nonce and the reply: bytes of standard output, standard error and value, which follow."""
NONCE_BYTES = 32
_PRINTED = 256 << 10
_BOX = "box"
_STACK = 6
"""Place of the stack's size in a request."""


def main() -> None:
    """Reads a job, runs it, reports."""
    job = json.loads(_read_block())
    zygote.prepare()
    child.reserve_descriptors()
    os.mkdir(_BOX, 0o700)
    os.chdir(_BOX)
    box = os.environ["HOME"] = os.environ["TMPDIR"] = os.getcwd()
    sys.path[:] = [folder for folder in sys.path if folder]
    tree = Subreaper()
    body = _run(job, zygote.Ground(tree, WatchedBox(box, tree)))
    os.chdir("..")
    _report(_read_block(), body)


def _read_block() -> bytes:
    """The next block of standard input, which stands after its length in decimal and a line end."""
    digits = b""
    while (digit := os.read(0, 1)) not in (b"\n", b""):
        digits += digit
    block = bytearray()
    while len(block) < int(digits):
        part = os.read(0, int(digits) - len(block))
        if not part:
            raise EOFError("standard input ended early")
        block += part
    return bytes(block)


def _run(job: dict[str, Any], ground: zygote.Ground) -> bytes:
    given = [_file("input", base64.b64decode(job["input"])), *(_output(name) for name in ("stdout", "stderr"))]
    if job["value"]:
        given.append(_output("value"))
    if "binary" in job:
        given.append(_file("program", base64.b64decode(job["binary"])))
        if not os.access("../program", os.X_OK):
            raise PermissionError("programs cannot be executed from the folder that the server starts them in")
    given.append(_file("job", base64.b64decode(job["program"])))
    reply = zygote.Runner(ground).run(_possible(base64.b64decode(job["request"])), given)
    most = job["output_bytes"]
    parts = [os.pread(given[wire.STDOUT], most, 0), os.pread(given[wire.STDERR], most, 0)]
    parts.append(os.pread(given[wire.VALUE], wire.VALUE_BYTES + 1, 0) if job["value"] else b"")
    return b"".join([reply, LENGTHS.pack(*map(len, parts)), *parts])


def _possible(request: bytes) -> bytes:
    """The same request, with a stack that this server can give. Less of any other limit would be another verdict."""
    fields = list(wire.REQUEST.unpack(request))
    most = resource.getrlimit(resource.RLIMIT_STACK)[1]
    if most != resource.RLIM_INFINITY:
        fields[_STACK] = min(fields[_STACK], most)
    return wire.REQUEST.pack(*fields)


# Files with a name, beside the box and not in it: anonymous ones (memfd) are not to be had on every server.
def _output(name: str) -> int:
    return os.open(f"../{name}", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)


def _file(name: str, data: bytes) -> int:
    with open(f"../{name}", "xb") as file:
        file.write(data)
    # Not writable any more, since what somebody may write cannot be executed.
    os.chmod(f"../{name}", 0o500)
    return os.open(f"../{name}", os.O_RDONLY)


def _report(nonce: bytes, body: bytes) -> None:
    if len(body) > _PRINTED:
        file = os.open(REPORT_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        with os.fdopen(file, "wb") as report:
            report.write(nonce + body)
        body = b""
    text = memoryview(b"\n" + nonce + b":" + base64.b64encode(body) + b":" + nonce + b"\n")
    while text:
        text = text[os.write(1, text) :]
