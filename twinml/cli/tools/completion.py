"""``twinml completion bash|zsh``: prints what makes the shell's TAB know the program."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from twinml import resources
from twinml.cli.tools.arguments import Parser, parse
from twinml.errors import ArgumentError


def run(words: Sequence[str]) -> int:
    """Prints the script, or with ``--line`` the words that may follow a line."""
    parser = Parser(
        "twinml completion",
        description="Prints tab completion for a shell: words, groups, choices, keys, files.",
        epilog='Example: put eval "$(twinml completion bash)" into ~/.bashrc.',
        add_help=False,
    )
    parser.add_argument("shell", nargs="?", choices=("bash", "zsh"), help="whose script to print")
    parser.add_argument("--line", help="for the script: print what may follow this line")
    asked = parse(parser, words)
    if asked is None:
        return 0
    if asked.line is not None:
        from twinml.cli.completion.candidates import candidates

        print("\n".join(candidates(*_split(asked.line))))
        return 0
    if asked.shell is None:
        raise ArgumentError("Which shell? twinml completion bash, or twinml completion zsh.")
    folder = resources.PACKAGE / "cli" / "completion"
    print((folder / f"twinml.{asked.shell}").read_text(encoding="utf-8"), end="")
    return 0


def _split(line: str) -> tuple[list[str], str]:
    """The words after the program's name, and what is typed of the last one."""
    try:
        words = shlex.split(line)
    except ValueError:  # inside a quotation
        words = line.split()
    current = words.pop() if words and not line[-1:].isspace() else ""
    return words[1:], current
