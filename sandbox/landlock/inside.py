"""The inside of a sandbox without namespaces: a keeper, below it the fork server, below that the programs.

The keeper is what process 1 is to a namespace. Every orphan below it falls to it (it is a subreaper), so when the
fork server is gone, however it ended, the keeper ends all that is left and removes the folder. It runs nothing
else and reads nothing. Programs cannot signal it or the fork server: they enter a domain of their own first.
Standard library only.
"""

from __future__ import annotations

import ctypes
import fcntl
import marshal
import os
import sys
from _struct import Struct

from sandbox.inside import zygote
from sandbox.inside.box import WatchedBox, remove_folder
from sandbox.inside.process_tree import Subreaper, end_with_parent, process_control
from sandbox.landlock import rules as landlock_rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType
    from typing import Any, NoReturn

SETTINGS_ENV = "SANDBOX_LANDLOCK"
"""Environment variable naming the descriptor of the settings."""

_PR_SET_DUMPABLE, _PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 4, 22, 38
_SECCOMP_MODE_FILTER = 2
_INSTRUCTION_BYTES = 8
_KEEPER_AND_FORK_SERVER = 2
FIRST_STAGED = 300
STAGED = "/proc/self/fd"
"""Number of the first descriptor of a staged folder, and the folder in which it stands by its number."""
OWN_PID, OWN_GROUP = 0x5A5AA5A1, 0x5A5AA5A2
"""Stand in a filter for numbers that are known only in the process that it is for."""
_WORD, _SIGNED_WORD = Struct("<I"), Struct("<i")


def main() -> NoReturn:
    """Sets the sandbox up and serves until the host closes the channel."""
    fd = int(os.environ.pop(SETTINGS_ENV))
    settings = marshal.loads(os.pread(fd, os.fstat(fd).st_size, 0))  # the host wrote it, and sealed it
    os.setsid()
    staged = {path: _stage(path, FIRST_STAGED + place) for place, path in enumerate(settings["staged"])}
    rules = landlock_rules.ruleset(settings["paths"], settings["version"])
    # Above what the fork server closes when it starts.
    rules = fcntl.fcntl(rules, fcntl.F_DUPFD_CLOEXEC, FIRST_STAGED + len(staged))
    if settings["user"] is not None:
        _become(settings["user"])
    _look_through(staged)
    os.umask(0o077)
    os.mkdir(settings["box"], 0o700)
    os.mkdir(settings["links"], 0o700)
    for package in settings["packages"]:
        os.symlink(staged.get(package, package), f"{settings['links']}/{os.path.basename(package)}")
    process_control(_PR_SET_NO_NEW_PRIVS, 1)
    tree = Subreaper()
    keeper = os.getpid()
    pid = os.fork()
    if pid == 0:
        end_with_parent()
        if os.getppid() == keeper:
            # Its programs may leave it by SystemExit, and so this function, to end as Python does.
            zygote.serve(lambda: _ground(settings, rules))
        os._exit(1)
    _keep(pid, [settings["box"], settings["links"]], tree)


def _become(user: int) -> None:
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    # What the programs have open and in memory is watched, which the change of user forbids at first.
    process_control(_PR_SET_DUMPABLE, 1)


def _stage(folder: str, number: int) -> str:
    """Opens a folder that only this user can walk to; returns a path by which everyone below can."""
    opened = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    # Also for a compiler, which is another program.
    os.dup2(opened, number, inheritable=True)
    os.close(opened)
    return f"{STAGED}/{number}"


def _look_through(staged: dict[str, str]) -> None:
    """Has the interpreter find its own modules by the staged folders."""

    def moved(path: str) -> str:
        for folder, place in staged.items():
            if path == folder or path.startswith(f"{folder}/"):
                return place + path[len(folder) :]
        return path

    if not staged:
        return
    sys.path[:] = map(moved, sys.path)
    for module in list(sys.modules.values()):
        if isinstance(getattr(module, "__path__", None), list):
            module.__path__[:] = map(moved, module.__path__)
    sys.path_importer_cache.clear()


def _keep(fork_server: int, folders: list[str], tree: Subreaper) -> NoReturn:
    # The channel too, or the host would not see that the fork server is gone.
    os.closerange(3, 256)
    os.waitpid(fork_server, 0)
    for _ in tree.end():
        continue
    for folder in folders:
        remove_folder(folder)
    os._exit(0)


class _LateFinder:
    """Has Python's multiprocessing find what it needs here, once a program imports it.

    Not before: the modules that this takes cost more than all else of a small test.
    """

    def __init__(self, code: CodeType) -> None:
        self._code = code

    def find_spec(self, name: str, *_: object) -> None:
        if name == "multiprocessing":
            me: Any = self
            sys.meta_path.remove(me)
            names: dict[str, Any] = {"__name__": "sandbox.landlock.parallel"}
            exec(self._code, names)  # noqa: S102 - the host's own code
            names["CODE"] = marshal.dumps(self._code)
            names["install"]()


def _ground(settings: dict[str, Any], rules: int) -> zygote.Ground:
    box = os.environ["HOME"] = os.environ["TMPDIR"] = settings["box"]
    known = settings["version"]
    own = [(box, landlock_rules.OWN_FOLDER), (settings["links"], landlock_rules.READ)]
    landlock_rules.grant(rules, own, known)
    if settings["packages"]:
        sys.path.append(settings["links"])
    finder: Any = _LateFinder(settings["parallel"])
    sys.meta_path.insert(0, finder)
    for program in settings["filters"]:
        _install(program)
    alone = None if settings["user"] is None else _KEEPER_AND_FORK_SERVER
    tree = Subreaper(alone)
    return zygote.Ground(tree, WatchedBox(box, tree), _confinement(rules, known, settings["program_filter"]))


def _confinement(rules: int, known: int, program: bytes) -> Callable[[], None]:
    def confine() -> None:
        landlock_rules.restrict_self(rules, known)
        # Whoever holds the rules can add to them, for the programs that come after.
        os.close(rules)
        if program:
            _install(_for_process(program, os.getpid()))

    return confine


def _for_process(program: bytes, pid: int) -> bytes:
    """The filter for a process that leads its own group."""
    for mark, number in ((OWN_PID, pid), (OWN_GROUP, -pid)):
        program = program.replace(_WORD.pack(mark), _SIGNED_WORD.pack(number))
    return program


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def _install(program: bytes) -> None:
    filter_ = _Program(len(program) // _INSTRUCTION_BYTES, program)
    process_control(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.addressof(filter_))
