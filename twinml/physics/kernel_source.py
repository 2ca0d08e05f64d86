"""A header that a user wrote, made ready for a compiler: found, its own includes entered, checked.

Nothing is compiled here. What a compiler would only say in its own words, and of generated text,
is looked for in the text first: a missing function, missing arguments, a standard header.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml import resources
from twinml.errors import KernelError, nearest

RHS = "rhs"
JVP = "rhs_jvp"
# What the functions of a header must look like, and how many arguments that is.
SIGNATURES = {
    RHS: (
        "TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, "
        "Rates& d)"
    ),
    JVP: (
        "TW_FN void rhs_jvp(const Real t, const State& y, const Parameters& p, const Inputs& u, "
        "const Real dt, const State& dy, const Parameters& dp, const Inputs& du, Rates& d)"
    ),
}
_ARGUMENTS = {name: text.count(",") + 1 for name, text in SIGNATURES.items()}
_MARKERS = ("TW_FN", "TW_BIG", "TW_MATH")
_DEPTH = 16

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include[ \t]*(.*)$")
_ONCE = re.compile(r"^[ \t]*#[ \t]*pragma[ \t]+once\b")
_LINE = re.compile(r'#line (\d+) "(.*)"')
_COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.DOTALL)


@final
@dataclass(frozen=True)
class KernelSource:
    """A header with everything it includes.

    Args:
        name: As the class names it.
        text: What a compiler reads; ``#line`` directives name the files by their label.
        files: Label -> file.
        digest: Of the text, wherever the files lie.
        has_jvp: Whether ``rhs_jvp`` is there.
        stamps: Size and time of change of every file, by which an edit is seen.
    """

    name: str
    text: str
    files: Mapping[str, Path]
    digest: str
    has_jvp: bool
    stamps: tuple[tuple[Path, int, int], ...]

    @property
    def current(self) -> bool:
        """Whether every file is as it was read."""
        return all(_stamp(path) == (path, size, time) for path, size, time in self.stamps)


def read_kernel(name: str, path: Path) -> KernelSource:
    """Read a header.

    Args:
        name: As the class names it, for messages.
        path: The file.

    Raises:
        KernelError: it cannot be read, includes what a kernel cannot, or has no usable ``rhs``.
    """
    reader = _Reader(path.parent)
    text = reader.file(path, f"kernel = '{name}'", 0)
    bare = _without_comments(text)
    _check_function(RHS, bare, reader.files)
    has_jvp = re.search(rf"\b{JVP}\s*\(", bare) is not None
    if has_jvp:
        _check_function(JVP, bare, reader.files)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return KernelSource(name, text, reader.files, digest, has_jvp, tuple(reader.stamps))


@final
class _Reader:
    """Enters files into one text, as a preprocessor would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files: dict[str, Path] = {}
        self.stamps: list[tuple[Path, int, int]] = []
        self._once: set[Path] = set()

    def file(self, path: Path, asked: str, depth: int) -> str:
        try:
            stamp = _stamp(path)
            text = path.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            reason = "is no text in UTF-8" if isinstance(error, UnicodeError) else error.strerror
            raise KernelError(f"{asked}: {path} cannot be read ({reason}).") from error
        if depth > _DEPTH:
            raise KernelError(
                f"{asked}: headers include one another without end. Break the circle."
            )
        label = os.path.relpath(path, self.folder).replace(os.sep, "/").replace('"', "'")
        self.files[label] = path
        if stamp is not None and stamp not in self.stamps:
            self.stamps.append(stamp)
        bare = _without_comments(text).split("\n")
        lines = [f'#line 1 "{label}"']
        for number, (line, seen) in enumerate(zip(text.split("\n"), bare, strict=True), 1):
            if _ONCE.match(seen):
                if path in self._once:
                    return ""
                self._once.add(path)
                lines.append("")
            elif (include := _INCLUDE.match(seen)) is not None:
                lines.append(self._included(include.group(1).strip(), path, number, depth))
                lines.append(f'#line {number + 1} "{label}"')
            else:
                lines.append(line)
        return "\n".join(lines) + "\n"

    def _included(self, what: str, path: Path, number: int, depth: int) -> str:
        place = f"{path}:{number}"
        quoted = re.match(r'"([^"]+)"', what)
        if quoted is None:
            raise KernelError(
                f"{place}: #include {what} enters a standard header, and a kernel includes none: "
                "the compiler for GPUs has none of them, and their functions know nothing of "
                "lanes. exp, log, pow, tanh, select and the others are there without an include "
                "(kernels/lane.h and kernels/math.h list them). Remove the line."
            )
        name = quoted.group(1)
        inner = Path(os.path.normpath(path.parent / name))
        if inner.is_file():
            return self.file(inner, place, depth + 1)
        shipped = {header.name for header in resources.kernels().glob("*.h")}
        if name in shipped:
            return ""  # every unit begins with them
        beside = [header.name for header in path.parent.glob("*.h")]
        raise KernelError(
            f'{place}: #include "{name}" names no file in {inner.parent}; expected a header '
            f"beside {path.name}.{nearest(name, beside)} Correct the name or remove the line."
        )


def _stamp(path: Path) -> tuple[Path, int, int] | None:
    try:
        told = path.stat()
    except OSError:
        return None
    return (path, told.st_size, told.st_mtime_ns)


def _without_comments(text: str) -> str:
    """The text with comments blank, every line in its place."""

    def blank(found: re.Match[str]) -> str:
        return found.group() if found.group()[0] == '"' else re.sub(r"[^\n]", " ", found.group())

    return _COMMENT.sub(blank, text)


def _check_function(name: str, bare: str, files: Mapping[str, Path]) -> None:
    """Whether a function is there, marked, and takes what it must."""
    wanted = f"Write {SIGNATURES[name]} {{ ... }}."
    pattern = re.compile(rf"\b{name}\s*\(")
    found = pattern.search(bare)
    if found is None:
        others = re.findall(r"\bvoid\s+(\w+)\s*\(", bare)
        raise KernelError(
            f"{next(iter(files.values()))} has no function {name}; it has {others or 'none'}."
            f"{nearest(name, others)} {wanted}"
        )
    label, number = _place(bare[: found.start()])
    place = f"{files[label]}:{number}"
    before = re.sub(r"^#.*$", "", bare[: found.start()], flags=re.MULTILINE).split()
    if len(before) < 2 or before[-1] != "void" or before[-2] not in _MARKERS:
        raise KernelError(
            f"{place}: {name} is written as '{' '.join(before[-2:])} {name}(...)'; expected TW_FN "
            "before it (inlined, the usual choice) or TW_BIG (called: above about 150 "
            f"operations), and void: GPUs know a function by that. {wanted}"
        )
    count = _arguments(bare, found.end())
    if count != _ARGUMENTS[name]:
        raise KernelError(
            f"{place}: {name} takes {count} arguments; expected {_ARGUMENTS[name]}, also where "
            f"some are not used. {wanted}"
        )


def _place(before: str) -> tuple[str, int]:
    """Label and number of the line that a text ends in."""
    label, number = "", 0
    for line in before.split("\n"):
        directive = _LINE.match(line)
        if directive is None:
            number += 1
        else:
            number, label = int(directive.group(1)) - 1, directive.group(2)
    return label, number


def _arguments(bare: str, start: int) -> int:
    """How many arguments stand between a bracket that was opened and its end."""
    depth, count, empty = 1, 1, True
    for sign in bare[start:]:
        depth += (sign in "([{<") - (sign in ")]}>")
        if depth == 0:
            break
        count += sign == "," and depth == 1
        empty = empty and sign.isspace()
    return 0 if empty else count
