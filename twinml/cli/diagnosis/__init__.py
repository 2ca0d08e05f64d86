"""What works on this machine. Each part is tried on its own, and none can end the program."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from twinml.cli.diagnosis import environment, packages, programs, torch_parts
from twinml.cli.diagnosis.finding import Finding

__all__ = ["Finding", "diagnose"]


def diagnose(deep: bool = False) -> Iterator[Finding]:
    """Every finding, what all tasks need first.

    Args:
        deep: Import each optional package instead of only finding it.
    """
    parts: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("python", torch_parts.interpreter),
        ("torch", torch_parts.torch_build),
        ("engines", torch_parts.engines),
        ("C++ compiler", programs.compiler),
        ("kernel cache", programs.kernel_cache),
        ("CUDA", programs.cuda),
        ("cluster", programs.cluster),
        ("extras", lambda: packages.extras(deep)),
        ("folders", environment.folders),
        ("configuration", environment.search_path),
    )
    for name, part in parts:
        try:
            yield from part()
        except Exception as error:  # a broken installation is what this program is asked about
            yield Finding(name, False, f"{type(error).__name__}: {error}", "repair or reinstall it")
