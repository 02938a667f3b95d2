"""C++: compiled once inside the sandbox, then run like any program."""

import shutil
from dataclasses import replace

import pytest

from sandbox.languages import LANGUAGES
from sandbox.model import Limits, Program, Status
from sandbox.warm.sandbox import WarmSandbox

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ on this host")

LIMITS = Limits(cpu_s=2, wall_s=5, memory_mb=256)
TRIPLE = '#include <cstdio>\nint main(){int a; while(scanf("%d",&a)==1) printf("%d\\n",a*3);}'


def test_runs_and_compiles_once(sandbox: WarmSandbox) -> None:
    executions = sandbox.run(Program(TRIPLE, "cpp"), [b"1 2\n", b"5"], LIMITS)
    assert [e.stdout for e in executions] == [b"3\n6\n", b"15\n"]
    compiled = dict(sandbox._binaries)
    sandbox.run(Program(TRIPLE, "cpp"), [b"1"], LIMITS)
    assert sandbox._binaries == compiled


@pytest.mark.parametrize("source", ["int main(){return x;}", '#include "/etc/passwd"\nint main(){}', ""])
def test_compile_error_carries_the_message(sandbox: WarmSandbox, source: str) -> None:
    executions = sandbox.run(Program(source, "cpp"), [b"", b""], LIMITS)
    assert [e.status for e in executions] == [Status.COMPILE_ERROR] * 2
    assert executions[0].stderr


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("for(;;);", Status.TIME_LIMIT),
        ("return 3;", Status.RUNTIME_ERROR),
        ("*(volatile int*)0 = 1;", Status.RUNTIME_ERROR),
        ("for(;;) putchar(120);", Status.OUTPUT_LIMIT),
        ("std::vector<long> v(1L << 40);", Status.MEMORY_LIMIT),
        ("for(;;) { auto p = new volatile char[9999]; p[0] = p[5000] = 1; }", Status.MEMORY_LIMIT),
    ],
)  # fmt: skip
def test_statuses(sandbox: WarmSandbox, body: str, status: Status) -> None:
    source = f"#include <cstdio>\n#include <vector>\nint main(){{ {body} }}"
    limits = Limits(cpu_s=0.5, wall_s=2, memory_mb=128, output_bytes=1 << 16)
    assert sandbox.run(Program(source, "cpp"), [b""], limits)[0].status is status


STANDARD = 'extern "C" int printf(const char *, ...);\nint main() { printf("%ld", __cplusplus); }'


@pytest.mark.parametrize(("name", "least"), [("cpp17", 201703), ("cpp20", 202002), ("cpp23", 202100), ("cpp", 202002)])
def test_a_standard_goes_by_name(sandbox: WarmSandbox, name: str, least: int) -> None:
    execution = sandbox.run(Program(STANDARD, name), [b""], LIMITS)[0]
    if execution.status is Status.SANDBOX_ERROR and "does not know" in execution.reason:
        pytest.skip("an old compiler")
    assert least <= int(execution.stdout) < least + 1000


def test_what_only_a_later_standard_has(sandbox: WarmSandbox) -> None:
    source = "#include <bits/stdc++.h>\nint main(){ std::vector v{3,1,2}; std::ranges::sort(v); std::cout << v[0]; }"
    assert sandbox.run(Program(source, "cpp"), [b""], LIMITS)[0].stdout == b"1"
    assert sandbox.run(Program(source, "cpp17"), [b""], LIMITS)[0].status is Status.COMPILE_ERROR


def test_a_compiler_without_the_standard_takes_the_one_before(
    sandbox: WarmSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("cpp", "cpp20"):
        unknown = replace(LANGUAGES[name], compiler=("g++", "-std=c++99"), standard="-std=c++99")
        monkeypatch.setitem(LANGUAGES, name, unknown)
    source = f"// unknown\n{STANDARD}"
    assert sandbox.run(Program(source, "cpp"), [b""], LIMITS)[0].stdout == b"201703"
    named = sandbox.run(Program(source, "cpp20"), [b""], LIMITS)[0]
    assert (named.status, "does not know" in named.reason) == (Status.SANDBOX_ERROR, True)
    forged = Program("#error unrecognized -std=c++20 invalid value", "cpp")
    assert sandbox.run(forged, [b""], LIMITS)[0].status is Status.COMPILE_ERROR


def test_program_too_large_to_carry_is_a_compile_error(sandbox: WarmSandbox) -> None:
    source = "char big[16 << 20] = {1}; int main(int n, char**){return big[n] != 0;}"
    execution = sandbox.run(Program(source, "cpp"), [b""], LIMITS)[0]
    assert execution.status is Status.COMPILE_ERROR
    assert "larger than" in execution.reason


def test_deep_recursion_has_room(sandbox: WarmSandbox) -> None:
    source = (
        "#include <cstdio>\n"
        "int f(int n){volatile int a=n; return n ? f(n-1)+(a==n) : 0;}\n"
        'int main(){printf("%d",f(1000000));}'
    )
    assert sandbox.run(Program(source, "cpp"), [b""], LIMITS)[0].stdout == b"1000000"


def test_binary_of_one_program_is_out_of_reach_of_another(sandbox: WarmSandbox) -> None:
    sandbox.run(Program(TRIPLE, "cpp"), [b"1"], LIMITS)
    execution = sandbox.run(Program("import os\nprint(os.listdir('.'))"), [b""], LIMITS)[0]
    assert execution.stdout == b"[]\n"
