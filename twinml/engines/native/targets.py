"""What a kernel is compiled for: named instruction sets, and which of them this machine runs.

The x86-64 levels and the features each one asks for are those of the System V psABI
(x86-64 psABI 1.0, table 3.1, "Micro-Architecture Levels"), in the spelling of /proc/cpuinfo.
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path

from twinml.errors import ArgumentError, nearest

CPUINFO = Path("/proc/cpuinfo")

_V2 = frozenset(["cx16", "lahf_lm", "popcnt", "pni", "sse4_1", "sse4_2", "ssse3"])
_V3 = _V2 | frozenset(["abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"])
_V4 = _V3 | frozenset(["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"])

# By architecture, the plainest first: what each target needs of the machine.
_NEEDS: dict[str, dict[str, frozenset[str]]] = {
    "x86_64": {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4},
    "aarch64": {"armv8-a": frozenset()},
}
TARGETS = (*_NEEDS["x86_64"], *_NEEDS["aarch64"], "native")


def architecture() -> str:
    """The machine's own name, with "x86_64" and "aarch64" for every spelling of these."""
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


@cache
def features() -> frozenset[str] | None:
    """Features of this machine's CPU as Linux names them; None where it does not tell."""
    try:
        text = CPUINFO.read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, words = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(words.split())
    return None


def default_target() -> str:
    """ "x86-64-v3" or "armv8-a"; "x86-64-v2" on an x86 machine without AVX2.

    Raises:
        ArgumentError: no target is known for this architecture.
    """
    here = architecture()
    if here not in _NEEDS:
        raise ArgumentError(
            f"Kernels are not built for the architecture '{here}'; expected x86_64 or aarch64. "
            "Use engine='eager'."
        )
    if here == "aarch64":
        return "armv8-a"
    return "x86-64-v2" if _lacks("x86-64-v3") else "x86-64-v3"


def host_target() -> str:
    """The widest named target that this machine runs."""
    default = default_target()
    if architecture() == "x86_64" and not _lacks("x86-64-v4"):
        return "x86-64-v4"
    return default


_held: ContextVar[str | None] = ContextVar("twinml_kernel_target", default=None)


@contextmanager
def held(target: str) -> Iterator[None]:
    """Compile for one target whatever the machine could do better: its name is part of a plan."""
    token = _held.set(check_target(target))
    try:
        yield
    finally:
        _held.reset(token)


def current_target() -> str:
    """The target that is held, else the host's best."""
    return _held.get() or host_target()


def check_target(target: str) -> str:
    """The target, when this machine can run it.

    Raises:
        ArgumentError: the name is unknown, or the machine lacks what the target needs.
    """
    if target not in TARGETS:
        raise ArgumentError(
            f"target='{target}' is not known; expected one of {', '.join(TARGETS)}."
            + nearest(target, TARGETS)
        )
    here = architecture()
    if target == "native":
        default_target()
        return target
    if target not in _NEEDS.get(here, {}):
        raise ArgumentError(
            f"target='{target}' is for another architecture than this machine's {here}. "
            f"Expected one of {', '.join([*_NEEDS.get(here, {}), 'native'])}."
        )
    missing = _lacks(target)
    if missing:
        raise ArgumentError(
            f"target='{target}' needs a CPU with {', '.join(missing)}, which this machine lacks: "
            f"its code would crash here. Use target='{default_target()}' "
            "(the numbers are the same in every bit), or another machine."
        )
    return target


def machine_key(target: str) -> str:
    """What a target means on this machine: its name, and for "native" the CPU's features too.

    A home folder may be shared by machines of several kinds; code for one crashes on another.
    """
    if target != "native":
        return target
    told = " ".join(sorted(features() or ())) or platform.processor()
    return f"native-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


def _lacks(target: str) -> list[str]:
    """Features that a target of this architecture needs and the machine does not show."""
    return sorted(_NEEDS[architecture()][target] - (features() or frozenset()))
