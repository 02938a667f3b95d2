"""Files of the host, the pseudo file systems, and a folder that the cleaner between two tests should choke on."""

from attack_kit import HARMLESS, OK, RE, TLE, Attack, attack

# fmt: off

_FULL = {"disk_mb": 8}

HOST = [
    attack("read_host_files", HARMLESS, """
        import os
        for p in ('/etc/passwd', '/etc/shadow', '/etc/hostname', '/etc/hosts', '/etc/resolv.conf', '/var/log', '/var',
                  '/home', '/sys/kernel', '/sys', '/root/.ssh', '/root/.bashrc', '/proc/kcore', '/dev/mem', '/dev/sda',
                  '/dev/vda', '/dev/kmsg', '/run', '/boot', '/opt/secret', '/srv', '/mnt', '/usr/local/etc', '/work'):
            try: os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(1); print('ESCAPED', p)
            except OSError: pass
    """),
    attack("read_by_other_names", HARMLESS, """
        import os
        for p in ('/../etc/passwd', '/tmp/../../etc/passwd', '/proc/self/root/etc/passwd',
                  '/proc/self/cwd/../etc/passwd',
                  '/proc/1/root/etc/passwd', '/proc/thread-self/root/etc/passwd', '/dev/fd/../../etc/passwd',
                  '//etc/passwd', '/usr/lib/../../etc/passwd', '/proc/self/task/1/root/etc/passwd'):
            for opening in (os.O_RDONLY, os.O_PATH):
                try: print('ESCAPED', p, os.read(os.open(f'/proc/self/fd/{os.open(p, opening)}', os.O_RDONLY), 1))
                except OSError: pass
    """),
    attack("write_system_files", HARMLESS, """
        import os
        for p in ('/x', '/usr/x', '/etc/x', '/dev/x', '/root/x', '/opt/x', '/proc/sysrq-trigger', '/usr/lib/x',
                  '/proc/sys/kernel/core_pattern', '/proc/sys/vm/drop_caches', '/proc/sys/kernel/ns_last_pid',
                  '/proc/self/exe', '/usr/bin/env', '/etc/ld.so.cache', '/proc/sys/net/ipv4/ip_forward',
                  '/proc/self/uid_map', '/proc/self/setgroups', '/proc/1/oom_score_adj'):
            try: os.write(os.open(p, os.O_WRONLY | os.O_APPEND), b'0'); print('ESCAPED', p)
            except OSError: pass
    """),
    attack("create_anything_outside", HARMLESS, """
        import os
        for folder in ('/', '/usr', '/usr/lib', '/etc', '/dev', '/proc', '/proc/1', '/opt', '/bin/', '/lib'):
            for make in (lambda p: os.mkdir(p), lambda p: os.symlink('x', p), lambda p: os.mkfifo(p),
                         lambda p: os.rename('/tmp', p), lambda p: os.link('/usr/bin/env', p)):
                try: make(os.path.join(folder, 'attack')); print('ESCAPED', folder)
                except OSError: pass
    """),
    attack("change_system_files", HARMLESS, """
        import os
        def look(p):
            state = os.lstat(p)
            return state.st_mode, state.st_uid, state.st_ino, state.st_size, os.listxattr(p)
        for p in ('/usr/bin/env', '/etc/ld.so.cache', '/dev/null', '/dev/zero', '/', '/usr', '/dev', '/proc/1'):
            for change in (lambda: os.chmod(p, 0o777), lambda: os.chown(p, 65534, 65534), lambda: os.unlink(p),
                           lambda: os.rename(p, '/tmp/x'), lambda: os.truncate(p, 0), lambda: os.rmdir(p),
                           lambda: os.setxattr(p, 'user.x', b'1')):
                before = look(p)
                try: change()
                except OSError: pass
                if look(p) != before: print('ESCAPED', p)
    """),
    attack("symlink_out", HARMLESS, """
        import os
        targets = ['/etc/passwd', '/../../etc/passwd', '/proc/1/root/etc/passwd', '/proc/self/root/etc/passwd']
        for i, p in enumerate(targets):
            os.symlink(p, str(i))
            try: open(str(i)).read(); print('ESCAPED', p)
            except OSError: pass
    """),
    attack("hardlink_out", RE, "import os\nos.link('/usr/bin/env', '/tmp/env')\nprint('ESCAPED')"),
    attack("swap_by_rename", HARMLESS, """
        import ctypes, os
        os.mkdir('d')
        # renameat2 with RENAME_EXCHANGE
        if ctypes.CDLL(None).syscall(316, -100, b'/tmp/d', -100, b'/usr', 2) == 0: print('ESCAPED')
    """),
    attack("make_devices", HARMLESS, """
        import os, stat
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            for number in ((1, 1), (8, 0), (254, 0), (5, 0)):
                try: os.mknod(f'd{kind}{number}', kind | 0o666, os.makedev(*number)); print('ESCAPED')
                except OSError: pass
    """),
    attack("setuid_file", HARMLESS, """
        import os, shutil, subprocess
        shutil.copy('/usr/bin/id', 'id'); os.chmod('id', 0o6755)
        if b'uid=0' in subprocess.run(['/tmp/id'], capture_output=True).stdout: print('ESCAPED')
    """),
    attack("canary_by_guesses", HARMLESS, """
        import glob, os
        roots = ('/tmp', '/var/tmp', '/root', '/home', '/work')
        found = [p for root in roots for p in glob.glob(root + '/**/canary*', recursive=True)]
        if found: print('ESCAPED', found)
    """),
    attack("secrets_in_the_process", HARMLESS, """
        import os
        secret = 'CANARY' + '-9d2f'
        if secret in str(dict(os.environ)): print('ESCAPED environment')
        for name in ('environ', 'cmdline', 'maps', 'auxv', 'mountinfo', 'cgroup'):
            if secret.encode() in open(f'/proc/self/{name}', 'rb').read(): print('ESCAPED', name)
    """),
    attack("secrets_of_other_processes", HARMLESS, """
        import os
        parent = os.getppid()
        for n in {*range(1, 300), *range(max(1, parent - 1500), parent + 1500)} - {os.getpid()}:
            for name in ('environ', 'mem', 'maps', 'auxv', 'io', 'stack', 'syscall', 'smaps', 'fd/0', 'cwd/x'):
                try: print('ESCAPED', n, name, os.read(os.open(f'/proc/{n}/{name}', os.O_RDONLY), 10))
                except OSError as error:
                    if name == 'mem' and error.errno == 5: print('ESCAPED', n, name, error)
            for name in ('cwd', 'root', 'exe', 'fd/0', 'ns/pid'):
                try: print('ESCAPED', n, name, os.readlink(f'/proc/{n}/{name}'))
                except OSError: pass
    """, cpu_s=2, wall_s=9),
    attack("ways_up_from_open_folders", HARMLESS, """
        import os
        for fd in range(3, 1024):
            for depth in range(1, 9):
                up = '/'.join(['..'] * depth)
                for name in ('etc/passwd', '.bashrc', '.ssh/id_rsa', 'root/.bashrc', '.profile'):
                    for way in (lambda: os.open(f'{up}/{name}', os.O_RDONLY, dir_fd=fd),
                                lambda: os.open(f'/proc/self/fd/{fd}/{up}/{name}', os.O_RDONLY)):
                        try: print('ESCAPED', fd, up, name, os.read(way(), 10))
                        except OSError: pass
                try: print('ESCAPED', os.listdir(f'/proc/self/fd/{fd}/{up}'))
                except OSError: pass
    """, cpu_s=2, wall_s=9),
    attack("packages_of_the_host", HARMLESS, """
        import glob, sys
        for root in ('/usr/lib', '/usr/lib64', '/usr/local/lib', sys.base_prefix + '/lib', sys.base_prefix + '/lib64'):
            for name in ('site-packages', 'dist-packages'):
                for path in glob.glob(f'{root}/python3*/{name}/**/*.py', recursive=True)[:50]:
                    try: print('ESCAPED', path, open(path, 'rb').read(1))
                    except OSError: pass
    """),
    attack("names_of_the_host", HARMLESS, """
        import os, socket
        if os.uname().nodename != 'sandbox' or socket.gethostname() != 'sandbox': print('ESCAPED', os.uname())
        if os.getuid() == 0 or os.getgid() == 0 or 0 in os.getgroups(): print('ESCAPED', os.getgroups())
    """),
    attack("kernel_interfaces", HARMLESS, """
        for p in ('/proc/kcore', '/proc/kmsg', '/proc/kpageflags', '/proc/slabinfo', '/proc/sysrq-trigger',
                  '/proc/timer_list', '/proc/vmallocinfo', '/proc/self/stack', '/sys/kernel/debug', '/sys/fs/cgroup',
                  '/dev/mem', '/dev/port', '/dev/kvm', '/dev/fuse', '/dev/tty', '/dev/ptmx', '/dev/net/tun'):
            try: data = open(p, 'rb').read(64)
            except OSError: continue
            if data: print('ESCAPED', p)
        if any(int(line.split()[0], 16) for line in open('/proc/kallsyms')): print('ESCAPED addresses')
    """),
    attack("executable_of_the_interpreter", HARMLESS, """
        import os, sys
        for p in ('/proc/self/exe', sys.executable, os.__file__):
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
                try: os.open(p, flags); print('ESCAPED', p)
                except OSError: pass
    """),
    attack("own_limits_on_memory_pressure", HARMLESS, """
        for value in ('-1000', '0'):
            try: open('/proc/self/oom_score_adj', 'w').write(value)
            except OSError: pass
        if open('/proc/self/oom_score_adj').read().strip() == '-1000': print('ESCAPED')
    """),
]

