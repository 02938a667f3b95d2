"""Never ending, in every state that a process can be in."""

from attack_kit import MLE, OLE, RE, TLE, Attack, attack, endless

# fmt: off

ATTACKS: list[Attack] = [
    endless("busy_loop", "while True: pass"),
    endless("loop_ignoring_signals", """
        import signal
        for n in range(1, 65):
            try: signal.signal(n, signal.SIG_IGN)
            except (OSError, ValueError): pass
        while True: pass
    """),
    endless("loop_with_signals_blocked", """
        import signal
        signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
        while True: pass
    """),
    endless("loop_in_c", "sum(range(10**15))"),
    attack("loop_in_the_compiler", (TLE, MLE, RE), "x = " + "9**" * 3 + "9"),
    endless("loop_catching_everything", """
        while True:
            try:
                while True: pass
            except BaseException: pass
    """),
    endless("regex_backtracking", "import re\nre.match('(a+)+$', 'a' * 40 + 'b')"),
    endless("sleep", "import time\ntime.sleep(100)"),
    endless("sleep_in_a_thread", "import threading, time\nthreading.Thread(target=time.sleep, args=(99,)).start()"),
    endless("deadlock", "import threading\nlock = threading.Lock()\nlock.acquire()\nlock.acquire()"),
    endless("wait_for_no_signal", "import signal\nsignal.pause()"),
    endless("wait_on_a_fifo", "import os\nos.mkfifo('f')\nopen('f').read()"),
    endless("wait_on_an_own_pipe", "import os\nr, w = os.pipe()\nos.read(r, 1)"),
    endless("wait_on_a_socket", "import socket\na, b = socket.socketpair()\na.recv(1)"),
    endless("wait_on_a_lock", """
        import fcntl, os
        f = open('f', 'w'); fcntl.flock(f, fcntl.LOCK_EX)
        fcntl.flock(open('f'), fcntl.LOCK_EX)
    """),
    endless("wait_for_a_child", "import os, time\nif os.fork() == 0: time.sleep(100)\nos.wait()"),
    endless("stopped", "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)"),
    endless("stopped_parent_and_child", "import os, signal\nos.fork()\nos.kill(os.getpid(), signal.SIGSTOP)"),
    endless("stopped_by_its_child", """
        import os, signal, time
        if os.fork() == 0:
            while True: os.kill(os.getppid(), signal.SIGSTOP)
        while True: pass
    """),
    endless("exit_handler_that_hangs", "import atexit, time\natexit.register(time.sleep, 100)"),
    endless("destructor_that_hangs", """
        class A:
            def __del__(self):
                while True: pass
        A()
    """),
    endless("flush_that_hangs", """
        import io, sys, time
        class S(io.StringIO):
            def flush(self): time.sleep(100)
        sys.stdout = S()
    """),
    endless("traceback_that_hangs", """
        class E(Exception):
            def __str__(self):
                while True: pass
        raise E
    """),
    endless("exit_code_that_hangs", """
        class C:
            def __str__(self):
                while True: pass
        raise SystemExit(C())
    """),
    attack("digits_of_a_huge_number", (TLE, MLE), "import sys\nsys.set_int_max_str_digits(0)\nstr(7 ** 10**7)"),
    endless("colliding_keys", "d = {}\nfor i in range(1, 10**6): d[i * (2**61 - 1)] = i"),
    attack("flush_disks", (TLE, RE),
           "import os\nwhile True: os.sync(); os.fsync(os.open('/usr/bin/env', os.O_RDONLY))"),
    endless("idle_priority", """
        import os
        os.nice(19)
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        while True: pass
    """),
    endless("stopped_by_a_filter_of_its_own", """
        import ctypes, os
        # A child whose every write waits for a listener that nobody reads.
        code = bytes.fromhex('20000000' '00000000' '15000001' '01000000' '06000000' '0000c07f' '06000000' '0000ff7f')
        buffer = ctypes.create_string_buffer(code)
        class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]
        program = P(4, ctypes.addressof(buffer))
        fd = ctypes.CDLL(None).syscall(317, 1, 8, ctypes.byref(program))
        os.write(1, b'x')
        while True: pass
    """),
    endless("garbage_collector_that_hangs", """
        import gc
        class A:
            def __del__(self):
                while True: pass
        a = A(); a.self = a; del a
        gc.collect()
    """),
    endless("exec_of_a_shell", "import os\nos.execv('/bin/sh', ['sh', '-c', 'while :; do :; done'])"),
    attack("source_too_deep", (RE, MLE, OLE), "(" * 100_000 + ")" * 100_000),
    attack("null_in_source", RE, "x = 1\0"),
    attack("segfault", RE, "import ctypes\nctypes.string_at(0)"),
    attack("closed_descriptors", RE, "import os\nos.closerange(0, 64)\nos.abort()"),
]

# fmt: on
UNCOUNTED = attack(
    "processor_time_in_children_nobody_counts",
    TLE,
    """
    import os, signal, time
    # Of children that are reaped by themselves the kernel adds no processor time to their parent's.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for _ in range(60):
        if os.fork() == 0:
            until = time.process_time() + 0.03
            while time.process_time() < until: pass
            os._exit(0)
        try: os.wait()
        except ChildProcessError: pass
    """,
    wall_s=30,
)
"""Only a control group counts these."""
