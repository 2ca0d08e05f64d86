"""Units of whole models for CUDA, compiled without a device."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.test_native_library import scenario
from twinml import library, resources
from twinml.engines.cuda.compiler import Compiled, Usage, command_line, compiled, usage
from twinml.engines.cuda.packages import nvrtc_version
from twinml.engines.cuda.plan import cuda_spec
from twinml.engines.derivatives import methods_for
from twinml.engines.native.fragments import fragments
from twinml.engines.normalise import build_problem
from twinml.errors import MissingDependencyError
from twinml.lowering import lower
from twinml.lowering.unit import unit_text
from twinml.solve.problem import Problem

ARCHITECTURES = ("sm_80", "sm_90")


@dataclass(frozen=True)
class Unit:
    """A compiled unit."""

    text: str
    found: Compiled

    @property
    def usage(self) -> Usage:
        return usage(self.found.log)


@functools.cache
def missing() -> str | None:
    """Why NVRTC cannot compile here, or None."""
    try:
        nvrtc_version()
    except MissingDependencyError as error:
        return str(error)
    return None


def need_nvrtc() -> None:
    """Skip where NVRTC cannot compile."""
    if (reason := missing()) is not None:
        pytest.skip(reason)


def problem_of(model: tw.Physics, t: Any, method: str, **given: Any) -> Problem:
    """A problem as ``simulate`` builds it."""
    with torch.no_grad():
        return build_problem(model, t, method=method, **given)


def library_problem(name: str, method: str, fixed: bool, keep: str, bits: int) -> Problem:
    """A model of the library in one way, with inputs that move."""
    model = getattr(library, name)()
    given = scenario(model)
    times = given.pop("t")
    if fixed:
        given["dt"] = times[-1] / 50
    state = next(iter(model.declared.states))
    kept: Any = keep
    if keep == "quantities":
        kept = {
            "top": f"max({state})", "when": f"time_of_min({state})", "mean": f"mean({state})",
        }  # fmt: skip
    dtype = torch.float64 if bits == 64 else torch.float32
    return problem_of(model, times, method, keep=kept, dtype=dtype, **given)


def units(problem: Problem, method: str, architecture: str) -> list[Unit]:
    """The kernels of a problem, in the order in which rows are handed over."""
    lowered = lower(problem.model)
    texts = fragments(problem, lowered)
    methods, made = methods_for(problem, method), []
    for number, name in enumerate(methods):
        spec = cuda_spec(problem, name, number + 1 < len(methods))
        text = unit_text(lowered, spec, *texts, "cuda")
        found = compiled(text, command_line(architecture), resources.kernels())
        assert found.binary, found.log
        made.append(Unit(text, found))
    return made
