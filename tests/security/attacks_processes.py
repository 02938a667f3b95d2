"""Multiplying, outliving the test, and reaching the fork server or anyone else by signals and process calls."""

from attack_kit import HARMLESS, MLE, OK, RE, TLE, Attack, attack, endless

# fmt: off

_ORPHAN = """
    import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            {}
        os._exit(0)
    os.wait()
    print('done')
"""

BOMBS = [
    # On a busy host the look that counts shared pages once takes too long, and each counts for every process.
    attack("fork_bomb", (TLE, RE, MLE), """
        import os
        while True:
            try: os.fork()
            except OSError: pass
    """),
    attack("fork_bomb_quiet", (TLE, RE), """
        import os, time
        while True:
            try: os.fork()
            except OSError: time.sleep(0.01)
    """),
    attack("thread_bomb", (TLE, RE), """
        import threading, time
        while True: threading.Thread(target=time.sleep, args=(60,)).start()
    """),
    attack("spawn_bomb", (RE, TLE, MLE), """
        import os
        while True: os.posix_spawn('/bin/sleep', ['sleep', '60'], os.environ)
    """),
    attack("zombie_bomb", (RE, TLE), """
        import os
        while True:
            if os.fork() == 0: os._exit(0)
    """),
    attack("relay_of_forks", OK, """
        import os
        while True:
            if os.fork(): os._exit(0)
    """),
    attack("relay_behind_a_waiting_parent", (TLE, RE), """
        import os, time
        if os.fork() == 0:
            while True:
                if os.fork(): os._exit(0)
        time.sleep(60)
    """),
    endless("exec_chain", """
        import os, sys
        source = 'import os, sys; os.execv(sys.executable, [sys.executable, "-S", "-c", sys.argv[1], sys.argv[1]])'
        os.execv(sys.executable, [sys.executable, '-S', '-c', source, source])
    """),
    attack("bomb_of_shells", (TLE, RE, MLE), """
        import os
        os.execv('/bin/sh', ['sh', '-c', 'f() { f | f & }; f; while :; do :; done'])
    """),
    attack("processor_time_in_unwaited_children", (TLE, RE), """
        import os, time
        while True:
            if os.fork() == 0:
                end = time.process_time() + 0.08
                while time.process_time() < end: pass
                os._exit(0)
            time.sleep(0.08)
    """),
    attack("processor_time_in_orphans", (TLE, RE), """
        import os, time
        while True:
            if os.fork() == 0:
                if os.fork() == 0:
                    end = time.process_time() + 0.08
                    while time.process_time() < end: pass
                os._exit(0)
            os.wait()
            time.sleep(0.08)
    """),
    endless("processor_time_in_threads", """
        import threading
        def burn():
            while True: sum(range(1000))
        for _ in range(8): threading.Thread(target=burn).start()
    """),
]

OUTLIVING = [
    attack("orphan_holding_stdout", OK, _ORPHAN.format("time.sleep(100)")),
    attack("orphan_writing_files", OK, _ORPHAN.format("while True: open('/tmp/alive', 'w').write('x')")),
    attack("orphan_writing_stdout", OK, _ORPHAN.format("while True: os.write(1, b'ESCAPED'[:0])")),
    attack("orphan_ignoring_signals", OK, _ORPHAN.format(
        "import signal\n            signal.signal(15, signal.SIG_IGN)\n            while True: pass"
    )),
    attack("orphans_with_a_subreaper", OK, """
        import ctypes, os, time
        ctypes.CDLL(None).prctl(36, 1)
        for _ in range(6):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0: time.sleep(100)
                os._exit(0)
            os.wait()
    """),
    attack("sibling_by_clone_parent", HARMLESS, """
        import ctypes, os, time
        # CLONE_PARENT makes the fork server the parent.
        if ctypes.CDLL(None).syscall(56, 0x8000 | 17, 0, 0, 0, 0) == 0: time.sleep(100)
    """),
    attack("child_that_announces_no_end", HARMLESS, """
        import ctypes, os, time
        # No exit signal: an ordinary wait does not find such a child.
        if ctypes.CDLL(None).syscall(56, 0, 0, 0, 0, 0) == 0:
            os.setsid()
            time.sleep(100)
    """),
    attack("stopped_children", OK, """
        import os, signal
        for _ in range(6):
            if os.fork() == 0:
                while True: os.kill(os.getpid(), signal.SIGSTOP)
    """),
    attack("thread_left_running", (OK, TLE), """
        import os, threading
        def burn():
            while True: pass
        threading.Thread(target=burn).start()
        os._exit(0)
    """),
    attack("children_that_end_without_a_signal", OK, """
        import ctypes, time
        libc = ctypes.CDLL(None)
        # Of this process, of its parent; with no signal for the parent at their end, and with another.
        for flags in (0, 10, 0x8000, 0x8000 | 10):
            if libc.syscall(56, flags, 0, 0, 0, 0) == 0:
                libc.syscall(56, flags, 0, 0, 0, 0)
                time.sleep(100)
    """),
    attack("children_in_new_groups", OK, """
        import os, time
        for _ in range(8):
            if os.fork() == 0:
                os.setpgid(0, 0)
                time.sleep(100)
    """),
]

_ALL_SIGNALS = "[n for n in range(1, 65) if n not in (32, 33)]"

