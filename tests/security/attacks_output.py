"""Floods, and tricks with the three standard streams, which are files in memory that the host reads afterwards."""

from attack_kit import HARMLESS, MLE, OK, OLE, RE, TLE, Attack, attack, endless

# fmt: off

ATTACKS: list[Attack] = [
    attack("output_flood", OLE, "while True: print('x' * 4096)"),
    attack("stderr_flood", OLE, "import sys\nwhile True: sys.stderr.write('x' * 4096)"),
    attack("one_huge_line", OLE, "import sys\nwhile True: sys.stdout.write('x' * 4096)"),
    attack("flood_then_success", OLE, "import os\nfor _ in range(40): os.write(1, b'x' * 4096)\nos._exit(0)"),
    attack("flood_of_small_writes", (OLE, TLE), "import os\nwhile True: os.write(2, b'x')"),
    attack("flood_from_children", OLE, """
        import os
        for _ in range(3): os.fork()
        while True: os.write(1, b'x' * 4096)
    """),
    attack("flood_from_an_orphan", (OK, OLE), """
        import os
        if os.fork() == 0:
            while True: os.write(1, b'x' * 4096)
    """),
    attack("flood_of_tracebacks", OLE, "raise ValueError('x' * 100_000)"),
    attack("sparse_output", (OLE, RE), "import os\nos.ftruncate(1, 1 << 40)"),
    attack("sparse_output_within_the_file_limit", OLE, "import os\nos.ftruncate(1, 1 << 22)"),
    attack("hole_in_output", OLE, "import os\nos.pwrite(1, b'x', 1 << 22)"),
    attack("output_reopened_and_emptied", OK, """
        import os
        print('wrong', flush=True)
        os.ftruncate(os.open('/dev/stdout', os.O_WRONLY), 0)
    """),
    attack("flood_hidden_by_truncation", (OK, OLE, TLE), """
        import os
        for _ in range(200):
            os.pwrite(1, b'x' * 65536, 0)
            os.ftruncate(1, 0)
    """),
    attack("output_sealed", HARMLESS, """
        import fcntl, os
        for fd in (0, 1, 2):
            try: fcntl.fcntl(fd, 1033, 0xf)
            except OSError: pass
            try: fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            except OSError: pass
    """),
    attack("streams_locked", HARMLESS, """
        import fcntl, os, struct
        for fd in (0, 1, 2):
            try: fcntl.flock(fd, fcntl.LOCK_EX)
            except OSError: pass
            try: fcntl.lockf(fd, fcntl.LOCK_EX)
            except OSError: pass
            try: fcntl.fcntl(fd, 37, struct.pack('hhqqi4x', 1, 0, 0, 0, 0))
            except OSError: pass
        print('x', flush=True)
    """),
    attack("streams_with_other_flags", OK, """
        import fcntl, os
        for fd in (0, 1, 2):
            fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND | os.O_NONBLOCK | os.O_ASYNC)
            fcntl.fcntl(fd, fcntl.F_SETOWN, 1)
        os.lseek(0, 1 << 40, 0)
        os.lseek(1, 1 << 20, 0)
    """),
    attack("streams_chmodded", HARMLESS, """
        import os
        for fd in (0, 1, 2):
            try: os.fchmod(fd, 0)
            except OSError: pass
    """),
    attack("stdin_rewritten", RE, """
        import os
        fd = os.open('/dev/stdin', os.O_RDWR)
        os.write(fd, b'x')
        print('ESCAPED')
    """),
    attack("stdin_mapped_for_writing", RE, """
        import mmap, os
        m = mmap.mmap(os.open('/proc/self/fd/0', os.O_RDWR), 0, mmap.MAP_SHARED)
        m[0] = 0
        print('ESCAPED')
    """),
    attack("stdin_grown", RE, "import os\nos.ftruncate(os.open('/dev/stdin', os.O_RDWR), 1 << 20)\nprint('ESCAPED')"),
    attack("streams_closed", OK, "import os\nos.closerange(0, 3)\nos._exit(0)"),
    attack("stdin_never_read", OK, "print('x')"),
    attack("read_past_the_end", RE, "while True: input()"),
    endless("read_past_the_end_in_silence", "import sys\nwhile True: sys.stdin.read()"),
    attack("huge_exit_message", OLE, "raise SystemExit('x' * (1 << 20))"),
    attack("exit_code_beyond_a_byte", HARMLESS, "raise SystemExit(256)"),
    attack("exit_code_huge", HARMLESS, "raise SystemExit(10 ** 5000)"),
    attack("broken_text_in_output", HARMLESS, "import os\nos.write(1, bytes(range(256)) * 100)\nprint('\\ud800')"),
    attack("output_to_a_full_device", HARMLESS, "import os\nos.dup2(os.open('/dev/full', os.O_WRONLY), 1)\nprint('x')"),
    attack("output_by_a_shared_mapping_of_a_child", (OK, OLE, MLE), """
        import mmap, os, time
        os.ftruncate(1, 4096)
        m = mmap.mmap(1, 4096)
        if os.fork() == 0:
            while True: m[:] = b'y' * 4096
    """),
]
