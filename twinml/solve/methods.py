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
AUTO_NOISE = "euler_maruyama"  # of a model with noise


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
