"""Poison for whoever runs next on the same warm sandbox. What it would change is compared after every attack."""

from attack_kit import HARMLESS, OK, RE, TLE, Attack, attack

# fmt: off

ATTACKS: list[Attack] = [
    attack("poisoned_modules", HARMLESS, """
        import builtins, sys, os, json, math
        builtins.print = None; math.sqrt = None; json.loads = None; os.fork = None; sys.modules.clear()
        sys.path[:] = ['/tmp']
        open('/tmp/math.py', 'w').write('raise SystemExit')
    """),
    attack("planted_modules", OK, """
        for n in ('math', 'statistics', 'typing', 'threading', 'queue', 'sitecustomize', 'usercustomize',
                  'json', 'decimal', 'numpy', 'fractions', 'heapq', 'contextlib'):
            open(f'/tmp/{n}.py', 'w').write('import os; os._exit(0)')
    """),
    attack("planted_and_then_named", HARMLESS, """
        import os, subprocess, sys
        import fractions, cmath, array
        open('/tmp/numbers.py', 'w').write('import os; os._exit(0)')
        os.environ['PYTHONPATH'] = '/tmp'; os.environ['LD_PRELOAD'] = '/tmp/x.so'
    """),
    attack("loop_of_the_fork_server", RE, """
        import os, sys
        z = sys.modules['sandbox.inside.zygote']
        os.environ['SANDBOX_CHANNEL'] = '0'
        z.serve()
    """),
    attack("channel_object", HARMLESS, """
        import gc, _socket
        for o in gc.get_objects():
            if isinstance(o, _socket.socket):
                o.send(b'x' * 48)
                print('ESCAPED')
    """),
    attack("forged_reply", HARMLESS, """
        import os, struct, sys
        wire = sys.modules['sandbox.inside.wire']
        reply = wire.REPLY.pack(0, 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
        for fd in range(3, 64):
            try: os.write(fd, reply); print('ESCAPED', fd)
            except OSError: pass
    """),
    attack("forged_fault", RE, """
        import os
        for fd in range(3, 64):
            try: os.write(fd, (1).to_bytes(4, 'little')); print('ESCAPED', fd)
            except OSError: pass
        raise SystemExit(1)
    """),
    attack("patched_child", HARMLESS, """
        import os, sys
        child = sys.modules['sandbox.inside.child']
        child._finish = child._flush = lambda code: 0
        os._exit = lambda code: None
        raise ValueError
    """),
    attack("return_into_the_fork_server", HARMLESS, """
        import os, sys
        os._exit = lambda code: None
        zygote = sys.modules['sandbox.inside.zygote']
        zygote._Watch = zygote._reap = lambda *a: None
        raise ValueError
    """),
    attack("hooks_everywhere", HARMLESS, """
        import atexit, builtins, gc, signal, sys, threading
        sys.settrace(lambda *a: None); sys.setprofile(lambda *a: None)
        sys.excepthook = sys.unraisablehook = sys.displayhook = print
        sys.meta_path.clear(); sys.path_hooks.clear(); sys.stdin = sys.stdout = None
        builtins.__import__ = None; gc.disable(); gc.set_threshold(1)
        sys.setrecursionlimit(10**6); sys.setswitchinterval(100); threading.stack_size(1 << 20)
        for n in (1, 2, 10, 12, 14, 15, 17): signal.signal(n, signal.SIG_IGN)
    """),
    attack("process_attributes", HARMLESS, """
        import ctypes, os, signal
        os.umask(0o777); os.nice(19); os.chdir('/usr'); os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        libc = ctypes.CDLL(None)
        # no dumps, name, death signal, timer slack, transparent huge pages, time stamp counter, subreaper
        for option, value in ((4, 0), (15, b'attack'), (1, 9), (29, 10**9), (41, 1), (26, 2), (36, 1)):
            libc.prctl(option, value, 0, 0, 0)
    """),
    attack("priority_of_the_session", HARMLESS, """
        for _ in range(3):
            try: open('/proc/self/autogroup', 'w').write('19')
            except OSError: pass
    """),
    attack("marks_on_the_folder", HARMLESS, """
        import array, ctypes, fcntl, os
        folder = os.open(os.environ['TMPDIR'], os.O_RDONLY)
        for mark in (0x00000040, 0x00000080, 0x00000020, 0x00000010, 0x00010000):
            try: fcntl.ioctl(folder, 0x40086602, array.array('i', [mark])); print('ESCAPED by flag', hex(mark))
            except OSError: pass
            try: fcntl.ioctl(folder, 0x401C5820, array.array("I", [mark, 0, 0, 7, 0, 0, 0])); print("ESCAPED", mark)
            except OSError: pass
        libc = ctypes.CDLL(None)
        if libc.syscall(469, folder, b'', (ctypes.c_uint64 * 4)(), 32, 0x1000) == 0: print('ESCAPED by file_setattr')
        os.utime('.', (1, 1))
        os.utime(os.environ['TMPDIR'], ns=(123456789, 987654321))
    """),
    attack("easy_victim", HARMLESS, "open('/proc/self/oom_score_adj', 'w').write('1000')"),
    attack("timers_left", OK, """
        import os, signal
        signal.setitimer(signal.ITIMER_REAL, 0.3, 0.01)
        signal.signal(signal.SIGALRM, signal.SIG_IGN)
        if os.fork() == 0: signal.alarm(1); signal.pause()
    """),
    attack("limits_lowered", HARMLESS, """
        import resource
        for kind in range(16):
            try: resource.setrlimit(kind, (1, 1))
            except (OSError, ValueError): pass
    """),
    attack("domain_of_its_own", HARMLESS, """
        import ctypes
        libc = ctypes.CDLL(None)
        rules = libc.syscall(444, (ctypes.c_uint64 * 1)(0x1fff), 8, 0)
        libc.syscall(446, rules, 0)
        libc.prctl(22, 1, 0, 0, 0)
    """),
    attack("late_writer", OK, """
        import os, time
        for _ in range(4):
            if os.fork() == 0:
                os.setsid()
                while True:
                    try: open('/tmp/late', 'a').write('x')
                    except OSError: pass
    """),
    attack("fork_until_the_very_end", (OK, RE, TLE), """
        import os, time
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            try:
                if os.fork() == 0: os.setsid()
            except OSError: pass
        os._exit(0)
    """),
    attack("descriptors_handed_on", HARMLESS, """
        import os, socket
        a, b = socket.socketpair()
        for _ in range(20): socket.send_fds(a, [b'x'], [0, 1, 2, a.fileno(), b.fileno()])
        if os.fork() == 0: os.setsid(); b.recv(1)
    """),
    attack("stdin_kept", OK, "import os, time\nif os.fork() == 0:\n    os.setsid(); os.lseek(0, 5, 0); time.sleep(50)"),
    attack("frozen_heap", HARMLESS, "import gc\ngc.freeze(); gc.set_debug(gc.DEBUG_LEAK)\nx = []; x.append(x)"),
    attack("interned_names", HARMLESS, """
        import ctypes, sys
        # What immutable objects of the interpreter look like is the process's own affair.
        ctypes.memset(id(7) + 24, 0x2a, 1)
        ctypes.memset(id('a') + 48, 0x62, 1)
    """),
    attack("heap_overwritten", (OK, RE), """
        import ctypes, gc
        for o in gc.get_objects()[:2000]: ctypes.memset(id(o), 0x41, 16)
    """),
]
