"""Kernels built in another way than the engine chooses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace

import pytest

from twinml.engines.native import compiler, engine, plan
from twinml.engines.native.targets import check_target, held
from twinml.errors import ArgumentError


@dataclass(frozen=True)
class Build:
    """What is set against the engine's choice; None leaves it.

    Args:
        target: Instruction set.
        registers: Vector registers of a pack.
        vector_bytes: Width of one.
        optimise: The compiler's level.
    """

    target: str | None = None
    registers: int | None = None
    vector_bytes: int | None = None
    optimise: str | None = None

    def __str__(self) -> str:
        named = {"": self.target, "regs": self.registers, "bytes": self.vector_bytes}
        parts = [f"{name}{value}" for name, value in named.items() if value is not None]
        return "-".join([*parts, *filter(None, [self.optimise and self.optimise[1:]])])


@contextmanager
def built_as(build: Build) -> Iterator[None]:
    """Kernels of this block are built so; skips on a machine that cannot run them."""
    if build.target is not None:
        try:
            check_target(build.target)
        except ArgumentError as error:
            pytest.skip(str(error))
    text_of, spec_for, registers = plan.unit_text, plan.spec_for, build.registers
    target = nullcontext() if build.target is None else held(build.target)
    with pytest.MonkeyPatch.context() as patch, target:
        patch.setattr(plan, "_kernel", plan._kernel.__wrapped__)
        if build.optimise is not None:
            patch.setattr(compiler, "OPTIMISE", build.optimise)
        if registers is not None:
            patch.setattr(
                engine, "spec_for", lambda *args: replace(spec_for(*args), registers=registers)
            )
        if build.vector_bytes is not None:
            width = f"#define TW_VECTOR_BYTES {build.vector_bytes}\n"
            patch.setattr(plan, "unit_text", lambda *args: width + text_of(*args))
        yield
