"""Quantities of interest as functionals of the dense output.

Extrema are stationary points of the path, crossings are roots on pieces where the path is
monotone, integrals use Gauss-Legendre points; nothing depends on where steps or save
points happen to lie. Gradients: an extremum by the envelope theorem, a crossing time by
-g_p / g_t, both with the step sequence frozen.
"""

from __future__ import annotations

from typing import final

from torch import Tensor

from twinml.engines.crossings import FirstTime, TimeAbove
from twinml.engines.dense import DenseStep
from twinml.engines.extrema import Extremum
from twinml.engines.functionals import AbstractFunctional, At, Final, Initial, Integral
from twinml.expression import Expression, Functional
from twinml.solve.problem import Problem

_KINDS: dict[str, type[AbstractFunctional]] = {
    "final": Final, "initial": Initial, "integral": Integral, "mean": Integral, "at": At,
    "max": Extremum, "min": Extremum, "time_of_max": Extremum, "time_of_min": Extremum,
    "time_above": TimeAbove, "first_time": FirstTime,
}  # fmt: skip


@final
class Quantities:
    """All functionals of a problem, each computed once."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.functionals: dict[Functional, AbstractFunctional] = {}
        shared: dict[tuple[str, Expression], Extremum] = {}
        for expression in problem.quantities.values():
            for functional in expression.functionals:
                if functional in self.functionals:
                    continue
                kind = functional.kind
                if _KINDS[kind] is Extremum:
                    # An extremum and its time are found together.
                    key = (kind.removeprefix("time_of_"), functional.argument)
                    extremum = shared.setdefault(key, Extremum(functional, problem))
                    extremum.timed = extremum.timed or kind.startswith("time_of_")
                    self.functionals[functional] = extremum
                else:
                    self.functionals[functional] = _KINDS[kind](functional, problem)

    def add(self, step: DenseStep) -> None:
        """Take an accepted step."""
        for functional in dict.fromkeys(self.functionals.values()):
            functional.add(step)

    def result(self) -> dict[str, Tensor]:
        """Quantities by name, (B,)."""
        problem = self.problem
        known = {key: value.result(key.kind) for key, value in self.functionals.items()}
        values: dict[str, Tensor | float] = dict(problem.constants)
        values.update(problem.parameters)
        for name, value in problem.inputs.items():
            if isinstance(value, Tensor):
                values[name] = value
        return {
            name: expression.evaluate(values, known).to(problem.y0.dtype).expand(problem.rows)
            for name, expression in problem.quantities.items()
        }
