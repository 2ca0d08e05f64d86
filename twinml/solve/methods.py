"""The methods by name."""

from __future__ import annotations

from twinml.errors import ArgumentError, nearest
from twinml.solve.explicit import EXPLICIT
from twinml.solve.rosenbrock import ROSENBROCK, RosenbrockTableau
from twinml.solve.stochastic import STOCHASTIC, StochasticTableau
from twinml.solve.tableau import ButcherTableau

Method = ButcherTableau | RosenbrockTableau | StochasticTableau
METHODS: dict[str, Method] = {**EXPLICIT, **ROSENBROCK, **STOCHASTIC}
AUTO = "auto"
AUTO_PAIR = ("tsit5", "rodas5p")  # explicit until a row turns stiff, then the other
# Up to so many states the dense linear systems of a stiff method are solved: the matrices of one
# row take 8 n^2 bytes each, and a step some n^3 operations (2,000 states: 32 MB, 0.3 s).
DENSE_STATES = 2_000
AUTO_NOISE = "euler_maruyama"  # of a model with noise


def partners(states: int, fixed: bool) -> tuple[str, ...]:
    """The methods of "auto" without noise, in the order in which rows are handed over."""
    return AUTO_PAIR[:1] if fixed or states > DENSE_STATES else AUTO_PAIR


def method_named(name: str) -> Method:
    """The tableau of a method.

    Raises:
        ArgumentError: unknown name.
    """
    if name not in METHODS:
        raise ArgumentError(
            f"method={name!r} is not known; expected '{AUTO}' or one of {list(METHODS)}."
            + nearest(str(name), METHODS)
        )
    return METHODS[name]
