"""Only a library that is, byte for byte, what was stored by this user is ever loaded."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
import warnings
from pathlib import Path

import pytest

from tests.engines.native.conftest import UNIT, forget, python, twice
from twinml.engines import kernel_folder as place
from twinml.engines.native import building, library
from twinml.engines.native.library import load
from twinml.errors import CompileError

pytestmark = pytest.mark.usefixtures("gxx")

LOAD = f"""
import os, warnings; warnings.simplefilter("ignore")
from twinml.engines.native.library import load
import ctypes
made = load({UNIT!r})
made.handle.twice.restype, made.handle.twice.argtypes = ctypes.c_double, [ctypes.c_double]
print(made.handle.twice(21.0), made.cached, made.path)
"""


@pytest.fixture
def root():
    if os.geteuid() != 0:
        pytest.skip("needs another user's file: run as root")


def entry(cache: Path, ending: str) -> Path:
    (path,) = (path for path in cache.glob(f"*{ending}") if path.name != "compilers.json")
    return path


def test_an_entry_is_made_once_and_loaded_by_the_next_process(cache, monkeypatch, no_program):
    first = load(UNIT)
    assert not first.cached and first.compile_seconds > 0 and twice(first, 3.0) == 6.0
    assert load(UNIT) is first
    assert cache.stat().st_mode & 0o777 == 0o700 and not list(cache.glob(".build-*"))
    assert first.source_path.read_text() == UNIT and first.path.parent == cache
    forget(monkeypatch)
    no_program()
    before = {path: path.stat().st_mtime_ns for path in cache.iterdir()}
    second = load(UNIT)
    assert second.cached and (second.path, second.key) == (first.path, first.key)
    assert second.compile_seconds == first.compile_seconds and second.command == first.command
    assert before == {path: path.stat().st_mtime_ns for path in cache.iterdir()}


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def of_other_size(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "size": 1}))


def elsewhere(path: Path) -> None:
    """An entry whose library is named outside the folder."""
    record = json.loads(path.read_text())
    outside = path.parent.parent / "outside.so"
    shutil.move(path.parent / record["library"], outside)
    path.write_text(json.dumps({**record, "library": f"../{outside.name}"}))


@pytest.mark.parametrize(
    ("ending", "damage"),
    [
        (".so", flip),
        (".so", shorten),
        (".so", lambda path: path.write_bytes(b"")),
        (".so", Path.unlink),
        (".json", shorten),
        (".json", lambda path: path.write_text("null")),
        (".json", lambda path: path.write_text('{"schema": "kernel/0"}')),
        (".json", of_other_size),
        (".json", elsewhere),
        (".cpp", Path.unlink),
    ],
    ids=["a flipped byte", "truncated", "empty", "gone", "truncated record", "null", "other schema",
         "other size", "outside the folder", "no source"],
)  # fmt: skip
def test_a_damaged_entry_is_compiled_again_and_never_loaded(cache, monkeypatch, ending, damage):
    with monkeypatch.context() as stored_only:  # else this process would have it mapped already
        stored_only.setattr(library.ctypes, "CDLL", lambda path: None)
        load(UNIT)
    forget(monkeypatch)
    damage(entry(cache, ending))
    again = load(UNIT)
    assert not again.cached and twice(again, 21.0) == 42.0
    forget(monkeypatch)
    assert load(UNIT).cached


def test_text_target_headers_flags_and_compiler_make_entries_of_their_own(
    cache, tmp_path, monkeypatch, program, gxx
):
    headers = tmp_path / "headers of mine, Ω"
    headers.mkdir()
    (headers / "value.h").write_text("#define VALUE 1\n")
    text = '#include "value.h"\nextern "C" int value() { return VALUE; }\n'
    visible = text.replace("int value", '__attribute__((visibility("default"))) int value')
    made = [load(visible, headers=headers)]
    assert made[0].handle.value() == 1
    (headers / "value.h").write_text("#define VALUE 2\n")
    os.utime(headers / "value.h", (1, 1))  # touched, whatever the clock's grain
    made.append(load(visible, headers=headers))
    assert made[1].handle.value() == 2
    made.append(load(visible + "//\n", headers=headers))
    made.append(load(visible, "x86-64-v2", headers=headers)) if "x86" in made[0].target else None
    program("g++", f'exec {gxx} "$@"', "g++ 99, gcc")
    forget(monkeypatch)
    made.append(load(visible, headers=headers))
    assert not any(library.cached for library in made)
    assert len({library.key for library in made}) == len(made)


def test_what_was_not_used_for_months_goes_when_another_is_made(cache):
    old, used = load(UNIT), load(UNIT + "// 2\n")
    with pytest.raises(CompileError):
        load("wrong")
    for path in (cache / f"{old.key}.json", *cache.glob("failed/*")):
        os.utime(path, (1, 1))
    new = load(UNIT + "// 3\n")
    left = {path.name.partition(".")[0].partition("-")[0] for path in cache.iterdir()}
    assert left == {used.key, new.key, "compilers", "failed"}
    assert not list(cache.glob("failed/*"))


def test_the_folder_follows_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    for value, expected in (("mine", "mine"), ("~/mine", "home/mine"), ("", "xdg/twinml")):
        monkeypatch.setenv("TWINML_CACHE", value)
        assert place.open_cache().folder == tmp_path / expected
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert place.open_cache().folder == tmp_path / "home/.cache/twinml"


# --- a folder that is not safe -------------------------------------------------------------------


def entries(cache: Path) -> list[Path]:
    """All in the folder, but for what compilers said of themselves."""
    found = sorted(cache.iterdir()) if cache.is_dir() else []
    return [path for path in found if path.name != "compilers.json"]


def unsafe(cache: Path, reason: str) -> None:
    """A private folder takes the place of the cache, one warning says why, nothing is written."""
    before = entries(cache)
    with pytest.warns(UserWarning, match=f"(?s){cache.name} is not used: .*{reason}") as told:
        made = load(UNIT)
        load(UNIT + "//\n")
    assert len(told) == 1 and "TWINML_CACHE" in str(told[0].message)
    assert twice(made, 2.0) == 4.0 and not made.path.is_relative_to(cache.resolve())
    assert made.path.parent.stat().st_mode & 0o777 == 0o700
    assert entries(cache) == before
    shutil.rmtree(made.path.parent)


def test_a_folder_of_another_user_is_not_used(root, cache):
    cache.mkdir(mode=0o700)
    os.chown(cache, 4242, 4242)
    unsafe(cache, "another user .id 4242")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_others_can_write_to_is_not_used(cache, mode):
    cache.mkdir()
    cache.chmod(mode)
    unsafe(cache, f"others may write.*chmod 700 {cache}")


def test_a_folder_that_anyone_may_exchange_is_not_used(cache, tmp_path, monkeypatch):
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    monkeypatch.setenv("TWINML_CACHE", str(tmp_path / "open" / "cache"))
    unsafe(tmp_path / "open" / "cache", "exchange")


def test_a_link_is_judged_by_the_folder_behind_it(cache, tmp_path, monkeypatch):
    behind = tmp_path / "behind"
    behind.mkdir(mode=0o700)
    cache.symlink_to(behind)
    assert load(UNIT).path.parent == behind
    forget(monkeypatch)
    behind.chmod(0o777)
    unsafe(cache, "others may write")


def test_a_read_only_folder_is_not_used(cache, monkeypatch):
    cache.mkdir(mode=0o500)
    if os.geteuid() == 0:  # root may write whatever the mode says
        real = os.access
        monkeypatch.setattr(os, "access", lambda path, mode: path != cache and real(path, mode))
    unsafe(cache, "read-only")


def test_a_file_or_a_dangling_link_in_the_place_of_the_folder_is_no_crash(cache, monkeypatch):
    cache.write_text("")
    unsafe(cache, "file exists")
    forget(monkeypatch)
    monkeypatch.setenv("TWINML_CACHE", str(cache / "under"))
    unsafe(cache / "under", "not a directory")
    cache.unlink()
    cache.symlink_to("nowhere")
    forget(monkeypatch)
    monkeypatch.setenv("TWINML_CACHE", str(cache))
    unsafe(cache, "file exists")


def test_a_user_without_home_is_told(monkeypatch):
    monkeypatch.delenv("TWINML_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(place.Path, "home", no_home)
    with pytest.warns(UserWarning, match="no home folder"):
        assert twice(load(UNIT), 1.0) == 2.0


@pytest.fixture
def mounted(root, cache):
    """Mounts a file system of the given options at the cache's place."""
    cache.mkdir()

    def mount(options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "twinml", str(cache)]
        if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
            pytest.skip("needs the right to mount a file system")

    yield mount
    subprocess.run(["umount", "-l", str(cache)], capture_output=True, check=False)


