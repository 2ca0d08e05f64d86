"""What a compiler says of a user's header, in the user's files and lines."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from twinml.errors import CompileError, KernelError
from twinml.physics.kernel_source import KernelSource

_LINES = 12
# "tanks.h:5:13: error: ..." of g++ and clang, "tanks.h(5): error: ..." of NVRTC.
_PLACE = re.compile(r"^(?P<file>[^\n:()]+)[:(](?P<number>\d+)(:(?P<column>\d+))?\)?: ")
_ADVICE = {
    "'tw::Mask' to 'bool'": (
        "A pack holds several rows: choose with select(condition, a, b), and join conditions by "
        "& and |."
    ),
    "operand types are 'double'": "Write numbers as Real(0.5).",
    "and 'double')": "Write numbers as Real(0.5).",
    "operand types are 'int'": "Write numbers as Real(2.0).",
    "and 'int')": "Write numbers as Real(2.0).",
}


def header_error(
    model: str, source: KernelSource, error: CompileError
) -> KernelError | CompileError:
    """The error to raise for a unit that holds little else than a header.

    Args:
        model: Name of the class.
        source: The header.
        error: What the compiler said; it comes back where nothing in it is about the header.
    """
    told = header_lines(error.log, source.files)
    if not told:
        return error
    advice = [text for words, text in _ADVICE.items() if words in error.log]
    return KernelError(
        f"The kernel of {model} does not compile:\n"
        + "\n".join(f"  {line}" for line in told)
        + (f"\n{' '.join(dict.fromkeys(advice))}" if advice else "")
        + f"\nCorrect {next(iter(source.files.values()))}; it is compiled again at the next call."
    )


def header_lines(log: str, files: Mapping[str, Path]) -> list[str]:
    """The first error of a compiler's log that concerns files, with their lines; none, if none.

    Args:
        log: What the compiler said.
        files: Label that the log knows a file by -> file.
    """
    caller = f"calls of {next(iter(files))}"
    lines: list[str] = []
    for line in log.splitlines():
        found = _PLACE.match(line)
        if found is None:
            continue
        known = found["file"] in files or found["file"] == caller
        error = "error:" in line
        if error and lines:
            break
        # Notes belong to the error before them.
        if not known or not (error or (lines and "note:" in line)):
            continue
        path = files.get(found["file"])
        lines.append(f"{path or caller}{_plain(line[found.end('file') :])}")
        lines += _quoted(path, int(found["number"]), found["column"])
    return lines[:_LINES]


def _quoted(path: Path | None, number: int, column: str | None) -> list[str]:
    """A line of a file, and a mark under the column."""
    try:
        text = [] if path is None else path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        text = []
    if not 0 < number <= len(text):
        return []
    line = text[number - 1].expandtabs(1)
    mark = [] if column is None else [" " * (3 + int(column)) + "^"]
    return [f"    {line}", *mark]


def _plain(line: str) -> str:
    # Names of our own that say nothing to the user.
    return line.replace("tw::model::", "").replace("tw::", "")[:300]