EXHAUSTION = [
    attack("tmpfs_bomb", RE, "i = 0\nwhile True:\n    open(str(i), 'wb').write(bytes(1 << 20)); i += 1"),
    attack("shm_bomb", RE, "i = 0\nwhile True:\n    open(f'/dev/shm/{i}', 'wb').write(bytes(1 << 20)); i += 1"),
    attack("one_huge_file", RE, "f = open('f', 'wb')\nwhile True: f.write(bytes(1 << 20))"),
    attack("unlinked_files_bomb", RE, """
        import os
        x = []
        while True:
            f = open('f', 'wb'); x.append(f); os.unlink('f'); f.write(bytes(1 << 20))
    """),
    attack("unlinked_files_behind_an_ended_first_thread", RE, """
        import ctypes, os, threading, time
        def hold():
            x = []
            for _ in range(30):
                f = open('f', 'wb'); x.append(f); os.unlink('f'); f.write(bytes(1 << 20)); f.flush()
            time.sleep(5)
        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall(60, 0)
    """, cpu_s=5, wall_s=4),
    attack("files_from_children", RE, """
        import os
        for _ in range(3): os.fork()
        i = 0
        while True: open(f'{os.getpid()}-{i}', 'wb').write(bytes(1 << 18)); i += 1
    """),
    attack("sparse_file", HARMLESS, "import os\nf = open('f', 'wb')\nos.ftruncate(f.fileno(), 1 << 40)"),
    attack("preallocated_file", RE,
           "import os\nfor i in range(99): os.posix_fallocate(os.open(str(i), 66), 0, 4 << 20)"),
    attack("inode_bomb", (RE, TLE), "i = 0\nwhile True:\n    open(str(i), 'w').close(); i += 1"),
    attack("hardlink_bomb", (RE, TLE), "import os\nopen('f', 'w')\ni = 0\nwhile True: os.link('f', str(i)); i += 1"),
    attack("symlink_bomb", (RE, TLE), "import os\ni = 0\nwhile True: os.symlink('x' * 4000, str(i)); i += 1"),
    attack("directory_bomb", (RE, TLE), "import os\nwhile True:\n    os.mkdir('d'); os.chdir('d')"),
    attack("descriptor_bomb", RE, "x = []\nwhile True: x.append(open('/dev/null'))"),
    attack("pipe_bomb", RE, "import os\nx = []\nwhile True: x.append(os.pipe())"),
    attack("descriptor_bomb_in_children", (RE, TLE), """
        import os, time
        for _ in range(4): os.fork()
        try:
            while True: os.dup(0)
        except OSError: time.sleep(3)
    """),
    attack("epoll_bomb", RE, "import select\nx = []\nwhile True: x.append(select.epoll())"),
    attack("attribute_bomb", HARMLESS | {TLE}, """
        import os
        open('f', 'w')
        i = 0
        while True: os.setxattr('f', f'user.{i}', b'x' * 60000); i += 1
    """),
    attack("lock_bomb", HARMLESS | {TLE}, """
        import fcntl
        f = open('f', 'w')
        for i in range(10**7): fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * i)
    """),
]

