"""System calls that have no place here, by name, by number and in other calling conventions; and the network.

Numbers are those of x86_64.
"""

import platform

from attack_kit import HARMLESS, RE, TLE, Attack, attack

# fmt: off

_CALL = """
    import ctypes, errno
    libc = ctypes.CDLL(None, use_errno=True)
    def call(name, number, *arguments):
        ctypes.set_errno(0)
        result = libc.syscall(number, *arguments)
        if result >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS, errno.EAFNOSUPPORT):
            print('ESCAPED', name, result, errno.errorcode.get(ctypes.get_errno()))
"""
_NAMESPACES = "(0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80)"

CALLS = [
    attack("new_namespaces", HARMLESS, _CALL + f"""
    for flag in {_NAMESPACES}:
        call('unshare', 272, flag)
        if flag != 0x80: call('clone', 56, flag | 17, 0, 0, 0, 0)
        call('clone3', 435, (ctypes.c_uint64 * 11)(flag, 0, 0, 0, 17), 88)
    for name in ('user', 'mnt', 'net', 'pid', 'ipc', 'uts', 'cgroup'):
        call('setns', 308, open(f'/proc/self/ns/{{name}}').fileno(), 0)
    """),
    attack("mounts", HARMLESS, _CALL + """
    call('mount', 165, b'x', b'/tmp', b'tmpfs', 0, 0)
    call('bind', 165, b'/usr', b'/tmp', 0, 4096, 0)
    call('remount', 165, 0, b'/usr', 0, 32 | 4096, 0)
    call('umount', 166, b'/proc/1', 2)
    call('pivot_root', 155, b'/tmp', b'/tmp')
    call('chroot', 161, b'/tmp')
    call('open_tree', 428, -100, b'/usr', 1)
    call('move_mount', 429, -100, b'/usr', -100, b'/tmp', 0)
    call('fsopen', 430, b'tmpfs', 0)
    call('fspick', 433, -100, b'/tmp', 0)
    call('mount_setattr', 442, -100, b'/tmp', 0, 0, 0)
    call('open_tree_attr', 467, -100, b'/usr', 1, 0, 0)
    call('swapon', 167, b'/tmp/f', 0)
    """),
    attack("handles_of_files", HARMLESS, _CALL + """
    call('name_to_handle_at', 303, -100, b'/', bytes(128), bytes(8), 0)
    call('open_by_handle_at', 304, 3, bytes(128), 0)
    """),
    attack("administration", HARMLESS, _CALL + """
    for name, number in {'reboot': 169, 'acct': 163, 'settimeofday': 164, 'clock_settime': 227, 'adjtimex': 159,
                         'sethostname': 170, 'setdomainname': 171, 'iopl': 172, 'ioperm': 173, 'modify_ldt': 154,
                         'syslog': 103, 'vhangup': 153, 'personality': 135, 'kexec_load': 246, 'init_module': 175,
                         'finit_module': 313, 'delete_module': 176, 'quotactl': 179, 'perf_event_open': 298, 'bpf': 321,
                         'fanotify_init': 300, 'lookup_dcookie': 212, 'listns': 470}.items():
        call(name, number, 0, 0, 0, 0, 0)
    """),
    attack("large_interfaces", HARMLESS, _CALL + """
    call('io_uring', 425, 8, bytes(120))
    call('userfaultfd', 323, 0)
    call('userfaultfd user mode', 323, 1)
    call('vmsplice', 278, 1, 0, 0, 0)
    call('keyctl', 250, 0, -3, 1)
    call('add_key', 248, b'user', b'x', b'y', 1, -3)
    call('request_key', 249, b'user', b'x', 0, -3)
    call('mbind', 237, 0, 0, 0, 0, 0, 0)
    """),
    attack("amounts_of_the_whole_host", HARMLESS, _CALL + """
    call('io_setup', 206, 65000, ctypes.byref(ctypes.c_ulong()))
    call('inotify_init', 253)
    call('inotify_init1', 294, 0)
    import os
    for folder in ('/usr', '/usr/lib', '/', '/tmp'):
        for command in (1024, 1026, 1040):
            opened = os.open(folder, os.O_RDONLY)
            call(f'fcntl {command} of {folder}', 72, opened, command, 0 if command == 1024 else 0x8000003f)
            os.close(opened)
    call('mlockall', 151, 3)
    """),
    attack("memory_outside_of_processes", HARMLESS, _CALL + """
    call('memfd_create', 319, b'x', 0)
    call('memfd_secret', 447, 0)
    call('shmget', 29, 1, 4096, 0o1600)
    call('semget', 64, 1, 1, 0o1600)
    call('msgget', 68, 1, 0o1600)
    call('mq_open', 240, b'attack', 0o102, 0o600, 0)
    """),
    attack("calls_newer_than_the_filter", HARMLESS, """
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        for number in [*range(471, 1024), 0x3fffffff, 0x7fffffff, -1, -2]:
            if libc.syscall(number, 0, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != errno.ENOSYS:
                print('ESCAPED', number)
    """),
    attack("calls_of_x32", HARMLESS, """
        import ctypes, errno
        libc = ctypes.CDLL(None, use_errno=True)
        for number in (0, 39, 56, 57, 59, 165, 272, 512, 520, 545):
            if libc.syscall(0x40000000 + number, 0, 0, 0) >= 0 or ctypes.get_errno() != errno.ENOSYS: print('ESCAPED')
    """),
    attack("calls_of_32_bits", RE, """
        import ctypes, mmap
        # mov eax, 20 (getpid of i386); int 0x80; ret
        m = mmap.mmap(-1, 4096, prot=7)
        m.write(bytes.fromhex('b814000000cd80c3'))
        f = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(m)))
        print('ESCAPED', f())
    """),
    attack("machine_code_in_a_file", HARMLESS, """
        import os
        # A program of our own may run; it is under the same filter.
        open('p', 'wb').write(b'#!/bin/sh\\nunshare -U true && echo ESCAPED')
        os.chmod('p', 0o755)
        os.execv('/tmp/p', ['p'])
    """),
    attack("become_root", HARMLESS, """
        import os
        for change in (os.setuid, os.seteuid, os.setgid, os.setegid, lambda n: os.setresuid(n, n, n),
                       lambda n: os.setgroups([n])):
            try: change(0); print('ESCAPED')
            except OSError: pass
        if os.getuid() == 0 or os.geteuid() == 0: print('ESCAPED')
    """),
    attack("capabilities", HARMLESS, """
        import ctypes
        libc = ctypes.CDLL(None)
        status = dict(line.split(':\\t') for line in open('/proc/self/status') if line.startswith('Cap'))
        if any(int(value, 16) for value in status.values()): print('ESCAPED', status)
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        if libc.syscall(126, header, (ctypes.c_uint32 * 6)(*[0xffffffff] * 6)) == 0: print('ESCAPED')
        for option in (28, 47):
            if libc.prctl(option, 2, 0, 0, 0) == 0: print('ESCAPED', option)
    """),
    attack("programs_of_root", HARMLESS, """
        import os, subprocess
        for command in (['su', '-c', 'id -u'], ['sudo', '-n', 'id', '-u'], ['newgrp'], ['mount'], ['passwd', '-S']):
            try: r = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=0.3)
            except (OSError, subprocess.TimeoutExpired): continue
            if r.stdout.strip() == b'0': print('ESCAPED')
    """, wall_s=3),
    attack("filter_loosened", HARMLESS, """
        import ctypes
        libc = ctypes.CDLL(None)
        libc.prctl(38, 0, 0, 0, 0); libc.prctl(22, 0, 0, 0, 0); libc.syscall(317, 0, 0, 0)
        # A filter of our own that allows everything only adds to the first.
        code = ctypes.create_string_buffer(bytes.fromhex('060000000000ff7f'))
        class P(ctypes.Structure): _fields_ = [('n', ctypes.c_ushort), ('p', ctypes.c_void_p)]
        libc.prctl(22, 2, ctypes.byref(P(1, ctypes.addressof(code))), 0, 0)
        if libc.unshare(0x10000000) == 0: print('ESCAPED')
    """),
    attack("arguments_with_high_words", HARMLESS, _CALL + """
    # The kernel looks at 32 bits of these arguments, so a filter must not be misled by the others.
    high = 1 << 32
    call('socket', 41, ctypes.c_ulong(high + 2), ctypes.c_ulong(1), 0)
    call('clone', 56, ctypes.c_ulong(high | 0x10000000 | 17), 0, 0, 0, 0)
    call('prlimit', 302, ctypes.c_ulong(high + 1), 7, ctypes.byref((ctypes.c_ulong * 2)()), 0)
    call('affinity', 203, ctypes.c_ulong(high + 1), 8, ctypes.byref(ctypes.c_ulong(1)))
    call('setpriority', 141, ctypes.c_ulong(high + 0), ctypes.c_ulong(high + 1), 19)
    """),
    attack("terminal_injection", HARMLESS, """
        import fcntl, os
        for fd in (0, 1, 2):
            for request in (0x5412, 0x541c, 0x540e):
                try: fcntl.ioctl(fd, request, b'x'); print('ESCAPED')
                except OSError: pass
        try: os.open('/dev/tty', os.O_RDWR); print('ESCAPED')
        except OSError: pass
    """),
    attack("random_calls", HARMLESS | {TLE}, """
        import ctypes, os, random
        # A short fuzz: nothing that numbers and arguments at random reach may outlive the process.
        libc = ctypes.CDLL(None)
        for seed in range(12):
            if os.fork() == 0:
                random.seed(seed)
                for _ in range(300):
                    arguments = [random.choice((0, 1, -1, 4096, 1 << 31, 3)) for _ in range(5)]
                    libc.syscall(random.randrange(480), *arguments)
                os._exit(0)
            os.wait()
    """),
]

