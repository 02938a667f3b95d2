"""Memory in every form that a kernel has for it."""

from attack_kit import HARMLESS, MLE, OK, OLE, RE, TLE, Attack, attack

# fmt: off

ATTACKS: list[Attack] = [
    attack("memory_bomb", MLE, "x = []\nwhile True: x.append(bytearray(1 << 20))"),
    attack("memory_bomb_at_once", MLE, "x = bytearray(1 << 40)"),
    attack("memory_bomb_of_small_objects", (MLE, TLE), "x = None\nwhile True: x = [x, [], {}, 1.5]"),
    attack("memory_bomb_of_digits", (MLE, TLE), "x = 9\nwhile True: x = x * x"),
    attack("memory_bomb_of_text", MLE, "print(len('x' * (1 << 38)))"),
    attack("memory_bomb_in_children", MLE, """
        import os
        for _ in range(3): os.fork()
        x = []
        while True: x.append(bytearray(1 << 20))
    """),
    attack("memory_just_below_the_limit_in_each_child", MLE, """
        import os, time
        for _ in range(7):
            if os.fork() == 0: break
        x = bytearray(90 << 20)
        for i in range(0, len(x), 4096): x[i] = 1
        time.sleep(3)
    """),
    attack("memory_in_threads", MLE, """
        import threading
        def hold():
            x = []
            while True: x.append(bytearray(1 << 20))
        for _ in range(4): threading.Thread(target=hold).start()
    """),
    attack("memory_shared_mapping", MLE, """
        import mmap
        x = []
        while True:
            m = mmap.mmap(-1, 1 << 20); m.write(b'x' * (1 << 20)); x.append(m)
    """),
    attack("memory_hidden_from_the_watch", MLE, """
        import ctypes, mmap
        ctypes.CDLL(None).prctl(4, 0)
        x = []
        while True:
            m = mmap.mmap(-1, 1 << 20); m.write(b'x' * (1 << 20)); x.append(m)
    """),
    attack("memory_behind_an_ended_first_thread", MLE, """
        import ctypes, mmap, threading, time
        def hold():
            x = []
            for _ in range(400):
                m = mmap.mmap(-1, 1 << 20); m.write(b'x' * (1 << 20)); x.append(m)
            time.sleep(5)
        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall(60, 0)
    """, cpu_s=5, wall_s=4),
    attack("memory_in_a_pipe", RE, """
        import fcntl, os
        held = []
        while True:
            r, w = os.pipe()
            fcntl.fcntl(w, 1031, 1 << 20)
            os.set_blocking(w, False)
            try:
                while True: os.write(w, bytes(1 << 16))
            except BlockingIOError: held.append((r, w))
    """),
    attack("memory_in_sockets", (RE, TLE), """
        import os, socket
        for _ in range(10):
            if os.fork() == 0: break
        held = []
        while True:
            pair = socket.socketpair()
            held.append(pair)
            for end in pair:
                end.setblocking(False)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 30)
                if end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) > 1 << 19: print('ESCAPED')
                try:
                    while True: end.send(bytes(1 << 15))
                except BlockingIOError: pass
    """),
    attack("memory_in_stdout", (OLE, RE), """
        import mmap, os
        os.ftruncate(1, 1 << 22)
        mmap.mmap(1, 1 << 22).write(bytes(1 << 22))
        os.posix_fallocate(1, 0, 1 << 30)
    """),
    attack("memory_behind_the_end_of_stdout", (OK, RE, OLE), """
        import ctypes
        # FALLOC_FL_KEEP_SIZE: pages that the file's size does not show
        for offset in range(0, 1 << 32, 1 << 22):
            if ctypes.CDLL(None).syscall(285, 1, 1, offset, 1 << 22) != 0: break
            if offset > 1 << 26: print('ESCAPED')
    """),
    attack("memory_of_page_tables", HARMLESS | {TLE, MLE}, """
        import ctypes, mmap
        held = []
        while True:
            m = mmap.mmap(-1, 1 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_NORESERVE)
            for at in range(0, 1 << 30, 1 << 21): m[at]
            held.append(m)
    """),
    attack("memory_of_the_hosts_huge_pages", HARMLESS, """
        import mmap
        for size in (1 << 21, 1 << 30):
            try: mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x40000); print('ESCAPED')
            except OSError as error:
                if error.errno != 12: print('ESCAPED', error)
    """),
    attack("memory_locked", RE, """
        import ctypes, mmap
        m = mmap.mmap(-1, 1 << 20)
        libc = ctypes.CDLL(None)
        if libc.mlockall(3) == 0 or libc.mlock(ctypes.addressof(ctypes.c_char.from_buffer(m)), 1 << 20) == 0:
            print('ESCAPED')
        raise SystemExit(1)
    """),
    attack("memory_of_signals_and_timers", HARMLESS | {TLE}, """
        import ctypes
        libc = ctypes.CDLL(None)
        made, slot = 0, ctypes.c_int()
        while libc.syscall(222, 0, None, ctypes.byref(slot)) == 0:
            made += 1
            if made > 5000: print('ESCAPED'); break
    """),
    attack("raised_limits", (MLE, RE), """
        import resource
        for r in range(16):
            try: resource.setrlimit(r, (resource.RLIM_INFINITY,) * 2)
            except (OSError, ValueError): pass
        x = []
        while True: x.append(bytearray(1 << 20))
    """),
    attack("stack_overflow", (RE, MLE), """
        import sys
        sys.setrecursionlimit(10**9)
        f = lambda: [f()]
        f()
    """),
    attack("stack_overflow_in_a_thread", (RE, MLE), """
        import sys, threading
        sys.setrecursionlimit(10**9)
        f = lambda: [f()]
        t = threading.Thread(target=f); t.start(); t.join()
    """),
    attack("stack_overflow_in_c", (RE, MLE), """
        import json, sys
        sys.setrecursionlimit(10**9)
        json.loads('[' * 10**6)
        x = None
        for _ in range(10**7): x = [x]
        repr(x)
    """),
    attack("memory_bomb_that_catches", (MLE, TLE), """
        x = []
        while True:
            try: x.append(bytearray(1 << 20))
            except MemoryError: pass
    """),
    attack("memory_bomb_of_the_source", MLE, "x = [0] * 10**10"),
    attack("compressed_bomb", (MLE, TLE), """
        import zlib
        packed = zlib.compress(bytes(1 << 26))
        x = []
        while True: x.append(zlib.decompress(packed))
    """),
]
