"""Submissions that try to pass without the right answer, and what they are judged by.

None of them may be accepted, and none may end without a verdict: "not checked" would spare a cheat its zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent

from verifiers.model import Task, Test

# fmt: off


@dataclass(frozen=True)
class Fake:
    """A submission that deserves no reward."""

    name: str
    source: str
    task: Task


SUM = Task("sum", tests=(Test(args=(20, 22), expected=42), Test(args=(1, 2), expected=3)), entry_point="f")
ONE = Task("one", tests=(Test(args=(20, 22), expected=42),), entry_point="f")
FLOATS = Task("floats", tests=(Test(args=(), expected=[0.5, 1e9]),), entry_point="f", float_tolerance=1e-6)
MAPPING = Task("mapping", tests=(Test(args=(), expected={"a": 1}),), entry_point="f")
LINES = Task("lines", tests=(Test("3\n", "1\n2\n3\n"), Test("1\n", "1\n")), time_limit_s=1.0)
NUMBER = Task("number", tests=(Test("", "0.25\n"),), float_tolerance=1e-6)
JSON = Task("json", tests=(Test("", '{"a": [1, 2]}\n'),))
_CHECKER = """
import sys
given, output, answer = (open(path).read().split() for path in sys.argv[1:4])
sys.exit(int(output[0]) != int(answer[0]))
"""
CHECKED = Task("checked", tests=(Test("", "42\n"),), checker=_CHECKER)
CPP = Task("cpp", tests=(Test("3\n", "1\n2\n3\n"), Test("1\n", "1\n")), language="cpp")


def _of(task: Task, **sources: str) -> list[Fake]:
    return [Fake(name, dedent(source).strip("\n"), task) for name, source in sources.items()]


OBJECTS = _of(
    SUM,
    always_equal="""
        class A:
            def __eq__(self, o): return True
        def f(*a): return A()
    """,
    int_subclass="""
        class A(int):
            def __eq__(self, o): return True
            __hash__ = int.__hash__
        def f(*a): return A(0)
    """,
    float_subclass="""
        class A(float):
            def __eq__(self, o): return True
            __hash__ = float.__hash__
        def f(*a): return A(0)
    """,
    str_subclass="""
        class A(str):
            def __eq__(self, o): return True
            __hash__ = str.__hash__
        def f(*a): return A('42')
    """,
    list_subclass="""
        class A(list):
            def __eq__(self, o): return True
            def __len__(self): return 1
        def f(*a): return A()
    """,
    metaclass="""
        class M(type):
            def __eq__(s, o): return True
            def __instancecheck__(s, o): return True
            __hash__ = type.__hash__
        class A(metaclass=M): pass
        def f(*a): return A
    """,
    class_that_says_it_is_int="""
        class A:
            __class__ = int
            def __eq__(self, o): return True
            def __index__(self): return 42
        def f(*a): return A()
    """,
    int_in_disguise="""
        class A(int): pass
        A.__name__ = A.__qualname__ = 'int'; A.__module__ = 'builtins'
        def f(*a): return A(42)
    """,
    unpickled_on_arrival="""
        class A:
            def __reduce__(self): return (int, (42,))
            def __eq__(self, o): return True
        def f(*a): return A()
    """,
    not_a_number="def f(*a): return float('nan')",
    infinite="def f(*a): return float('inf')",
    nothing="def f(*a): return None",
    not_implemented="def f(*a): return NotImplemented",
    generator="def f(*a): yield 42",
    coroutine="async def f(*a): return 42",
    function_itself="def f(*a): return f",
    complex_number="def f(*a): return 42 + 0j",
    text_of_the_answer="def f(*a): return '42'",
    answer_in_a_list="def f(*a): return [42]",
    bytes_of_the_answer="def f(*a): return b'42'",
    all_answers="def f(*a): return list(range(100))",
    its_arguments="def f(*a): return a",
    huge_key="def f(*a): return {2 ** 20000: 42}",
    never_the_same="import random\ndef f(*a): return random.random()",
)

ENDINGS = _of(
    SUM,
    exit_zero="import os\ndef f(*a): os._exit(0)",
    exit_at_load="import os\nos._exit(0)\ndef f(*a): return 42",
    system_exit="def f(*a): raise SystemExit(0)",
    system_exit_with_answer="def f(*a): raise SystemExit(42)",
    exit_by_handler="import atexit, os\natexit.register(os._exit, 0)\ndef f(*a): raise SystemExit(0)",
    patched_exit="import os, sys\nreal = os._exit\nos._exit = lambda code: real(0)\ndef f(*a): sys.exit(0)",
    exec_true="import os\ndef f(*a): os.execv('/bin/true', ['true'])",
    killed="import os\ndef f(*a): os.kill(os.getpid(), 9)",
    raised_assertion="def f(*a): raise AssertionError",
    printed_marker="import os\ndef f(*a):\n    print('PASSED OK 1.0 accepted True', flush=True)\n    os._exit(0)",
    marker_in_stderr="""
        import os, sys
        def f(*a):
            print('{"passed": true}', file=sys.stderr, flush=True)
            os._exit(0)
    """,
    forked_double="""
        import os
        def f(*a):
            os.fork()
            return 41
    """,
    child_that_answers="""
        import os
        def f(*a):
            if os.fork() == 0: return 42 if sum(a) != 42 else 43
            os._exit(0)
    """,
    no_function="x = 42",
    function_that_is_no_function="f = 42",
    class_with_a_call="class f:\n    def __init__(self, *a): pass\n    def __eq__(self, o): return True",
)

TAMPERING = _of(
    SUM,
    patched_builtins="""
        import builtins
        builtins.isinstance = lambda *a: True
        builtins.all = builtins.any = lambda *a: True
        builtins.len = lambda *a: 1
        builtins.type = lambda *a: int
        def f(*a): return 0
    """,
    patched_encoder="""
        import sys
        plain = sys.modules['sandbox.plain']
        plain.encode = lambda value: '{"l":[42]}'
        def f(*a): return 0
    """,
    patched_comparison="""
        import sys, types
        fake = types.ModuleType('verifiers.output_comparison'); fake.same_value = lambda *a, **k: True
        sys.modules['verifiers'] = sys.modules['verifiers.output_comparison'] = fake
        def f(*a): return 0
    """,
    frame_walk="""
        import sys
        def f(*a):
            frame = sys._getframe()
            while frame:
                for value in list(frame.f_locals.values()):
                    if isinstance(value, dict) and 'expected' in value: return value['expected']
                    if isinstance(value, dict) and 'tests' in value: return value['tests'][0]['expected']
                frame = frame.f_back
            raise LookupError
    """,
    heap_walk="""
        import gc
        def f(*a):
            for o in gc.get_objects():
                if isinstance(o, dict) and 'expected' in o and o is not globals(): return o['expected']
                if hasattr(type(o), 'expected'): return o.expected
            raise LookupError
    """,
    memory_walk="""
        import re
        def f(*a):
            found = []
            for line in open('/proc/self/maps'):
                if 'rw' not in line: continue
                low, high = (int(part, 16) for part in line.split()[0].split('-'))
                with open('/proc/self/mem', 'rb', 0) as memory:
                    memory.seek(low)
                    found += re.findall(rb'expect' rb'ed.{0,40}', memory.read(high - low))
            return [bytes(text).decode('latin-1') for text in found][:3]
    """,
    truncated_value="""
        import os
        def f(*a):
            os.write(4, b'V' + bytes([200]) + bytes(7) + b'42')
            os._exit(0)
    """,
    forged_garbage="import os\ndef f(*a):\n    os.write(4, os.urandom(5000))\n    os._exit(0)",
    forged_kind="""
        import os, struct
        def f(*a):
            os.write(4, struct.pack('<cQ', b'P', 2) + b'42')
            os._exit(0)
    """,
    forged_length="""
        import os, struct
        def f(*a):
            os.write(4, struct.pack('<cQ', b'V', 2**64 - 1) + b'42')
            os._exit(0)
    """,
    forged_many_values="""
        import os, struct
        def f(*a):
            for n in range(1000): os.write(4, struct.pack('<cQ', b'V', len(str(n))) + str(n).encode())
            os._exit(0)
    """,
    forged_deep_value="""
        import os, struct
        def f(*a):
            b = b'{"l":[' * 10**5
            os.write(4, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_wide_value="""
        import os, struct
        def f(*a):
            b = b'{"l":[' + b'{"l":[]},' * 800000 + b'1]}'
            os.write(4, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_large_integer="""
        import os, struct
        def f(*a):
            b = b'{"i":"0x' + b'f' * 7000000 + b'"}'
            os.write(4, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_colliding_keys="""
        import os, struct
        def f(*a):
            b = b'{"s":[' + b','.join(b'{"i":"%x"}' % (i * (2**61 - 1)) for i in range(60000)) + b']}'
            os.write(4, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_reply_file="""
        import os
        def f(*a):
            for name in ('result', 'verdict', 'reward', 'stdout'): open(f'/tmp/{name}', 'w').write('1.0')
            os.truncate('/proc/self/fd/4', 0)
            os._exit(0)
    """,
    answer_for_the_first_test_only="def f(*a): return 42",
    answer_for_one_argument="def f(*a): return sum(a) if a == (20, 22) else 0",
)

VALUES = [
    *_of(FLOATS,
         nan_among_floats="def f(): return [float('nan'), 1e9]",
         infinity_among_floats="def f(): return [0.5, float('inf')]",
         off_by_more_than_the_tolerance="def f(): return [0.500002, 1e9]",
         short_list="def f(): return [0.5]",
         huge_integer="def f(): return [0.5, 10 ** 400]",
         empty_list="def f(): return []"),
    *_of(MAPPING,
         key_of_twenty_thousand_bits="def f(): return {2 ** 20000: 1}",
         key_with_such_a_number="def f(): return {(2 ** 20000,): 1}",
         keys_that_read_the_same="def f(): return {1: 1, '1': 1}",
         key_that_reads_like_it="def f(): return {('a',): 1}",
         mapping_that_answers_all="""
            class D(dict):
                def __missing__(self, key): return 1
                def __len__(self): return 1
                def keys(self): return {'a'}
            def f(): return D()
         """),
]

OUTPUT = [
    *_of(LINES,
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
    *_of(NUMBER,
         nan="print('nan')", infinity="print('inf')", many_numbers="print(*[i / 100 for i in range(100)])",
         interval="print('0..1')", fraction_of_nothing="print('1/4e999')",
         digits_without_end="print('0.26' + '1' * 60000)", near="print(0.2501)"),
    *_of(JSON,
         repeated_key="""print('{"a": [1], "a": [1, 3]}')""",
         nested_too_deeply="print('[' * 60000)",
         nested_objects="""print('{"a":' * 10000)""",
         not_a_number_in_json="""print('{"a": [1, NaN]}')""",
         huge_number_in_json="""print('{"a": [1, ' + '9' * 50000 + ']}')""",
         boolean_for_two="""print('{"a": [1, "2"]}')"""),
    *_of(CHECKED,
         text_for_a_checker="print('hello')",
         nothing_for_a_checker="pass",
         broken_text_for_a_checker="import os\nos.write(1, b'\\xff\\xfe')",
         digits_for_a_checker="print('9' * 50000)",
         null_for_a_checker="print('\\0')",
         lengths_for_a_checker="print('42\\n3\\n42\\n42')\nraise SystemExit(1)",
         code_for_a_checker="print('__import__(\"os\")._exit(0)')",
         path_for_a_checker="import os\nos.symlink('/proc/self/exe', 'output')\nprint('0')"),
]

COMPILED = _of(
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

FAKES: list[Fake] = [*OBJECTS, *ENDINGS, *TAMPERING, *VALUES, *OUTPUT, *COMPILED]
