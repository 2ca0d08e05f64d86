"""One line of the diagnosis, and how to try something that may crash."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT = 60


@dataclass(frozen=True)
class Finding:
    """What was looked at, whether it works, what was seen, and what to do where it does not."""

    what: str
    works: bool
    detail: str
    advice: str = ""


def tried(words: Sequence[str]) -> tuple[bool, str]:
    """Runs a program; whether it ended well, and its first line (its last when it did not)."""
    try:
        done = subprocess.run(
            list(words), capture_output=True, text=True, timeout=TIMEOUT, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return False, f"{words[0]} did not end within {TIMEOUT} s"
    except OSError as error:
        return False, f"{words[0]}: {error.strerror or error}"
    if done.returncode == 0:
        return True, done.stdout.strip().partition("\n")[0]
    lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
    why = lines[-1].strip() if lines else f"ended with {done.returncode}"
    return False, why[:200]


def tried_in_python(code: str) -> tuple[bool, str]:
    """As ``tried``, for Python code in a process of its own, which may crash without harm."""
    return tried([sys.executable, "-P", "-c", code])
