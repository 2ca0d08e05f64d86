"""The C++ compiler of this machine: where it is, what it is, which flags it takes."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.engines.kernel_folder import open_cache
from twinml.engines.native.targets import architecture
from twinml.engines.native.versions import Versions
from twinml.errors import NoCompilerError

ADVICE = (
    "Install one (apt-get install g++, dnf install gcc-c++, xcode-select --install, or "
    "pip install 'twinml[native]'), or name one by TWINML_CXX; engine='eager' needs none."
)
# Nothing here lets a compiler reorder arithmetic: the same bits come from every one of them.
_FLAGS = (
    "-std=c++17",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-exceptions",
    "-fno-rtti",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wno-psabi",
)
OPTIMISE = "-O3"
# Values kept for reuse across the blocks of the stepping loop are spilled to memory: without that
# pass adaptive kernels took 5 to 15 % less time (g++ 12), the compilation no more.
_GCC_TUNED = ("-fno-gcse",)

_ASK_TIMEOUT = 60
# Only under these names is a file itself the compiler; ccache and scripts stand for another
# file, which may change while they stay the same.
_REAL_NAME = re.compile(r"(g\+\+|gcc|clang|c\+\+|zig)[-+.\w]*$")

# Where the version stands in a compiler's first line, and the first that knows x86-64-v3.
_LEAST = {"gcc": (r"\) (\d+)\.(\d+)", 11), "clang": (r"clang version (\d+)\.(\d+)", 12)}


@final
@dataclass(frozen=True)
class Compiler:
    """A C++ compiler.

    Args:
        command: The words to start it with.
        kind: "gcc", "clang" or "zig".
        version: Its own text, one line.
        path: The program's file.
    """

    command: tuple[str, ...]
    kind: str
    version: str
    path: str

    def flags(self, target: str) -> tuple[str, ...]:
        """The words between the command and the names of files, for a checked target."""
        tuned = _GCC_TUNED if self.kind == "gcc" else ()
        return (OPTIMISE, *tuned, *_FLAGS, *self._standard_library(), *self._machine(target))

    def _machine(self, target: str) -> tuple[str, ...]:
        if self.kind == "zig":
            names = {"armv8-a": "generic", "native": "native"}
            return (f"-mcpu={names.get(target, target.replace('-', '_'))}",)
        if target == "native" and architecture() == "aarch64":
            return ("-mcpu=native",)
        return (f"-march={target}",)

    def _standard_library(self) -> tuple[str, ...]:
        # The kernels use none. Zig would build its own first, which takes minutes; and without
        # an explicit word it traps on signed overflow in some versions.
        return ("-nostdlib++", "-fno-sanitize=undefined") if self.kind == "zig" else ()


_found: dict[tuple[str | None, ...], Compiler] = {}


def find_compiler() -> Compiler:
    """The compiler to use: TWINML_CXX, CXX, g++, clang++, c++, then the ziglang package.

    The answer is kept for the process, and the version's text on disk, by the program's path,
    size and time of change: a warm start runs no program.

    Raises:
        NoCompilerError: none is there, or TWINML_CXX names one that cannot be used.
    """
    key = tuple(os.environ.get(name) for name in ("TWINML_CXX", "CXX", "PATH"))
    if key not in _found:
        _found[key] = _search()
    return _found[key]


def _search() -> Compiler:
    if sys.platform == "win32":
        raise NoCompilerError(
            "The native engine does not run on Windows. Use engine='eager', or WSL."
        )
    wanted = os.environ.get("TWINML_CXX", "").strip()
    if wanted:
        found = _identified(_words(wanted))
        reason = "" if found is None else _too_old(found)
        if found is None or reason:
            raise NoCompilerError(
                f"TWINML_CXX='{wanted}' is no C++ compiler that can be used{reason}; expected the "
                "command of g++, clang++ or zig c++, on PATH or with its folder. Correct or unset "
                "it."
            )
        return found
    tried = []
    for words in _candidates():
        found = _identified(words)
        reason = "" if found is None else _too_old(found)
        if found is not None and not reason:
            return found
        tried.append(" ".join(words) + reason)
    raise NoCompilerError(
        f"No C++ compiler was found (tried {', '.join(tried)}), and kernels are compiled on this "
        f"machine. {ADVICE}"
    )


def _candidates() -> Iterator[tuple[str, ...]]:
    words = _words(os.environ.get("CXX", ""))
    if words:
        yield words
    yield from (("g++",), ("clang++",), ("c++",))
    yield zig_command() or (sys.executable, "-m", "ziglang", "c++")


def _words(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError:  # a quote that is not closed
        return (text,)


def zig_command() -> tuple[str, ...] | None:
    """The compiler inside the installed ziglang package, started without Python around it."""
    try:
        spec = importlib.util.find_spec("ziglang")
    except (ImportError, ValueError):
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if Path(folder, "zig").is_file():
            return (str(Path(folder, "zig")), "c++")
    return None


def _identified(words: tuple[str, ...]) -> Compiler | None:
    """The compiler behind a command; None when it is missing, fails, or is of no known kind."""
    path = shutil.which(words[0])
    if path is None:
        return None
    path = os.path.abspath(path)
    command = (path, *words[1:])
    real = Path(path).resolve()
    memory = Versions(open_cache()) if _is_the_compiler(real) else None
    told = memory.get(command, real) if memory else None
    if told is None:
        told = _asked(command)
        if told is not None and memory:
            memory.put(command, real, told)
    return None if told is None else Compiler(command, told[0], told[1], path)


def _is_the_compiler(path: Path) -> bool:
    """Whether a change of the compiler must change this very file."""
    try:
        with path.open("rb") as file:
            return _REAL_NAME.search(path.name) is not None and file.read(2) != b"#!"
    except OSError:
        return False


def _too_old(compiler: Compiler) -> str:
    """What to add after the name of a compiler that does not know the targets, or nothing."""
    pattern, least = _LEAST.get(compiler.kind, ("", 0))
    number = re.search(pattern, compiler.version) if pattern else None
    if number is None or int(number[1]) >= least:
        return ""
    return f" ({number[1]}.{number[2]} is older than {least})"


def _asked(command: tuple[str, ...]) -> tuple[str, str] | None:
    """Kind and version as the program itself tells them."""
    text = _output((*command, "--version"))
    if text is None:
        return None
    first, low = text.strip().partition("\n")[0].strip(), text.lower()
    if "intel(r)" in low:  # fast arithmetic unless told otherwise
        return None
    if "clang" in low:
        zig = "c++" in command and (Path(command[0]).name == "zig" or "ziglang" in command)
        number = _output((*command[: command.index("c++")], "version")) if zig else None
        return ("zig", f"zig {number.strip()}, {first}") if number else ("clang", first)
    if "free software foundation" in low or "gcc" in low:
        return "gcc", first
    return None


def _output(command: tuple[str, ...]) -> str | None:
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_ASK_TIMEOUT,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace") if done.returncode == 0 else None
