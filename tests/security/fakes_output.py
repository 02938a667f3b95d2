"""Fake passes of programs that print, in Python and C++."""

from fake_kit import CHECKED, CPP, JSON, LINES, NUMBER, Fake, of

# fmt: off
OUTPUT = [
    *of(LINES,
         prefix_only="print(1)",
         prefix_without_end="import os\nn = int(input())\nprint(*range(1, n), sep='\\n', flush=True)\nos._exit(0)",
         one_line_too_many="for i in range(int(input()) + 1): print(i + 1)",
         nothing_printed="pass",
         blank_lines="print('\\n' * 1000)",
         only_stderr="import sys\nfor i in range(int(input())): print(i + 1, file=sys.stderr)",
         right_but_fails="for i in range(int(input())): print(i + 1)\nraise SystemExit(1)",
         right_but_killed="import os\nfor i in range(int(input())): print(i + 1, flush=True)\nos.kill(os.getpid(), 9)",
         right_but_never_ends="for i in range(int(input())): print(i + 1, flush=True)\nwhile True: pass",
         marker="print('PASSED')\nprint('accepted 1.0')",
         erased_on_a_terminal="print('9\\b1\\n2\\n3\\x1b[2K')",
         null_bytes="print('1\\0\\n2\\n3')",
         the_input="print(open(0).read())",
         everything="print(*range(-1000, 1000))",
         broken_text="import os\nos.write(1, b'\\xff\\xfe1\\n2\\n3\\n')",
         answer_of_the_other_test="print(1)\nprint(2)\nprint(3)",
         written_after_the_end="""
            import os, time
            if os.fork() == 0:
                os.setsid()
                while os.getppid() != 1: pass
                time.sleep(0.2)
                os.write(1, b'1\\n2\\n3\\n')
         """,
         sparse_output="import os\nos.pwrite(1, b'1\\n2\\n3\\n', 60000)"),
    *of(NUMBER,
         nan="print('nan')", infinity="print('inf')", many_numbers="print(*[i / 100 for i in range(100)])",
         interval="print('0..1')", fraction_of_nothing="print('1/4e999')",
         digits_without_end="print('0.26' + '1' * 60000)", near="print(0.2501)"),
    *of(JSON,
         repeated_key="""print('{"a": [1], "a": [1, 3]}')""",
         nested_too_deeply="print('[' * 60000)",
         nested_objects="""print('{"a":' * 10000)""",
         not_a_number_in_json="""print('{"a": [1, NaN]}')""",
         huge_number_in_json="""print('{"a": [1, ' + '9' * 50000 + ']}')""",
         boolean_for_two="""print('{"a": [1, "2"]}')"""),
    *of(CHECKED,
         text_for_a_checker="print('hello')",
         nothing_for_a_checker="pass",
         broken_text_for_a_checker="import os\nos.write(1, b'\\xff\\xfe')",
         digits_for_a_checker="print('9' * 50000)",
         null_for_a_checker="print('\\0')",
         lengths_for_a_checker="print('42\\n3\\n42\\n42')\nraise SystemExit(1)",
         code_for_a_checker="print('__import__(\"os\")._exit(0)')",
         path_for_a_checker="import os\nos.symlink('/proc/self/exe', 'output')\nprint('0')"),
]

COMPILED = of(
    CPP,
    cpp_exit="#include <cstdlib>\nint main(){exit(0);}",
    cpp_exit_before_main="#include <unistd.h>\nstruct A{A(){_exit(0);}} a;\nint main(){return 1;}",
    cpp_marker='#include <cstdio>\nint main(){puts("PASSED"); puts("accepted");}',
    cpp_prefix='#include <cstdio>\nint main(){puts("1");}',
    cpp_right_but_aborts="""
        #include <cstdio>
        #include <cstdlib>
        int main(){int n; scanf("%d",&n); for(int i=1;i<=n;i++) printf("%d\\n",i); fflush(stdout); abort();}
    """,
    cpp_right_but_fails="""
        #include <cstdio>
        int main(){int n; scanf("%d",&n); for(int i=1;i<=n;i++) printf("%d\\n",i); return 1;}
    """,
    cpp_compiles_to_nothing="int x;",
    cpp_reads_the_answers="""
        #include <cstdio>
        #include <string>
        int main(){for(const char *p : {"output", "answer", "expected", "/tmp/answer", "/tmp/output", "../answer"})
            if(FILE *f = fopen(p, "r")) {char c[99]; size_t n = fread(c, 1, 99, f); fwrite(c, 1, n, stdout);}}
    """,
)

FAKES: list[Fake] = [*OUTPUT, *COMPILED]