def test_a_file_system_that_runs_no_code_is_not_used(mounted, cache):
    mounted("noexec")
    unsafe(cache, "noexec")


def test_a_read_only_file_system_is_not_used(mounted, cache):
    mounted("ro")
    unsafe(cache, "read-only")


def test_a_full_disk_is_gone_round(mounted, cache):
    """The compiler itself meets it, or the entry's last file does."""
    mounted("size=24k")
    (cache / "filler").write_bytes(bytes(16 * 1024))
    unsafe(cache, "no space left")


def test_a_disk_that_fills_while_the_entry_is_written_leaves_none(cache, monkeypatch):
    real = os.replace

    def full(source, target):
        if str(target).startswith(str(cache)) and str(target).endswith(".json"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.warns(UserWarning, match="no space left"):
        made = load(UNIT)
    assert twice(made, 2.0) == 4.0 and not list(cache.glob("*.json*"))
    monkeypatch.setattr(os, "replace", real)
    forget(monkeypatch)
    assert not load(UNIT).cached and load(UNIT).path.parent == cache


def test_no_room_anywhere_is_a_clear_error(cache, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(building, "build", full)
    with (
        pytest.warns(UserWarning, match="no space left"),
        pytest.raises(CompileError, match=r"cannot be stored.*no space left.*TMPDIR"),
    ):
        load(UNIT)
    monkeypatch.setattr(place.tempfile, "mkdtemp", full)
    forget(monkeypatch)
    with pytest.raises(CompileError, match="no temporary folder"):
        load(UNIT)
    forget(monkeypatch)
    shutil.rmtree(cache)
    cache.write_text("")
    with pytest.raises(CompileError, match="file exists; and no temporary"):
        load(UNIT)


def test_a_private_folder_goes_with_its_process_but_for_failures(cache, monkeypatch, tmp_path):
    cache.write_text("")
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    fork = "\nif os.fork() == 0:\n    sys.exit()\nos.wait()\nprint(made.path.exists())"
    out, error = python(LOAD + fork).communicate(timeout=60)
    assert out.startswith("42.0 False") and out.endswith("True\n"), error
    assert str(tmp_path / "temporary") in out and not list((tmp_path / "temporary").iterdir())
    out, error = python(LOAD.replace("return", "wrong")).communicate(timeout=60)
    kept = [path.suffix for path in (tmp_path / "temporary").rglob("*") if path.is_file()]
    assert sorted(kept) == [".cpp", ".log"] and "unit.so" in error


# --- several at once -----------------------------------------------------------------------------


def test_two_processes_that_compile_at_once_for_want_of_locks_both_work(
    cache, program, gxx, tmp_path
):
    meet = f"touch {tmp_path}/at.$$; while [ $(ls {tmp_path}/at.* | wc -l) -lt 2 ]; do :; done"
    program("g++", f'{meet}; exec {gxx} "$@"')
    without = "import sys; sys.modules['fcntl'] = None\n"  # as where a file system has none
    processes = [python(without + LOAD) for _ in range(2)]
    for process in processes:
        out, error = process.communicate(timeout=60)
        assert out.startswith("42.0"), error
    assert twice(load(UNIT), 21.0) == 42.0 and load(UNIT).cached
    assert not [path for path in cache.iterdir() if path.name.startswith(".")]


def test_threads_that_want_one_unit_compile_it_once(monkeypatch):
    count, real = [], building.build

    def counted(*words):
        count.append(1)
        return real(*words)

    monkeypatch.setattr(building, "build", counted)
    found: list[library.Library] = []
    threads = [threading.Thread(target=lambda: found.append(load(UNIT))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(count) == 1 and len(set(map(id, found))) == 1


def in_a_forked_child(check) -> bool:
    """Whether a check holds in a child forked now; the child never goes on with the tests."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads is the point
        child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if check() else 2
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def test_a_child_forked_during_a_compilation_can_load(program, gxx, tmp_path):
    wait = f"touch {tmp_path}/started; until [ -e {tmp_path}/go ]; do sleep 0.02; done"
    program("g++", f'{wait}; exec {gxx} "$@"')
    thread = threading.Thread(target=load, args=(UNIT,))
    thread.start()
    while not (tmp_path / "started").exists():
        assert thread.is_alive()
        time.sleep(0.01)

    def check() -> bool:
        (tmp_path / "go").touch()
        return twice(load(UNIT), 4.0) == 8.0

    assert in_a_forked_child(check)
    thread.join()


def test_a_loaded_library_goes_on_in_a_forked_child():
    made = load(UNIT)
    assert in_a_forked_child(lambda: twice(made, 4.0) == 8.0 and load(UNIT) is made)


def test_places_with_spaces_and_other_letters_work(tmp_path, monkeypatch):
    folder = tmp_path / "Größe 数 $HOME 'x'"
    folder.mkdir()
    monkeypatch.setenv("TWINML_CACHE", str(folder / "my cache"))
    monkeypatch.setenv("TMPDIR", str(folder))
    made = load(UNIT + "// α\n")
    assert twice(made, 2.0) == 4.0 and "α" in made.source_path.read_text()
    with pytest.raises(CompileError, match="Größe 数"):
        load("wrong")