REACHING = [
    attack("kill_everything", HARMLESS, "import os\nos.kill(-1, 9)"),
    attack("kill_parent", HARMLESS, f"""
        import os, time
        for n in {_ALL_SIGNALS}:
            for pid in (1, os.getppid()): os.kill(pid, n)
        time.sleep(0.1)
    """),
    attack("kill_process_group", RE, "import os\nos.killpg(0, 9)\nprint('ESCAPED')"),
    attack("queue_signals_to_parent", HARMLESS, f"""
        import ctypes, os
        libc = ctypes.CDLL(None)
        info = (ctypes.c_int * 32)(0, 0, -1)
        for n in {_ALL_SIGNALS}:
            info[0] = n
            libc.syscall(129, 1, n, info)
            libc.syscall(297, 1, 1, n, info)
            libc.syscall(200, 1, n)
            libc.syscall(234, 1, 1, n)
    """),
    attack("signal_parent_by_pidfd", HARMLESS, f"""
        import os, signal
        fd = os.pidfd_open(1)
        for n in {_ALL_SIGNALS}: signal.pidfd_send_signal(fd, n)
    """),
    attack("kernel_signals_for_parent", HARMLESS, """
        import fcntl, os, signal, socket
        # The kernel itself sends what F_SETSIG names to whom F_SETOWN names.
        for number in (9, 19, 11, 34):
            for owner in (1, -1):
                a, b = socket.socketpair()
                fcntl.fcntl(a, fcntl.F_SETOWN, owner)
                fcntl.fcntl(a, 10, number)
                fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
                b.send(b'x')
    """),
    attack("death_signal_for_parent", HARMLESS, """
        import ctypes, os
        libc = ctypes.CDLL(None)
        if libc.syscall(56, 0x8000 | 9, 0, 0, 0, 0) == 0: os._exit(0)
    """),
    attack("pidfd_of_parent_to_descriptors", HARMLESS, """
        import os, ctypes
        fd = os.pidfd_open(1)
        for n in range(64):
            if ctypes.CDLL(None).syscall(438, fd, n, 0) >= 0: print('ESCAPED', n)
    """),
    attack("limit_the_fork_server", RE,
           "import resource\nresource.prlimit(1, resource.RLIMIT_NOFILE, (0, 0))\nprint('ESCAPED')"),
    attack("pin_the_fork_server", RE, "import os\nos.sched_setaffinity(1, {0})\nprint('ESCAPED')"),
    attack("idle_the_fork_server", RE,
           "import os\nos.sched_setscheduler(1, os.SCHED_IDLE, os.sched_param(0))\nprint('ESCAPED')"),
    attack("renice_the_fork_server", RE, "import os\nos.setpriority(os.PRIO_PROCESS, 1, 19)\nprint('ESCAPED')"),
    attack("renice_the_user", RE, "import os\nos.setpriority(os.PRIO_USER, 0, 19)\nprint('ESCAPED')"),
    attack("renice_the_group", RE, "import os\nos.setpriority(os.PRIO_PGRP, 0, 19)\nprint('ESCAPED')"),
    attack("memory_of_the_fork_server", RE, "open('/proc/1/mem', 'r+b')\nprint('ESCAPED')"),
    attack("descriptors_of_the_fork_server", HARMLESS, """
        import os
        for place in ('1', 'self/task/../../1', 'thread-self/../../../1', 'self/root/proc/1', '1/../1', 'self/../1'):
            for name in ('fd', 'task', 'mem', 'environ', 'maps', 'cwd', 'root', 'ns', 'map_files'):
                if os.path.lexists(f'/proc/{place}/{name}'): print('ESCAPED', place, name)
    """),
    attack("environment_of_the_fork_server", RE, "open('/proc/1/environ').read()\nprint('ESCAPED')"),
    attack("inherited_descriptors", HARMLESS, """
        import os
        for n in range(3, 1024):
            try: kind = os.readlink(f'/proc/self/fd/{n}')
            except OSError: continue
            if not kind.startswith('/proc/'): print('ESCAPED', n, kind)
    """),
    attack("ptrace", HARMLESS, """
        import ctypes, os
        libc = ctypes.CDLL(None)
        for request in (0, 16, 0x4206):
            for pid in (0, 1, os.getppid()):
                if libc.ptrace(request, pid, 0, 0) == 0: print('ESCAPED')
    """),
    attack("process_memory_calls", HARMLESS, """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        # read and write of another's memory, kcmp, process_madvise, move_pages, migrate_pages, get_robust_list
        for number in (310, 311, 312, 440, 279, 256, 274):
            ctypes.set_errno(0)
            if libc.syscall(number, 1, None, 0, None, 0, 0) >= 0 or ctypes.get_errno() != 1: print('ESCAPED', number)
    """),
    attack("scheduling_of_others", HARMLESS, """
        import ctypes
        libc = ctypes.CDLL(None)
        # PR_SCHED_CORE: create, share to and from the fork server; then ioprio_set
        for command in (1, 2, 3):
            if libc.prctl(62, command, 1, 0, 0) == 0: print('ESCAPED core', command)
        for which in (1, 2, 3):
            if libc.syscall(251, which, 1, 3 << 13) == 0: print('ESCAPED io', which)
    """),
]

ATTACKS: list[Attack] = [*BOMBS, *OUTLIVING, *REACHING]
