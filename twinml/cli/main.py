"""The dispatcher: finds the command, and turns every ending into an exit code and a text."""

from __future__ import annotations

import errno
import importlib
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from twinml import __version__
from twinml.cli.commands import COMMANDS, TASKS, TOOLS
from twinml.errors import ConfigError, TwinmlError, nearest

PACKAGE = Path(__file__).parents[1]
DONE, FAILED, BAD_INPUT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143


class Terminated(BaseException):
    """SIGTERM arrived; like KeyboardInterrupt, nothing should swallow it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: Words after the program's name; None takes those of the process.

    Returns:
        0 done; 2 the user's input, before any work; 1 the work failed or a check said no;
        130 and 143 for Ctrl-C and SIGTERM.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminating(), _plain_warnings():
            return _dispatch(words)
    except TwinmlError as error:
        return _report(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _report("interrupted.", INTERRUPTED)
    except Terminated:
        return _report("terminated.", TERMINATED)
    except BrokenPipeError:  # the reader of a pipe, `| head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        hint = "" if _debugging() else " Run again with TWINML_DEBUG=1 for the traceback."
        return _report(f"{_unexpected(error)}.{hint}", FAILED)


def _dispatch(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_help())
        return DONE
    if words[0] in ("-V", "--version"):
        print(f"twinml {__version__}")
        return DONE
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        raise ConfigError(
            f"'{name}' is not a twinml command.{nearest(name, COMMANDS)} "
            f"Tasks: {', '.join(TASKS)}. Tools: {', '.join(TOOLS)}."
        )
    _import_from_here()
    module = importlib.import_module(COMMANDS[name].module)
    if name in TOOLS:
        return module.run(rest)
    runner = importlib.import_module("twinml.cli.runner")
    return runner.run(module.TASK, rest)


def _import_from_here() -> None:
    """Makes modules of the working directory importable: ``_target_: kiln.Kiln``.

    They come last, so that a queue.py or torch.py there breaks neither Python nor the package;
    ``import_target`` refuses a model in such a file by name.
    """
    here = os.getcwd()
    sys.path[:] = [*(entry for entry in sys.path if entry not in ("", here)), here]


def _help() -> str:
    def lines(commands) -> str:
        return "\n".join(f"  {c.name:<10} {c.summary}" for c in commands.values())

    return (
        "twinml: physics written once, calibrated, swept, learned, exported.\n\n"
        "usage: twinml <task> [group=choice] [key=value] ... [-m] [--config-dir DIR]\n"
        "       twinml <tool> [arguments]\n\n"
        f"Tasks do work and write a run directory:\n{lines(TASKS)}\n\n"
        f"Tools read and print:\n{lines(TOOLS)}\n\n"
        "twinml <task> --help names its groups and keys with an example.\n"
        "twinml --version prints the version. TWINML_DEBUG=1 shows tracebacks."
    )


def _unexpected(error: Exception) -> str:
    """An error nobody foresaw; where the user's own code raised it, that line."""
    from twinml.frames import own_line, raised_in_own_code

    text = f"{type(error).__name__}: {error}"
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return f"the work needs more memory than there is ({text}). Ask for less at once"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        where = "" if error.filename is None else f" ({error.filename})"
        return (
            f"the disk is full{where}: {os.strerror(error.errno)}. Nothing cut off was left in a "
            "result's place. Make room and go on with resume= where the run has it, else begin "
            "again"
        )
    if raised_in_own_code(error):
        return f"your code failed: {own_line(error)}"
    return f"unexpected {text}"


def _debugging() -> bool:
    return os.environ.get("TWINML_DEBUG", "") not in ("", "0")


def _report(text: str, code: int) -> int:
    sys.stdout.flush()
    if _debugging() and code in (FAILED, BAD_INPUT):
        traceback.print_exc()
    # A tool's own complaint begins with its name already.
    begun = any(text.startswith(f"twinml {name}: ") for name in COMMANDS)
    print(text if begun else f"twinml: {text}", file=sys.stderr)
    return code


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """What this package warns of is a line like its notices, without a line of its source."""
    before = warnings.formatwarning

    def plain(
        message: Warning | str, category: type[Warning], file: str, number: int,
        line: str | None = None,
    ) -> str:  # fmt: skip
        if category is UserWarning and Path(file).is_relative_to(PACKAGE):
            return f"twinml: {message}\n"
        return before(message, category, file, number, line)

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = before


@contextmanager
def _terminating() -> Iterator[None]:
    """SIGTERM raises ``Terminated`` inside, so that a run can note its end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Terminated

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
