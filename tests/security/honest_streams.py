"""Right but unusual programs: how they read, write and end."""

from honest_kit import Honest, one

# fmt: off
INPUT = [
    one("readline_of_the_buffer", "import sys\nr = sys.stdin.buffer.readline\nprint(int(r()) + int(r()), r())",
         "3 b''\n", "1\n2\n"),
    one("lines_of_stdin", "import sys\nprint(sum(int(x) for x in sys.stdin))", "6\n", "1\n2\n3\n"),
    one("open_zero", "print(len(open(0).read().split()))", "3\n", "a b c"),
    one("open_zero_twice", "print(open(0, closefd=False).read() + open(0).read())", "ab\n", "ab"),
    one("dev_stdin", "print(open('/dev/stdin').read().upper())", "ABC\n", "abc"),
    one("dev_fd", "print(open('/dev/fd/0').read())", "q\n", "q"),
    one("read_by_descriptor", "import os\nos.write(1, os.read(0, 100))", "abc", "abc"),
    one("whole_file_by_its_size",
         "import io, os\ni = io.BytesIO(os.read(0, os.fstat(0).st_size)).readline\nprint(int(i()))",
         "12\n", "12\n"),
    one("mapped", "import mmap\nprint(mmap.mmap(0, 0, access=mmap.ACCESS_READ)[:3])", "b'abc'\n", "abc"),
    one("sought",
         "import sys\ns = sys.stdin.read(); sys.stdin.seek(0)\nprint(s == sys.stdin.read())", "True\n", "12\n"),
    one("file_input", "import fileinput\nfor line in fileinput.input(): print(line, end='')", "a\nb\n", "a\nb\n"),
    one("end_of_input_caught", """
        while True:
            try: x = input()
            except EOFError: break
            print(x)
    """, "a\nb\n", "a\nb"),
    one("no_final_newline", "print(input() + input())", "ab\n", "a\nb"),
    one("carriage_returns", "print(int(input()) + int(input()), *input().split())", "3 a b\n", "1\r\n2\r\na b\r\n"),
    one("empty_input", "import sys\nprint(repr(sys.stdin.read()))", "''\n"),
    one("input_not_in_utf8", "import sys\nprint(sys.stdin.buffer.read())", "b'\\xff\\xfe'\n", b"\xff\xfe"),
    one("other_encoding",
         "import sys\nsys.stdin.reconfigure(encoding='latin-1')\nprint(len(input()))", "2\n", b"\xff\xfe"),
    one("stdin_replaced", "import io, sys\nsys.stdin = io.StringIO('7')\nprint(input())", "7\n"),
    one("stdin_closed", "import sys\nsys.stdin.close()\nprint(1)", "1\n", "x"),
    one("stdin_handed_to_a_child", "import subprocess\nsubprocess.run(['cat'])", "abc", "abc"),
    one("million_lines", "import sys\nprint(sum(map(int, sys.stdin)))", "1000000\n", b"1\n" * 10**6),
    one("stdin_never_read", "print('done')", "done\n", b"x\n" * 100_000),
]

OUTPUT = [
    one("buffered_bytes", "import sys\nsys.stdout.buffer.write(b'abc')", "abc"),
    one("bytes_and_text", """
        import sys
        sys.stdout.write('a'); sys.stdout.flush(); sys.stdout.buffer.write(b'b'); sys.stdout.buffer.flush(); print('c')
    """, "abc\n"),
    one("reopened_stdout", "import os, sys\nsys.stdout = os.fdopen(1, 'w', 1 << 20)\nprint('x')", "x\n"),
    one("dev_stdout", "open('/dev/stdout', 'w').write('x')", "x"),
    one("own_stream", """
        import io, os, sys
        class Fast(io.StringIO):
            def flush(self):
                os.write(1, self.getvalue().encode()); self.truncate(0); self.seek(0)
        sys.stdout = Fast()
        print('hey')
    """, "hey\n"),
    one("joined_lines",
         "import sys\nsys.stdout.write('\\n'.join(map(str, range(20000))))", "\n".join(map(str, range(20000)))),
    one("to_stderr_too", "import sys\nprint('note', file=sys.stderr)\nprint('x')", "x\n"),
    one("stderr_closed", "import sys\nsys.stderr.close()\nprint(1)", "1\n"),
    one("stdout_closed_at_the_end", "import sys\nprint(1)\nsys.stdout.close()", "1\n"),
    one("from_a_child",
         "import os\nif os.fork() == 0:\n    os.write(1, b'child\\n'); os._exit(0)\nos.wait()\nprint('parent')",
         "child\nparent\n"),
    one("unicode", "print('\u00e9\u4e2d\U0001f600')", "\u00e9\u4e2d\U0001f600\n"),
    one("warning", "import warnings\nwarnings.warn('old')\nprint(1)", "1\n"),
]

ENDINGS = [
    one("exit_builtin", "print(1)\nexit()", "1\n"),
    one("quit_builtin", "print(1)\nquit(0)", "1\n"),
    one("exit_after_flush", "import os, sys\nprint(input())\nsys.stdout.flush()\nos._exit(0)", "7\n", "7\n"),
    one("system_exit", "import sys\nprint(1)\nsys.exit()", "1\n"),
    one("system_exit_false", "import sys\nprint(1)\nsys.exit(False)", "1\n"),
    one("system_exit_in_a_function",
         "import sys\ndef main():\n    print(1)\n    sys.exit(0)\nmain()\nprint(2)", "1\n"),
    one("main_guard", "def main(): print('main')\nif __name__ == '__main__': main()", "main\n"),
    one("exit_handler", "import atexit\natexit.register(print, 'bye')\nprint('hi')", "hi\nbye\n"),
    one("interrupt_caught", "try: raise KeyboardInterrupt\nexcept KeyboardInterrupt: print('k')", "k\n"),
    one("exec_of_itself",
         "import os, sys\nos.execv(sys.executable, [sys.executable, '-c', 'print(input())'])", "hi\n", "hi\n"),
    one("unjoined_thread", """
        import threading, time
        def late():
            time.sleep(0.05); print('late')
        threading.Thread(target=late).start()
        print('main')
    """, "main\nlate\n"),
    one("daemon_thread",
         "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()\nprint(1)",
         "1\n"),
]

HONEST: list[Honest] = [*INPUT, *OUTPUT, *ENDINGS]
