"""Which compiler is taken, for which machines it compiles, and what happens when it fails."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.engines.native.conftest import UNIT, forget, python, twice
from twinml.engines.native import building, compiler, targets
from twinml.engines.native.compiler import Compiler, find_compiler
from twinml.engines.native.library import load
from twinml.errors import ArgumentError, CompileError, MissingDependencyError, NoCompilerError

CLANG = "clang version 18.1.0"

# --- which ---------------------------------------------------------------------------------------


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A PATH with nothing on it, and no ziglang package."""
    monkeypatch.setattr(compiler, "zig_command", lambda: None)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    return monkeypatch


def test_the_order_is_ours_then_cxx_then_the_usual_names(bare, program, tmp_path):
    for name in ("c++", "clang++", "g++", "other", "ours"):
        path = program(name, "exit 1", CLANG if "clang" in name else "g++ 1, gcc")
        bare.setenv("PATH", str(path.parent))
        forget(bare)
        expected = {"ours": "g++", "other": "g++"}.get(name, name)
        assert Path(find_compiler().path).name == expected
    assert find_compiler().kind == "gcc"
    bare.setenv("CXX", "other")
    assert Path(find_compiler().path).name == "other"
    bare.setenv("TWINML_CXX", f"{tmp_path}/bin/ours -pipe")
    assert find_compiler().command == (f"{tmp_path}/bin/ours", "-pipe")


@pytest.mark.parametrize("tells", ["nvcc: NVIDIA (R) Cuda compiler driver", "Intel(R) oneAPI"])
def test_a_compiler_of_no_known_kind_is_passed_over(program, tells, monkeypatch):
    program("strange", "exit 1", tells)
    program("g++", "exit 1")
    monkeypatch.setenv("CXX", "strange")
    assert Path(find_compiler().path).name == "g++"
    monkeypatch.setenv("TWINML_CXX", "strange")
    with pytest.raises(NoCompilerError, match=r"TWINML_CXX='strange' is no C\+\+ compiler"):
        find_compiler()


@pytest.mark.parametrize(
    "tells", ["g++ (GCC) 8.5.0 20210514 (Red Hat 8.5.0-4), gcc", "Ubuntu clang version 8.5.1"]
)
def test_a_compiler_that_is_too_old_is_passed_over_and_named(bare, program, tells):
    path = program("g++", "exit 1", tells)
    bare.setenv("PATH", str(path.parent))
    with pytest.raises(NoCompilerError, match=r"g\+\+ \(8.5 is older than 1[12]\), clang"):
        find_compiler()
    bare.setenv("TWINML_CXX", "g++")
    with pytest.raises(NoCompilerError, match=r"can be used \(8.5 is older"):
        find_compiler()
    program("clang++", "exit 1", "clang version 12.0.0")
    bare.setenv("PATH", str(path.parent))
    bare.delenv("TWINML_CXX")
    assert find_compiler().kind == "clang"


def test_without_any_the_error_says_what_to_install(bare):
    with pytest.raises(NoCompilerError, match=r"apt-get install g\+\+.*twinml\[native\]") as told:
        load(UNIT)
    assert isinstance(told.value, MissingDependencyError) and told.value.exit_code == 2


@pytest.mark.parametrize("text", ["/nowhere/g++", "'open", "false"])
def test_a_wrong_name_of_ours_is_not_replaced_in_silence(text, monkeypatch):
    monkeypatch.setenv("TWINML_CXX", text)
    with pytest.raises(NoCompilerError, match="TWINML_CXX"):
        find_compiler()


def test_the_ziglang_package_comes_last_and_needs_no_python_around_it(
    tmp_path, monkeypatch, program
):
    folder = tmp_path / "site" / "ziglang"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise ImportError('not to be imported')")
    zig = program("zig", "echo 0.99", CLANG)
    zig.rename(folder / "zig")
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("PATH", "")
    found = find_compiler()
    assert found.command == (str(folder / "zig"), "c++")
    assert found.kind == "zig" and found.version.startswith("zig 0.99, clang")
    # Otherwise its own standard library is compiled first, for minutes.
    assert "-nostdlib++" in found.flags("x86-64-v3")
    assert "-mcpu=x86_64_v3" in found.flags("x86-64-v3")


def test_windows_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(NoCompilerError, match="Windows"):
        find_compiler()


def test_a_warm_start_asks_no_compiler(gxx, monkeypatch, no_program):
    cold = find_compiler()
    forget(monkeypatch)
    no_program()
    assert find_compiler() == cold and "g++" in cold.version