CLEANER = [
    attack("tall_folder", HARMLESS, """
        import os
        for _ in range(4000):
            os.mkdir('d' * 200); os.chdir('d' * 200)
        os.chmod('.', 0)
    """),
    attack("odd_names", OK, """
        import os
        os.mkdir('.0'); os.symlink('/usr', 'link'); os.mkfifo('fifo'); os.mkdir(b'\\xff\\n'); open('-rf', 'w')
        os.mkdir('a'); os.mkdir('a/.0'); os.symlink('/', 'a/link'); os.chmod('a', 0)
        open('x' * 255, 'w'); os.symlink('.', 'self'); os.symlink('loop', 'loop')
    """),
    attack("many_small_folders", HARMLESS, """
        import os
        for i in range(900):
            os.makedirs(f'{i}/.{i}/.{i + 1}')
            os.chmod(f'{i}', 0)
    """),
    attack("names_that_the_cleaner_would_take", OK, """
        import os
        for i in range(2000): open(f'.{i}', 'w')
        os.makedirs('a/b/c/d')
    """, cpu_s=2, wall_s=9),
    attack("folder_itself_locked", OK, "import os\nopen('f', 'w')\nos.chmod('/tmp', 0)"),
    attack("empty_folder_locked", OK, "import os\nos.chmod('/tmp', 0)"),
    attack("folder_with_access_list", HARMLESS, """
        import os, struct
        entries = [(1, 7, -1), (4, 0, -1), (32, 0, -1)]
        acl = struct.pack('<I', 2) + b''.join(struct.pack('<HHi', *e) for e in entries)
        for kind in ('access', 'default'):
            try: os.setxattr('/tmp', f'system.posix_acl_{kind}', acl)
            except OSError: pass
        os.mkdir('d'); open('d/f', 'w')
    """),
    attack("folder_with_attributes", HARMLESS, """
        import os
        os.setxattr('/tmp', 'user.mark', b'x')
        open('f', 'w'); os.setxattr('f', 'user.mark', b'x' * 1000)
    """),
    attack("immutable_files", HARMLESS, """
        import array, fcntl, os
        open('f', 'w')
        for flag in (0x10, 0x20, 0x40):
            try: fcntl.ioctl(os.open('f', 0), 0x40086602, array.array('l', [flag]))
            except OSError: pass
    """),
    attack("sticky_folders", OK,
           "import os\nos.mkdir('d'); open('d/f', 'w'); os.chmod('d', 0o1000); os.chmod('/tmp', 0o1000)"),
    attack("file_in_flight", OK, """
        import os, socket
        # Sockets that carry each other keep the file alive when nobody is left.
        f = os.open('/tmp/big', os.O_RDWR | os.O_CREAT); os.write(f, bytes(7 << 20)); os.unlink('/tmp/big')
        a, b = socket.socketpair()
        for end in (a, b): socket.send_fds(end, [b'x'], [a.fileno(), b.fileno(), f])
    """),
    attack("files_in_flight_in_long_cycles", OK, """
        import os, socket
        pairs = [socket.socketpair() for _ in range(12)]
        for i, (a, _) in enumerate(pairs):
            f = os.open('f', os.O_RDWR | os.O_CREAT); os.write(f, bytes(1 << 19)); os.unlink('f')
            c, d = pairs[(i + 1) % 12]
            socket.send_fds(a, [b'x'], [c.fileno(), d.fileno(), f])
    """),
    attack("working_folder_removed", OK, "import os\nos.mkdir('d'); os.chdir('d'); os.rmdir('/tmp/d')"),
    attack("file_mapped_while_cleaned", OK, """
        import mmap, os, time
        f = os.open('f', os.O_RDWR | os.O_CREAT); os.ftruncate(f, 1 << 20)
        m = mmap.mmap(f, 1 << 20)
        if os.fork() == 0:
            while True: m[:] = b'x' * (1 << 20)
    """),
]

ATTACKS: list[Attack] = [*HOST, *EXHAUSTION, *CLEANER]
