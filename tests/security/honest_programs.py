"""Right but unusual programs: what they use of Python, how they are written down, and C++."""

from honest_kit import Honest, one

# fmt: off
LIBRARY = [
    one("deep_recursion", """
        import sys
        sys.setrecursionlimit(10**6)
        def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
        print(depth(100000))
    """, "100000\n"),
    one("deep_recursion_in_a_thread", """
        import sys, threading
        sys.setrecursionlimit(10**6); threading.stack_size(2**27)
        def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
        t = threading.Thread(target=lambda: print(depth(50000))); t.start(); t.join()
    """, "50000\n"),
    one("large_thread_stack", """
        import threading
        threading.stack_size(512 << 20)
        t = threading.Thread(target=print, args=(1,)); t.start(); t.join()
    """, "1\n"),
    one("thread_pool", """
        from concurrent.futures import ThreadPoolExecutor
        with ThreadPoolExecutor(16) as pool: print(sum(pool.map(lambda x: x * x, range(100))))
    """, "328350\n"),
    one("process_pool", """
        from concurrent.futures import ProcessPoolExecutor
        def f(x): return x * 2
        if __name__ == '__main__':
            with ProcessPoolExecutor(2) as pool: print(list(pool.map(f, [1, 2])))
    """, "[2, 4]\n"),
    one("multiprocessing_pool", """
        from multiprocessing import Pool
        def f(x): return x + 1
        if __name__ == '__main__':
            with Pool(2) as pool: print(pool.map(f, [1, 2]))
    """, "[2, 3]\n"),
    one("multiprocessing_queue", """
        import multiprocessing as mp
        def f(q): q.put(5)
        q = mp.Queue()
        p = mp.Process(target=f, args=(q,)); p.start(); print(q.get()); p.join()
    """, "5\n"),
    one("shared_memory", """
        from multiprocessing import shared_memory
        m = shared_memory.SharedMemory(create=True, size=100)
        m.buf[0] = 7; print(m.buf[0]); m.close(); m.unlink()
    """, "7\n"),
    one("large_data_shared_by_forks", """
        import os
        data = bytearray(70 << 20)
        for i in range(0, len(data), 4096): data[i] = 1
        for _ in range(4):
            if os.fork() == 0: os._exit(data[0] - 1)
        print(sum(os.wait()[1] for _ in range(4)))
    """, "0\n"),
    one("subprocess", "import subprocess\nprint(subprocess.check_output(['echo', 'x'], text=True), end='')", "x\n"),
    one("subprocess_of_python", """
        import subprocess, sys
        print(subprocess.check_output([sys.executable, '-c', 'print(40 + 2)'], text=True), end='')
    """, "42\n"),
    one("shell", "import os\nos.system('echo a | tr a b')", "b\n"),
    one("asyncio", """
        import asyncio
        async def main():
            await asyncio.sleep(0.01)
            print(await asyncio.to_thread(sum, [1, 2]))
        asyncio.run(main())
    """, "3\n"),
    one("asyncio_subprocess", """
        import asyncio
        async def main():
            p = await asyncio.create_subprocess_exec('echo', 'x', stdout=-1)
            print((await p.communicate())[0])
        asyncio.run(main())
    """, "b'x\\n'\n"),
    one("fault_handler", "import faulthandler\nfaulthandler.enable()\nprint(1)", "1\n"),
    one("signal_handler", """
        import os, signal
        signal.signal(signal.SIGUSR1, lambda *a: print('got'))
        os.kill(os.getpid(), signal.SIGUSR1)
    """, "got\n"),
    one("alarm", """
        import signal, time
        signal.signal(signal.SIGALRM, lambda *a: print('rang'))
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        time.sleep(0.05)
    """, "rang\n"),
    one("many_digits", "import sys\nsys.set_int_max_str_digits(0)\nprint(len(str(10 ** 5000)))", "5001\n"),
    one("decimal", "from decimal import *\ngetcontext().prec = 50\nprint(Decimal(1) / 3)", "0." + "3" * 50 + "\n"),
    one("fractions", "from fractions import Fraction\nprint(sum(Fraction(1, n) for n in range(1, 6)))", "137/60\n"),
    one("numpy_that_is_not_there", "try: import numpy\nexcept ImportError: print('no')", "no\n"),
    one("temporary_files", """
        import os, tempfile
        with tempfile.TemporaryFile() as f:
            f.write(b'x'); f.seek(0); print(f.read())
        with tempfile.NamedTemporaryFile('w+') as f: print(f.write('abc'))
        with tempfile.TemporaryDirectory() as d: print(os.listdir(d))
    """, "b'x'\n3\n[]\n"),
    one("database", """
        import sqlite3
        c = sqlite3.connect('x.db')
        c.execute('create table t (a)'); c.execute('insert into t values (1)'); c.commit()
        print(c.execute('select * from t').fetchall())
    """, "[(1,)]\n"),
    one("c_library", "import ctypes\nprint(ctypes.CDLL(None).abs(-3))", "3\n"),
    one("own_niceness_and_cores", """
        import os
        os.nice(1); os.sched_setaffinity(0, os.sched_getaffinity(0))
        print(os.cpu_count() > 0)
    """, "True\n"),
    one("limits_of_its_own", """
        import resource
        resource.setrlimit(resource.RLIMIT_STACK, (50 << 20, resource.getrlimit(resource.RLIMIT_STACK)[1]))
        print(1)
    """, "1\n"),
    one("random_and_hashes", """
        import hashlib, os, secrets, uuid
        print(len(hashlib.sha256(b'').hexdigest()), len(uuid.uuid4().hex), len(os.urandom(4)), secrets.randbelow(1))
    """, "64 32 4 0\n"),
    one("collector_off", "import gc\ngc.disable(); gc.collect(); gc.freeze()\nprint(gc.isenabled())", "False\n"),
    one("recursion_by_lambda", "f = lambda n: 1 if n < 2 else n * f(n - 1)\nprint(f(20))", "2432902008176640000\n"),
    one("cached_functions", """
        import functools, sys
        sys.setrecursionlimit(10**5)
        @functools.lru_cache(None)
        def f(n): return 1 if n == 0 else (2 * f(n - 1)) % 1000
        print(f(2500))
    """, f"{pow(2, 2500, 1000)}\n"),
    one("pair_of_sockets", "import socket\na, b = socket.socketpair(); a.send(b'x'); print(b.recv(1))", "b'x'\n"),
    one("select",
         "import os, select\nr, w = os.pipe(); os.write(w, b'x'); print(select.select([r], [], [], 1)[0] == [r])",
         "True\n"),
    one("pickle_of_an_own_class",
         "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__name__)", "A\n"),
    one("dataclass_with_annotations", """
        from __future__ import annotations
        from dataclasses import dataclass
        import typing
        @dataclass(order=True)
        class P:
            x: int
        print(P(3), typing.get_type_hints(P))
    """, "P(x=3) {'x': <class 'int'>}\n"),
    one("import_of_main", "import __main__\nx = 5\nprint(__main__.x)", "5\n"),
    one("file_name",
         "import os\nprint(bool(__file__), bool(os.path.dirname(os.path.abspath(__file__))))", "True True\n"),
    one("trace",

                "import sys\nn = []\nsys.settrace(lambda *a: n.append(1))\ndef f(): pass\nf()"
         "\nsys.settrace(None)\nprint(len(n) > 0)",
         "True\n"),
    one("fsync",

                "import os\nf = open('f', 'w'); f.write('x'); f.flush();"
         " os.fsync(f.fileno()); os.sync()\nprint(open('f').read())",
         "x\n"),
]