def test_a_compiler_that_changed_is_asked_again(program, monkeypatch):
    path = program("g++", "exit 1")
    monkeypatch.setattr(compiler, "_is_the_compiler", lambda path: True)
    first = find_compiler()
    program("g++", "exit 1", "g++ (of a test) 2.0, gcc")
    os.utime(path, (1, 1))
    forget(monkeypatch)
    assert first.version != find_compiler().version


def test_what_only_stands_for_a_compiler_is_asked_at_every_start(program, monkeypatch, tmp_path):
    path = program("g++", "exit 1")
    assert not compiler._is_the_compiler(path)
    program("real", "exit 1").rename(tmp_path / "bin" / "ccache")
    path.unlink()
    path.symlink_to(tmp_path / "bin" / "ccache")
    assert not compiler._is_the_compiler(path.resolve())


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"g++": 3}', b"\xff"])
def test_a_damaged_table_of_versions_is_written_anew(gxx, cache, monkeypatch, content):
    find_compiler()
    (cache / "compilers.json").write_bytes(content)
    forget(monkeypatch)
    assert find_compiler().kind == "gcc"
    assert b"g++" in (cache / "compilers.json").read_bytes()


# --- for which machine ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gcc", "clang", "zig"])
@pytest.mark.parametrize("target", targets.TARGETS)
def test_no_flag_lets_a_compiler_reorder_arithmetic(kind, target):
    flags = Compiler(("c++",), kind, "", "").flags(target)
    assert {"-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"} <= set(flags)
    allowed = {"-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"}
    assert not [
        flag for flag in flags if ("fast" in flag or "math" in flag) and flag not in allowed
    ]


@pytest.fixture(autouse=True)
def features_read_anew():
    yield
    targets.features.cache_clear()


def cpu(monkeypatch, tmp_path, words: str | None, machine: str = "x86_64") -> None:
    """A machine with a CPU of these features."""
    path = tmp_path / "cpuinfo"
    if words is not None:
        path.write_text(f"processor\t: 0\nflags\t\t: {words}\nbugs\t: none\n")
    monkeypatch.setattr(targets, "CPUINFO", path)
    monkeypatch.setattr(targets.platform, "machine", lambda: machine)
    targets.features.cache_clear()


OLD = "fpu sse sse2 ht cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3 avx"


def test_a_target_this_machine_cannot_run_is_refused_before_compiling(
    monkeypatch, tmp_path, no_program
):
    cpu(monkeypatch, tmp_path, OLD)
    no_program()
    with pytest.raises(ArgumentError, match=r"needs a CPU with abm, avx2.*target='x86-64-v2'"):
        load(UNIT, "x86-64-v3")
    with pytest.raises(ArgumentError, match="another architecture"):
        load(UNIT, "armv8-a")
    with pytest.raises(ArgumentError, match="Did you mean 'x86-64-v3'"):
        load(UNIT, "x86-64v3")


@pytest.mark.parametrize(
    ("words", "machine", "target"),
    [
        (OLD + " abm avx2 bmi1 bmi2 f16c fma movbe xsave", "x86_64", "x86-64-v3"),
        (OLD, "AMD64", "x86-64-v2"),
        (None, "x86_64", "x86-64-v2"),
        (None, "arm64", "armv8-a"),
        ("fp asimd", "aarch64", "armv8-a"),
    ],
)
def test_the_default_target_is_the_best_named_one_that_runs_here(
    monkeypatch, tmp_path, words, machine, target
):
    cpu(monkeypatch, tmp_path, words, machine)
    assert targets.default_target() == target


def test_an_architecture_without_target_is_named(monkeypatch, tmp_path):
    cpu(monkeypatch, tmp_path, None, "riscv64")
    for call in (targets.default_target, lambda: targets.check_target("native")):
        with pytest.raises(ArgumentError, match=r"riscv64.*eager"):
            call()


def test_native_code_of_two_machines_is_kept_apart_in_a_shared_home(monkeypatch, tmp_path):
    keys = []
    for words in (OLD, OLD + " fma"):
        cpu(monkeypatch, tmp_path, words)
        keys.append(targets.machine_key("native"))
    assert keys[0] != keys[1] and targets.machine_key("x86-64-v2") == "x86-64-v2"


FUSED = """
extern "C" __attribute__((visibility("default")))
void chain(int n, const double* x, double* y) {
  double a = 1.0;
  for (int i = 0; i < n; ++i) {
    a = a * x[i] + 0.5;                     // must not be contracted
    a = __builtin_fma(a, x[n - 1 - i], -a * a);
    a = __builtin_sqrt(a * a + x[i] / 3.0);
    y[i] = a;
  }
}
"""


