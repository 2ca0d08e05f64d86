"""An explicit method as the macros that ``kernels/erk.h`` steps by.

``tableau_text(tsit5, ...)`` begins::

    #define TW_STAGES 7
    #define TW_POINT_1(s) fma(h * Real(real(0.161)), k[0][s], y[s])
    #define TW_AT_1 advance(t, Real(real(0.161)) * h)
"""

from __future__ import annotations

from collections.abc import Sequence

from twinml.solve.stochastic import StochasticTableau
from twinml.solve.tableau import ButcherTableau


def number(value: float) -> str:
    """A coefficient as a lane of the kernel's own width."""
    return f"Real(real({value!r}))"


def weighted(weights: Sequence[float], what: str = "k[{0}][s]") -> str:
    """Sum of stages left to right, each step one fma; stages of weight zero are left out."""
    total = ""
    for stage, weight in enumerate(weights):
        if weight == 0.0:
            continue
        term = what.format(stage)
        total = f"fma({term}, {number(weight)}, {total})" if total else f"{term} * {number(weight)}"
    return total or number(0.0)


def point(weights: Sequence[float]) -> str:
    """Argument of a stage; where it comes from one slope, h times the weight serves all states."""
    used = [(stage, weight) for stage, weight in enumerate(weights) if weight != 0.0]
    if len(used) == 1:
        stage, weight = used[0]
        return f"fma(h * {number(weight)}, k[{stage}][s], y[s])"
    return f"fma(h, {weighted(weights)}, y[s])"


def moment(c: float) -> str:
    """The time of a stage; the ends of a step are exact."""
    if c == 0.0:
        return "t"
    return "t1" if c == 1.0 else f"advance(t, {number(c)} * h)"


def tableau_text(tableau: ButcherTableau, adaptive: bool, dense: bool, hand_over: bool) -> str:
    """The macros of a method.

    Args:
        tableau: Its coefficients.
        adaptive: Whether the error estimate is needed.
        dense: Whether the interpolant is needed.
        hand_over: Whether rows are watched for stiffness.
    """
    lines = [
        f"#define TW_STAGES {tableau.stages}",
        f"#define TW_FSAL {int(tableau.first_same_as_last)}",
        f"#define TW_EXTRA {len(tableau.dense_a) if dense else 0}",
        f"#define TW_TERMS {len(tableau.dense[0]) + 1}",
    ]
    for stage in range(1, tableau.stages):
        lines.append(f"#define TW_POINT_{stage}(s) {point(tableau.a[stage])}")
        lines.append(f"#define TW_AT_{stage} {moment(tableau.c[stage])}")
    lines.append(f"#define TW_SUM_END(s) {weighted(tableau.b)}")
    if adaptive:
        assert tableau.b_error is not None and tableau.error_order is not None
        lines.append(f"#define TW_SUM_ERROR(s) ({weighted(tableau.b_error)})")
        lines.append(f"#define TW_ERROR_ORDER {tableau.error_order + 1}")
    if hand_over:
        assert tableau.stiffness_stages is not None
        near, far = tableau.stiffness_stages
        lines += [f"#define TW_NEAR_STAGE {near}", f"#define TW_FAR_STAGE {far}"]
    if dense:
        lines += _interpolant(tableau)
    return "\n".join(lines) + "\n"


def _interpolant(tableau: ButcherTableau) -> list[str]:
    lines = []
    if tableau.dense_a:
        stages = []
        for extra, (row, c) in enumerate(zip(tableau.dense_a, tableau.dense_c, strict=True)):
            place = tableau.stages + extra
            stages.append(
                f"TW_EACH_STATE(s) z[s] = fma(h, {weighted(row)}, y[s]); "
                f"rhs_at(at, {moment(c)}, z, k[{place}]);"
            )
        lines.append("#define TW_EXTRA_STAGES " + " ".join(stages))
    terms = []
    for power in range(len(tableau.dense[0])):
        column = weighted([row[power] for row in tableau.dense])
        terms.append(f"path.c[{power + 1}][s] = h * ({column});")
    lines.append("#define TW_FILL_TERMS(s) " + " ".join(terms))
    return lines


def stochastic_text(tableau: StochasticTableau) -> str:
    """The macros of a method for equations with noise, for ``kernels/maruyama.h``.

    Raises:
        NotImplementedError: more stages than that file has lines for.
    """
    if len(tableau.b) != 1:
        raise NotImplementedError(f"{tableau.name} has {len(tableau.b)} stages; maruyama.h has 1")
    return "#define TW_STAGES 1\n#define TW_FSAL 0\n#define TW_EXTRA 0\n#define TW_TERMS 2\n"
