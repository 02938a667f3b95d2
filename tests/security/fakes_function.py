"""Fake passes of functions: objects, endings, tampering and values."""

from fake_kit import FLOATS, MAPPING, SUM, Fake, of

# fmt: off
OBJECTS = of(
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

ENDINGS = of(
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

TAMPERING = of(
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
        plain = sys.modules['sandbox.inside.plain']
        plain.encode = lambda value: '{"l":[42]}'
        def f(*a): return 0
    """,
    patched_comparison="""
        import sys, types
        fake = types.ModuleType('verifiers.programs.comparison'); fake.same_value = lambda *a, **k: True
        sys.modules['verifiers'] = sys.modules['verifiers.programs.comparison'] = fake
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
            os.write(3, b'V' + bytes([200]) + bytes(7) + b'42')
            os._exit(0)
    """,
    forged_garbage="import os\ndef f(*a):\n    os.write(3, os.urandom(5000))\n    os._exit(0)",
    forged_kind="""
        import os, struct
        def f(*a):
            os.write(3, struct.pack('<cQ', b'P', 2) + b'42')
            os._exit(0)
    """,
    forged_length="""
        import os, struct
        def f(*a):
            os.write(3, struct.pack('<cQ', b'V', 2**64 - 1) + b'42')
            os._exit(0)
    """,
    forged_many_values="""
        import os, struct
        def f(*a):
            for n in range(1000): os.write(3, struct.pack('<cQ', b'V', len(str(n))) + str(n).encode())
            os._exit(0)
    """,
    forged_deep_value="""
        import os, struct
        def f(*a):
            b = b'{"l":[' * 10**5
            os.write(3, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_wide_value="""
        import os, struct
        def f(*a):
            b = b'{"l":[' + b'{"l":[]},' * 800000 + b'1]}'
            os.write(3, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_large_integer="""
        import os, struct
        def f(*a):
            b = b'{"i":"0x' + b'f' * 7000000 + b'"}'
            os.write(3, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_colliding_keys="""
        import os, struct
        def f(*a):
            b = b'{"s":[' + b','.join(b'{"i":"%x"}' % (i * (2**61 - 1)) for i in range(60000)) + b']}'
            os.write(3, struct.pack('<cQ', b'V', len(b)) + b)
            os._exit(0)
    """,
    forged_reply_file="""
        import os
        def f(*a):
            for name in ('result', 'verdict', 'reward', 'stdout'): open(f'/tmp/{name}', 'w').write('1.0')
            os.truncate('/proc/self/fd/3', 0)
            os._exit(0)
    """,
    answer_for_the_first_test_only="def f(*a): return 42",
    answer_for_one_argument="def f(*a): return sum(a) if a == (20, 22) else 0",
)

VALUES = [
    *of(FLOATS,
         nan_among_floats="def f(): return [float('nan'), 1e9]",
         infinity_among_floats="def f(): return [0.5, float('inf')]",
         off_by_more_than_the_tolerance="def f(): return [0.500002, 1e9]",
         short_list="def f(): return [0.5]",
         huge_integer="def f(): return [0.5, 10 ** 400]",
         empty_list="def f(): return []"),
    *of(MAPPING,
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

FAKES: list[Fake] = [*OBJECTS, *ENDINGS, *TAMPERING, *VALUES]