def test_every_target_gives_the_same_bits(gxx):
    draw = random.Random(7)
    n = 2000
    x = (ctypes.c_double * n)(*(draw.uniform(-1, 1) ** 2 for _ in range(n)))
    results = {}
    for target in targets.TARGETS:
        try:
            targets.check_target(target)
        except ArgumentError:
            continue
        y = (ctypes.c_double * n)()
        load(FUSED, target).handle.chain(ctypes.c_int(n), x, y)
        results[target] = struct.pack(f"{n}d", *y)
    assert len(results) > 1 and len(set(results.values())) == 1


# --- when it fails -------------------------------------------------------------------------------


def test_a_unit_that_does_not_compile_is_told_with_everything_needed(gxx, cache, no_program):
    with pytest.raises(CompileError) as told:
        load("int broken( { return wrong; }\n")
    text = str(told.value)
    assert "ended with code 1" in text and "error: expected" in text and gxx in text
    source, log = cache.glob("failed/*.cpp"), cache.glob("failed/*.log")
    for path in (*source, *log):
        assert str(path) in text and "broken" in path.read_text()
    assert not list(cache.glob("*.json.*")) and not list(cache.glob(".build-*"))
    no_program()  # what a compiler refused once is not compiled again by this process
    with pytest.raises(CompileError, match="error: expected"):
        load("int broken( { return wrong; }\n")


@pytest.mark.parametrize(
    ("body", "fragment"),
    [
        ("exit 3", r"ended with code 3.*it said nothing"),
        ("echo '  ' ; echo cannot find as >&2; exit 1", "cannot find as"),
        ("kill -9 $$", r"ended by SIGKILL \(out of memory\?\)"),
        ("exit 0", "made no library"),
        ("echo junk > unit.so", "does not load"),
        (": > unit.so", "does not load"),
    ],
    ids=["silent", "says why", "killed", "makes nothing", "makes junk", "makes an empty file"],
)
def test_a_broken_compiler_is_a_compile_error(program, cache, body, fragment):
    program("g++", body)
    for _ in range(2):
        with pytest.raises(CompileError, match=f"(?s){fragment}"):
            load(UNIT)
    assert not list(cache.glob("*.json.*")) and not list(cache.glob(".build-*"))


def test_a_compiler_that_hangs_is_ended_with_its_children(program, tmp_path, monkeypatch):
    monkeypatch.setattr(building, "TIMEOUT", 0.5)
    program("g++", f"sleep 600 & echo $! > {tmp_path}/child; wait")
    with pytest.raises(CompileError, match=r"did not end within 0.5 s"):
        load(UNIT)
    assert ended(int((tmp_path / "child").read_text()))


def ended(process: int) -> bool:
    for _ in range(100):
        try:
            if Path(f"/proc/{process}/stat").read_text().split()[2] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill -9"])
def test_an_interrupted_compilation_leaves_no_entry(program, gxx, cache, tmp_path, number):
    """And the next process compiles as if nothing had been."""
    slow = f'touch {tmp_path}/started; {gxx} "$@"; until [ -e {tmp_path}/go ]; do sleep 0.05; done'
    path = program("g++", slow)
    code = f"from twinml.engines.native.library import load\nload({UNIT!r})"
    process = python(code)
    while not (tmp_path / "started").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    time.sleep(0.2)
    process.send_signal(number)
    _, error = process.communicate(timeout=20)
    assert process.returncode != 0 and (number == signal.SIGKILL or "KeyboardInterrupt" in error)
    left = {path.name.split("-")[0] for path in cache.iterdir() if path.name[0] == "."}
    assert not list(cache.glob("*.json"))
    assert left == ({".build", ".lock"} if number == signal.SIGKILL else set())
    subprocess.run(["touch", str(tmp_path / "go")], check=True)
    library = load(UNIT)
    assert not library.cached and twice(library, 4.0) == 8.0 and str(path) in library.command


def test_what_a_killed_compilation_left_is_swept_away_a_day_later(gxx, cache):
    load(UNIT)
    (cache / ".build-old").mkdir()
    (cache / ".build-new").mkdir()
    for name in (".lock-old", ".lock-new"):
        (cache / name).touch()
    for name in (".build-old", ".lock-old"):
        os.utime(cache / name, (1, 1))
    load(UNIT + "// another\n")
    assert {path.name for path in cache.glob(".*")} >= {".build-new", ".lock-new"}
    assert not list(cache.glob(".*-old"))
