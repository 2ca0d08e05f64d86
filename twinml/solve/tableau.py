"""What an explicit Runge-Kutta method is: its coefficients, exact and as float64.

A method is written down once, as published rationals and decimals, in an
``ExactTableau``; the order conditions are checked on that. ``rounded`` turns every
number into the nearest float64, once, and the result is what engines and kernels read.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

FractionRow = tuple[Fraction, ...]
FloatRow = tuple[float, ...]


def exact_row(text: str) -> FractionRow:
    """Read published coefficients: ``exact_row("35/384 0 0.25e-1")``.

    Decimals are taken as exact, so no digit of the source is lost.
    """
    return tuple(Fraction(word) for word in text.split())


def exact_rows(*texts: str) -> tuple[FractionRow, ...]:
    """Read one row of coefficients for each text."""
    return tuple(exact_row(text) for text in texts)


@dataclass(frozen=True)
class ButcherTableau:
    """Coefficients of an explicit Runge-Kutta method in float64.

    One step of size h from (t, y0), with s = ``stages``::

        k_i     = f(t + c_i h, y0 + h sum_{j<i} a_ij k_j)       i = 0 .. s-1
        y1      = y0 + h sum_i b_i k_i
        error   =      h sum_i b_error_i k_i
        y(x h)  = y0 + h sum_i k_i sum_j dense_ij x^(j+1)       0 <= x <= 1

    The interpolant may need more stages, k_s and on, by the rows of ``dense_a``, each of
    which runs over all stages before it. A row of ``dense_a`` that equals ``b`` is the
    slope at (t + h, y1), which is k_0 of the next step.

    Attributes:
        name: Name by which users ask for the method.
        order: Order of y1.
        a: Strictly lower rows, row i has i entries; ``a[0] == ()``.
        b: Weights of y1, one for each stage.
        c: Abscissae of the stages: the exact row sums of ``a``, rounded once. (Summing
            the rounded rows would move a stage off t + h by some 1e-15.)
        source: Where the coefficients are published.
        b_error: Weights of the error estimate, b minus the embedded weights; None when
            the method has no estimate and takes fixed steps only.
        error_order: Order of the embedded method.
        first_same_as_last: The last stage is the slope at (t + h, y1), k_0 of the next step.
        dense_a: Rows of the stages that only the interpolant needs.
        dense_c: Abscissae of those stages.
        dense: Coefficients of the interpolant, one row for each stage, extra ones included.
        dense_order: Order of the interpolant at every point inside the step.
        stiffness_stages: Two stages at t + h; |k_j - k_i| / |Y_j - Y_i| of their slopes and
            arguments estimates the largest eigenvalue at no cost (Hairer & Wanner 1996,
            sec. IV.2). None where no two stages lie there.
    """

    name: str
    order: int
    a: tuple[FloatRow, ...]
    b: FloatRow
    c: FloatRow
    source: str
    b_error: FloatRow | None
    error_order: int | None
    first_same_as_last: bool
    dense_a: tuple[FloatRow, ...]
    dense_c: FloatRow
    dense: tuple[FloatRow, ...]
    dense_order: int
    stiffness_stages: tuple[int, int] | None

    @property
    def stages(self) -> int:
        """Number of stages of one step, without those of the interpolant."""
        return len(self.b)

    @property
    def adaptive(self) -> bool:
        """Whether the method estimates its error."""
        return self.b_error is not None


@dataclass(frozen=True)
class ExactTableau:
    """The published coefficients of a method as fractions; fields as in ``ButcherTableau``.

    Raises:
        ValueError: The shapes of the parts contradict each other.
    """

    name: str
    order: int
    a: tuple[FractionRow, ...]
    b: FractionRow
    source: str
    dense: tuple[FractionRow, ...]
    dense_order: int
    b_error: FractionRow | None = None
    error_order: int | None = None
    dense_a: tuple[FractionRow, ...] = ()
    stiffness_stages: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        rows = self.a + self.dense_a
        if len(self.a) != len(self.b) or any(len(row) != i for i, row in enumerate(rows)):
            raise ValueError(f"{self.name}: row i of a and dense_a must have i entries")
        if len(self.dense) != len(rows) or len({len(row) for row in self.dense}) != 1:
            raise ValueError(f"{self.name}: dense must have one row of one length per stage")
        if self.b_error is not None and len(self.b_error) != len(self.b):
            raise ValueError(f"{self.name}: b_error must have one weight for each stage")
        if (self.b_error is None) != (self.error_order is None):
            raise ValueError(f"{self.name}: b_error and error_order go together")

    @property
    def all_a(self) -> tuple[FractionRow, ...]:
        """Rows of all stages, the interpolant's included."""
        return self.a + self.dense_a

    @property
    def first_same_as_last(self) -> bool:
        """Whether the last stage is evaluated at (t + h, y1)."""
        return len(self.b) > 1 and self.b[-1] == 0 and self.a[-1] == self.b[:-1]

    def rounded(self) -> ButcherTableau:
        """The same method with every coefficient rounded once to float64."""
        return ButcherTableau(
            name=self.name,
            order=self.order,
            a=_rounded_rows(self.a),
            b=_rounded(self.b),
            c=_row_sums(self.a),
            source=self.source,
            b_error=None if self.b_error is None else _rounded(self.b_error),
            error_order=self.error_order,
            first_same_as_last=self.first_same_as_last,
            dense_a=_rounded_rows(self.dense_a),
            dense_c=_row_sums(self.dense_a),
            dense=_rounded_rows(self.dense),
            dense_order=self.dense_order,
            stiffness_stages=self.stiffness_stages,
        )


def _rounded(row: FractionRow) -> FloatRow:
    return tuple(float(value) for value in row)


def _rounded_rows(rows: tuple[FractionRow, ...]) -> tuple[FloatRow, ...]:
    return tuple(_rounded(row) for row in rows)


def _row_sums(rows: tuple[FractionRow, ...]) -> FloatRow:
    return tuple(float(sum(row, Fraction(0))) for row in rows)
