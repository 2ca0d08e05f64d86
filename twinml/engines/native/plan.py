"""From a problem to the kernels it needs: what is fixed at compile time."""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from typing import final

import torch

from twinml.engines.native.library import Library, load
from twinml.engines.native.targets import current_target
from twinml.lowering import Lowered
from twinml.lowering.tangent_text import Moving
from twinml.lowering.unit import Fragment, UnitSpec, unit_text
from twinml.physics import Signal
from twinml.solve.methods import method_named
from twinml.solve.problem import Problem
from twinml.solve.rosenbrock import RosenbrockTableau

# Vector registers of a pack, by the most states they are for: independent chains of arithmetic hide
# the latency of each, until they spill. Measured on Lorenz, van der Pol and Robertson; plain steps
# are blocked by packs already, a factorisation needs registers soon, and a large model compiles
# many times faster with one.
_EXPLICIT_REGISTERS = {4: 3, 8: 2}
_STIFF_REGISTERS = {2: 3, 3: 2}
_PLAIN_REGISTERS = {8: 2}


@final
@dataclass(frozen=True)
class Kernel:
    """A method's kernel, compiled and loaded."""

    spec: UnitSpec
    text: str
    library: Library


def spec_for(problem: Problem, method: str, hand_over: bool, record: bool) -> UnitSpec:
    """What the kernel of one method is compiled for."""
    declared = problem.model.declared
    inputs, parameters = list(declared.inputs), list(declared.parameters)
    signals = tuple(
        (inputs.index(name), value.kind == "linear")
        for name, value in problem.inputs.items()
        if isinstance(value, Signal)
    )
    places = {name: place for place, name in enumerate([*parameters, *inputs])}
    changes = tuple((places[change.target], change.action) for change in problem.changes)
    fixed, events = problem.dt is not None, bool(declared.events)
    plain = (
        fixed
        and not (signals or changes or events or problem.path is not None)
        and problem.keep != "quantities"
        and problem.t.ndim == 1
        and not record
    )
    blocks = _EXPLICIT_REGISTERS
    if isinstance(method_named(method), RosenbrockTableau):
        blocks = _STIFF_REGISTERS
    elif plain:
        blocks = _PLAIN_REGISTERS
    registers = next((r for most, r in blocks.items() if declared.width <= most), 1)
    return UnitSpec(
        method=method,
        sizes=(declared.width, len(parameters), len(inputs)),
        bits=64 if problem.y0.dtype == torch.float64 else 32,
        fixed=fixed,
        hand_over=hand_over,
        plain=plain,
        signals=signals,
        changes=changes,
        constants=len(problem.constants),
        outputs=0 if problem.keep == "quantities" else len(declared.outputs),
        save=problem.keep == "all",
        events=events,
        noise=problem.path is not None,
        record=record,
        registers=registers,
    )


def moving_spec(spec: UnitSpec, moving: Moving) -> UnitSpec:
    """The same kernel with derivatives."""
    return replace(spec, plain=False, registers=1, moving=moving)


def kernel_for(
    lowered: Lowered,
    spec: UnitSpec,
    events: Fragment | None,
    functionals: Fragment | None,
    target: str | None = None,
) -> Kernel:
    """The compiled kernel; text and library are kept for the next call."""
    target = target or current_target()
    return _kernel(lowered.digest, spec, events, functionals, target, Held(lowered))


@final
class Held:
    """Keeps the programs out of the key of a cache, which their digest stands for."""

    def __init__(self, lowered: Lowered) -> None:
        self.lowered = lowered

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Held)

    def __hash__(self) -> int:
        return 0


@functools.lru_cache(maxsize=256)
def _kernel(
    digest: str, spec: UnitSpec, events: Fragment | None, functionals: Fragment | None,
    target: str, held: Held,
) -> Kernel:  # fmt: skip
    text = unit_text(held.lowered, spec, events, functionals)
    return Kernel(spec, text, load(text, target))
