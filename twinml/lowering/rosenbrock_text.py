"""A Rosenbrock method as the text that ``kernels/rosenbrock.h`` steps by.

``rosenbrock_text(RODAS5P, ...)`` begins::

    #define TW_STAGES 8
    #define TW_INVERSE_GAMMA real(4.718370703041034)
    #define TW_MOVE_1(s) fma(k[0][s], Real(real(3.0)), y[s])
    #define TW_FEED_1(s) k[0][s] * Real(real(-14.155112264123755))
"""

from __future__ import annotations

from collections.abc import Sequence

from twinml.lowering.derive import jacobian
from twinml.lowering.lu import WRITTEN_OUT, WRITTEN_OUT_CUDA, lu_text, plan
from twinml.lowering.printer import Dialect, print_function
from twinml.lowering.program import Program
from twinml.lowering.simplify import fused, simplified
from twinml.lowering.tableau_text import moment, number, weighted
from twinml.solve.rosenbrock import RosenbrockTableau

# Operations up to which the right-hand side stands in every stage, of which there are many.
_INLINED = 60


def rosenbrock_text(
    tableau: RosenbrockTableau,
    rhs: Program,
    moving: Sequence[int],
    dialect: Dialect = "cpp",
    dense: bool = True,
    bits: int = 64,
) -> tuple[str, list[str]]:
    """The macros and functions of a method for one right-hand side.

    Args:
        tableau: The method.
        rhs: The right-hand side.
        moving: Inputs that rise or fall inside a step: those of linear signals.
        dialect: "cpp" or "cuda".
        dense: Whether the interpolant is needed.
        bits: Width of numbers.
    """
    written_out = WRITTEN_OUT_CUDA[bits] if dialect == "cuda" else WRITTEN_OUT
    derived = jacobian(rhs, moving)
    program = fused(simplified(derived.program))
    lu_macros, lu_functions = lu_text(plan(derived.width, derived.pattern), written_out)
    macros = [
        *_method(tableau, dense),
        f"#define TW_AUTONOMOUS {int(derived.autonomous)}",
        f"#define TW_NZ {len(derived.pattern)}",
    ]
    functions = [
        print_function(rhs, "rhs", dialect, big=rhs.operations > _INLINED),
        print_function(program, "rhs_jacobian", dialect, values=derived.width),
        lu_functions,
    ]
    return "\n".join(macros) + "\n" + lu_macros, functions


def _method(tableau: RosenbrockTableau, dense: bool) -> list[str]:
    lines = [
        f"#define TW_STAGES {tableau.stages}",
        "#define TW_FSAL 0",
        "#define TW_EXTRA 0",
        f"#define TW_TERMS {len(tableau.dense[0]) + 1}",
        f"#define TW_ERROR_ORDER {tableau.error_order + 1}",
        f"#define TW_INVERSE_GAMMA real({1.0 / tableau.gamma!r})",
    ]
    for stage in range(tableau.stages):
        lines += [
            f"#define TW_D_{stage} real({tableau.d[stage]!r})",
            f"#define TW_SLOPED_{stage} {int(tableau.d[stage] != 0.0)}",
        ]
        if stage:
            before = tableau.a[stage - 1] if stage > 1 else None
            lines += [
                f"#define TW_MOVE_{stage}(s) {_moved(tableau.a[stage], before)}",
                f"#define TW_FEED_{stage}(s) {weighted(tableau.C[stage])}",
                f"#define TW_AT_{stage} {moment(tableau.c[stage])}",
            ]
    last = tableau.a[-1] if tableau.stages > 1 else None
    lines.append(f"#define TW_SUM_END(s) {_moved(tableau.b, last)}")
    lines.append(f"#define TW_SUM_ERROR(s) {_sum(tableau.b_error)}")
    if dense:
        terms = []
        for power in range(len(tableau.dense[0])):
            column = weighted([row[power] for row in tableau.dense])
            terms.append(f"path.c[{power + 1}][s] = {column};")
        lines.append("#define TW_FILL_TERMS(s) " + " ".join(terms))
    return lines


def _moved(weights: Sequence[float], before: Sequence[float] | None) -> str:
    """States moved by a sum of stages: from those of the stage before where only its own is new."""
    if before is not None and tuple(weights[:-1]) == tuple(before):
        start, weights = "z[s]", (*[0.0] * len(before), weights[-1])
    else:
        start = "y[s]"
    used = [weight for weight in weights if weight != 0.0]
    if not used:
        return start
    if len(used) == 1:
        stage = next(i for i, weight in enumerate(weights) if weight != 0.0)
        if used[0] == 1.0:
            return f"({start} + k[{stage}][s])"
        return f"fma(k[{stage}][s], {number(used[0])}, {start})"
    return f"({start} + {weighted(weights)})"


def _sum(weights: Sequence[float]) -> str:
    """A sum of stages; one of weight 1 alone is that stage."""
    if sum(weight != 0.0 for weight in weights) == 1 and 1.0 in weights:
        return f"k[{tuple(weights).index(1.0)}][s]"
    return f"({weighted(weights)})"