NETWORK = [
    attack("sockets_of_every_family", HARMLESS, """
        import socket
        for family in [0, *range(2, 64)]:
            for kind in (1, 2, 3, 4, 5, 6, 10):
                try: socket.socket(family, kind); print('ESCAPED', family, kind)
                except OSError: pass
    """),
    attack("socket_pairs_of_every_family", HARMLESS, """
        import socket
        for family in [0, *range(2, 64)]:
            for kind in (1, 2, 5):
                try: socket.socketpair(family, kind); print('ESCAPED', family, kind)
                except OSError: pass
    """),
    attack("network_by_name", RE, "import socket\nsocket.create_connection(('localhost', 22), 1)\nprint('ESCAPED')"),
    attack("network_by_library", RE,
           "import urllib.request\nurllib.request.urlopen('http://169.254.169.254/', timeout=1)\nprint('ESCAPED')"),
    attack("name_service", RE, "import socket\nsocket.getaddrinfo('example.com', 80)\nprint('ESCAPED')"),
    attack("listeners", HARMLESS, """
        import socket
        for family, address in ((2, ('', 0)), (10, ('::', 0)), (40, (-1, 1234))):
            try: s = socket.socket(family); s.bind(address); s.listen(); print('ESCAPED')
            except OSError: pass
    """),
    attack("abstract_sockets_of_the_host", HARMLESS, """
        import socket
        s = socket.socket(socket.AF_UNIX)
        for line in open('/proc/net/unix').read().splitlines()[1:]:
            name = line.split()[-1]
            if name.startswith('@'): s.connect('\\0' + name[1:]); print('ESCAPED', name)
    """),
    attack("abstract_socket_left_listening", HARMLESS, """
        import os, socket, time
        s = socket.socket(socket.AF_UNIX); s.bind('\\0attack'); s.listen()
        if os.fork() == 0:
            os.setsid(); s.accept()
    """),
    attack("sockets_of_host_services", HARMLESS, """
        import socket
        for path in ('/run/docker.sock', '/var/run/docker.sock', '/run/dbus/system_bus_socket', '/run/systemd/private',
                     '/run/containerd/containerd.sock', '/tmp/.X11-unix/X0', '/dev/log', '/run/nscd/socket'):
            try: socket.socket(socket.AF_UNIX).connect(path); print('ESCAPED', path)
            except OSError: pass
    """),
    attack("interfaces", HARMLESS, """
        import os
        seen = [line.split(':')[0].strip() for line in open('/proc/net/dev') if ':' in line]
        if set(seen) - {'lo'} or open('/proc/net/route').read().count('\\n') > 1: print('ESCAPED', seen)
        if len(open('/proc/net/tcp').read().splitlines()) > 1: print('ESCAPED')
    """),
]

ATTACKS: list[Attack] = [*(CALLS if platform.machine() == "x86_64" else []), *NETWORK]
