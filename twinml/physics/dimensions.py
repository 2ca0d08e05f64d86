"""Whether the equations of a model agree with the units it declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch

from twinml.errors import ArgumentError
from twinml.physics.dimension_trace import Finding, Ledger, Traced
from twinml.physics.kernel_physics import KernelPhysics, has_twin
from twinml.physics.model import Physics
from twinml.units import Measure

# Equations whose results are written as what they return for each declared name.
_RATES = ("rhs", "noise")


@final
@dataclass(frozen=True)
class DimensionReport:
    """What ``check_dimensions`` found.

    Args:
        model: Name of the class.
        findings: Places where units disagree, in the order met.
        unchecked: Results whose unit could not be followed, such as those of a learned term.
    """

    model: str
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [str(finding) for finding in self.findings]
        lines += [f"{self.model}: the unit of {what} was not followed" for what in self.unchecked]
        return "\n".join(lines) or f"{self.model}: the units of all equations agree"


def check_dimensions(model: Physics) -> DimensionReport:
    """Follow the units of every declared name through the equations, once, and report.

    It is advice: nothing else in the package depends on it. Each operation is done on one row of
    default values while the unit of every intermediate value is worked out. Reported are sums,
    comparisons and extrema of values in different dimensions, or in units of one dimension that
    differ by a factor; functions such as ``exp`` of a value with a dimension or in degrees;
    powers and ratios of a value whose zero is arbitrary (degC); derivatives and outputs in
    another unit than the declared one. Numbers written in the text have no dimension; 0, inf
    and sizes below 1e-6 fit everywhere, and a factor that equals the ratio of two units is
    taken as the conversion between them, 273.15 as that between degC and K. Weights and tables
    end what can be followed.

    Args:
        model: An instance; a class is built without arguments.

    Returns:
        Findings with equation, file and line.

    Raises:
        ArgumentError: ``model`` is not a Physics.
    """
    if isinstance(model, type) and issubclass(model, Physics):
        model = model()
    if not isinstance(model, Physics):
        raise ArgumentError(
            f"check_dimensions was given {type(model).__name__}; expected an instance of a "
            "tw.Physics class."
        )
    ledger, unchecked = Ledger(), []
    if isinstance(model, KernelPhysics) and not has_twin(model):
        unchecked.append(
            f"the rates in {model.kernel}, a kernel without an rhs in torch beside it,"
        )
    clock = Measure.of(model.time_unit)
    values = _values(model, ledger, clock)
    declared = model.declared
    for equation, expected in _expected(model, clock).items():
        ledger.equation = f"{type(model).__name__}.{equation}"
        with torch.no_grad():
            result = model.forward(equation, values)
        if not isinstance(result, Mapping):
            continue  # a guard: any unit will do, since only its sign is read
        for name, value in result.items():
            if name not in expected:
                continue  # simulate names what is not declared
            what = f"'{name}'"
            if equation in _RATES and name in declared.states:
                what = f"the {'derivative' if equation == 'rhs' else 'diffusion'} of '{name}'"
            if not ledger.returned(what, value, expected[name]):
                unchecked.append(f"{what} in {equation}")
    return DimensionReport(type(model).__name__, tuple(ledger.findings), tuple(unchecked))


def _values(model: Physics, ledger: Ledger, clock: Measure) -> dict[str, Any]:
    """One row of every name that an equation may ask for."""
    declared = model.declared

    def traced(number: float | None, unit: Measure, size: int | None = None) -> Traced:
        shape = (1,) if size is None else (1, size)
        # One where nothing is known: zero would hide a division.
        plain = torch.full(shape, 1.0 if number is None else number, dtype=torch.float64)
        return Traced.of(plain, unit, ledger)

    values = {"t": traced(0.0, clock)}
    for name, state in declared.states.items():
        values[name] = traced(state.initial, Measure.of(state.unit), state.size)
    for name in (*declared.parameters, *declared.inputs):
        values[name] = traced(model.default(name), Measure.of(declared.unit(name)))
    return values


def _expected(model: Physics, clock: Measure) -> dict[str, dict[str, Measure]]:
    """Equation -> name -> unit that its result must have."""
    declared = model.declared
    states = {name: Measure.of(state.unit) for name, state in declared.states.items()}
    rates = {n: Measure(u.unit).over(clock) for n, u in states.items()}
    diffusions = {n: Measure(u.unit).over(clock.power(0.5)) for n, u in states.items()}
    outputs = {name: Measure.of(output.unit) for name, output in declared.outputs.items()}
    known = {"rhs": rates, "noise": diffusions, "outputs": outputs}
    # What is left are initial() and the guards and resets of events: both give states.
    return {equation: known.get(equation, states) for equation in model.equations}