TEXT = [
    one("byte_order_mark", "\ufeffprint(1)", "1\n"),
    one("coding_cookie", "# -*- coding: latin-1 -*-\nprint(1)", "1\n"),
    one("lines_of_windows", "print(1)\r\nif 1:\r\n    print(2)\r\n", "1\n2\n"),
    one("lines_of_old_macs", "x = 1\rprint(x)", "1\n"),
    one("tabs", "if 1:\n\tprint(1)", "1\n"),
    one("no_newline_after_a_comment", "print(1)\n# done", "1\n"),
    one("unicode_names", "\u03c0 = 3\nprint(\u03c0)", "3\n"),
    one("shebang", "#!/usr/bin/env python3\nprint(1)", "1\n"),
    one("walrus_and_match", "match (n := 3):\n    case 3: print(n)", "3\n"),
]

_CPP = "#include <bits/stdc++.h>\nusing namespace std;\n"
COMPILED = [
    one("fast_streams",
         _CPP + 'int main(){ios::sync_with_stdio(false);cin.tie(0);int a,b;cin>>a>>b;cout<<a+b<<"\\n";}',
         "5\n", "2 3", "cpp"),
    one("getchar",
         _CPP + "int main(){int c,n=0;while((c=getchar())!=EOF)n++;printf(\"%d\",n);}", "4", "a\r\nb", "cpp"),
    one("fread",
         _CPP + 'char b[99];int main(){size_t n=fread(b,1,99,stdin);fwrite(b,1,n,stdout);}', "xyz", "xyz", "cpp"),
    one("quick_exit_after_flush", _CPP + 'int main(){puts("1");fflush(stdout);_Exit(0);}', "1\n", "", "cpp"),
    one("freopen",
         _CPP + 'int main(){freopen("/dev/stdin","r",stdin);int a;scanf("%d",&a);printf("%d",a);}', "7", "7", "cpp"),
    one("threads_in_cpp", _CPP + "int main(){int s=0;mutex m;vector<thread> v;for(int i=0;i<8;i++)v.emplace_back("
         '[&]{lock_guard<mutex> g(m);s++;});for(auto&t:v)t.join();cout<<s;}', "8", "", "cpp"),
    one("large_arrays", _CPP + "int a[20000000];int main(){a[5]=1;cout<<a[5]+a[19999999];}", "1", "", "cpp"),
    one("deep_recursion_in_cpp",
         _CPP + "int f(int n){volatile int a=n;return n?f(n-1)+(a==n):0;}int main(){cout<<f(1000000);}",
         "1000000", "", "cpp"),
    one("static_constructor", _CPP + 'struct A{A(){cout<<"a";}~A(){cout<<"b";}}x;int main(){}', "ab", "", "cpp"),
    one("exceptions",
         _CPP + 'int main(){try{vector<int>().at(1);}catch(exception&e){cout<<"caught";}}', "caught", "", "cpp"),
    one("wide_integers", _CPP + "int main(){__int128 x=1;x<<=100;cout<<(long long)(x>>90);}", "1024", "", "cpp"),
    one("vectors_of_the_processor", "#pragma GCC optimize(\"O3,unroll-loops\")\n" + _CPP
         + "int main(){vector<int>v(1000,2);cout<<accumulate(v.begin(),v.end(),0);}", "2000", "", "cpp"),
    one("return_value_left_out", _CPP + "int main(){cout<<1<<endl;}", "1\n", "", "cpp"),
]

HONEST: list[Honest] = [*LIBRARY, *TEXT, *COMPILED]
