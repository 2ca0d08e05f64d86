"""The methods for equations with noise, as published data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from twinml.solve.tableau import FloatRow


@final
@dataclass(frozen=True)
class StochasticTableau:
    """Coefficients of an explicit one-step method for dy = f dt + g dW, diagonal Ito noise.

    One step of size h with increments dW of variance h (one for each component)::

        Y_i = y0 + h sum_{j<i} a_ij f(t + c_i h, Y_j) + dW sum_{j<i} noise_a_ij g(t + c_i h, Y_j)
        y1  = y0 + h sum_i b_i f(t + c_i h, Y_i)      + dW sum_i noise_b_i g(t + c_i h, Y_i)

    Inside the step the path is the straight line between its ends: the interpolation in time
    of Kloeden & Platen (1992), sec. 9.1, whose error is of the method's own order, weakly and
    in the mean.

    Attributes:
        name: Name by which users ask for the method.
        order: Order without noise; dense_order: that of the interpolant.
        weak_order: Order of moments of the end; strong_order: of the path itself.
        source: Where the method is published.
    """

    name: str
    order: int
    weak_order: float
    strong_order: float
    a: tuple[FloatRow, ...]
    c: FloatRow
    b: FloatRow
    noise_a: tuple[FloatRow, ...]
    noise_b: FloatRow
    source: str
    dense_order: int = 1

    @property
    def adaptive(self) -> bool:
        """Whether the method estimates its error: none here does."""
        return False


_EULER_MARUYAMA = StochasticTableau(
    name="euler_maruyama",
    order=1,
    weak_order=1.0,
    strong_order=0.5,
    a=((),),
    c=(0.0,),
    b=(1.0,),
    noise_a=((),),
    noise_b=(1.0,),
    source="Maruyama (1955), Rend. Circ. Mat. Palermo 4; Kloeden & Platen (1992), Numerical "
    "Solution of Stochastic Differential Equations, eq. 9.1.5; orders: theorems 10.2.2, 14.1.5",
)

STOCHASTIC: dict[str, StochasticTableau] = {_EULER_MARUYAMA.name: _EULER_MARUYAMA}
