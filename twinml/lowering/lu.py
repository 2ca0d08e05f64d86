"""LU factors of W = s I - J for a pattern known at compile time.

Rows and columns are eliminated in one order, diagonal by diagonal: the diagonal of W is never
absent, and the order is the one that fills least, found greedily (Markowitz 1957; Duff, Erisman,
Reid (2017), Direct Methods for Sparse Matrices, sec. 7.2). There is no exchange of rows at run
time, in which the lanes of a pack would part. The factors are L D U with ones on the diagonals of
L and U, so that a solve has no division and one fma behind another for each row.

A lane is unsound where a pivot is zero, not finite or all cancelled, or where in one elimination
both the multipliers (column of L) and the row of U grow beyond 1e3. One of the two alone says
nothing: it grows with the choice of units, and either being small bounds the growth of errors.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import final

GROWTH_LIMIT = 1e3
# Up to so many operations of a factorisation and a solve are written out.
WRITTEN_OUT = 400
# The same for a thread of a GPU, by the width of numbers: what its registers hold, 6 states with a
# full Jacobian in float64 and 10 in float32 (127 and 485 operations).
WRITTEN_OUT_CUDA = {64: 200, 32: 500}
# A solve of more than so many is a function of its own, instead of standing in every stage.
_INLINED = 48


@final
@dataclass(frozen=True)
class Elimination:
    """One pivot: the rows it changes and the columns in which it changes them."""

    pivot: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]


@final
@dataclass(frozen=True)
class Plan:
    """The order of elimination and where each factor is kept.

    Args:
        width: Number of rows n.
        pattern: Entries of J that are not zero by structure, in the order in which they arrive.
        steps: Eliminations, in order.
        places: Number of each entry (i, j) of the filled pattern in the array of factors.
    """

    width: int
    pattern: tuple[tuple[int, int], ...]
    steps: tuple[Elimination, ...]
    places: dict[tuple[int, int], int]

    @property
    def operations(self) -> int:
        """Of one factorisation and one solve."""
        total = 0
        for step in self.steps:
            rows, columns = len(step.rows), len(step.columns)
            total += 2 + rows * columns + 2 * (rows + columns)
        return total


def plan(width: int, pattern: Iterable[tuple[int, int]]) -> Plan:
    """Choose the order of elimination for a pattern of J."""
    pattern = tuple(pattern)
    filled = set(pattern) | {(i, i) for i in range(width)}
    left = set(range(width))
    steps = []
    while left:
        chosen = min(
            (
                Elimination(
                    k,
                    tuple(i for i in sorted(left) if i != k and (i, k) in filled),
                    tuple(j for j in sorted(left) if j != k and (k, j) in filled),
                )
                for k in sorted(left)
            ),
            key=lambda step: (len(step.rows) * len(step.columns), len(step.rows), step.pivot),
        )
        steps.append(chosen)
        left.remove(chosen.pivot)
        filled |= {(i, j) for i in chosen.rows for j in chosen.columns}
    rank = {step.pivot: number for number, step in enumerate(steps)}
    # In a solve the unknown that is found last comes last: the others need not wait for it.
    ordered = tuple(
        replace(step, columns=tuple(sorted(step.columns, key=rank.__getitem__, reverse=True)))
        for step in steps
    )
    places = {entry: number for number, entry in enumerate(sorted(filled))}
    return Plan(width, pattern, ordered, places)


def lu_text(plan: Plan, written_out: int = WRITTEN_OUT) -> tuple[str, str]:
    """Macros and functions ``factor`` and ``solve`` of a plan.

    Args:
        plan: What is factored.
        written_out: Up to so many operations the functions are straight text; above it they are
            the loops of ``kernels/lu.h`` over tables.

    Returns:
        The macros, and the text that follows the prelude. For J = [[j0, j1], [j2, 0]]::

            TW_FN Mask factor(const Real s, const Real* j, Real* f)
            {
              Real w0_0 = s - j[0];
              Real w0_1 = -j[1];
              Real w1_0 = -j[2];
              Real w1_1 = s;
              ...
    """
    loop = plan.operations > written_out
    macros = (
        f"#define TW_LU_SIZE {len(plan.places)}\n"
        f"#define TW_LU_LOOP {int(loop)}\n"
        f"#define TW_GROWTH_LIMIT real({GROWTH_LIMIT!r})\n"
    )
    return macros, _tables(plan) if loop else _factor(plan) + "\n" + _solve(plan)


def _factor(plan: Plan) -> str:
    given = {entry: f"j[{number}]" for number, entry in enumerate(plan.pattern)}
    marker = "TW_BIG" if plan.operations > 2 * _INLINED else "TW_FN"
    lines = [f"{marker} Mask factor(const Real s, const Real* j, Real* f)", "{"]
    for i, k in plan.places:
        value = f"-{given[i, k]}" if (i, k) in given else "Real(real(0))"
        if i == k:
            value = f"s - {given[i, k]}" if (i, k) in given else "s"
        lines.append(f"  Real w{i}_{k} = {value};")
    changed = {i for step in plan.steps for i in step.rows if i in step.columns}
    lines += [f"  const Real d{i} = w{i}_{i};" for i in sorted(changed)]
    lines += ["  Mask sound = Mask(true);", "  Real growth = Real(real(0));"]
    for step in plan.steps:
        lines += _eliminated(step, step.pivot in changed)
    for (i, k), place in plan.places.items():
        lines.append(f"  f[{place}] = {f'r{i}' if i == k else f'w{i}_{k}'};")
    lines += ["  return TW_LU_USABLE(sound, growth);", "}"]
    return "\n".join(lines) + "\n"


def _eliminated(step: Elimination, changed: bool) -> list[str]:
    """One elimination; ``changed`` where the pivot is no longer the diagonal of W."""
    k = step.pivot
    lines = [
        f"  sound = sound & pivot_sound(w{k}_{k}, {f'd{k}' if changed else f'w{k}_{k}'});",
        f"  const Real r{k} = Real(real(1)) / w{k}_{k};",
    ]
    lines += [f"  w{i}_{k} = w{i}_{k} * r{k};" for i in step.rows]
    for i in step.rows:
        lines += [f"  w{i}_{j} = fnma(w{i}_{k}, w{k}_{j}, w{i}_{j});" for j in step.columns]
    lines += [f"  w{k}_{j} = w{k}_{j} * r{k};" for j in step.columns]
    if step.rows and step.columns:
        below = _largest([f"w{i}_{k}" for i in step.rows])
        right = _largest([f"w{k}_{j}" for j in step.columns])
        lines.append(f"  growth = max(growth, min({below}, {right}));")
    return lines


def _largest(names: list[str]) -> str:
    text = f"abs({names[0]})"
    for name in names[1:]:
        text = f"max({text}, abs({name}))"
    return text


def _solve(plan: Plan) -> str:
    """Forward, diagonal, backward."""
    operations = sum(1 + len(step.rows) + len(step.columns) for step in plan.steps)
    marker = "TW_BIG" if operations > _INLINED else "TW_FN"
    lines = [f"{marker} void solve(const Real* f, Real* x)", "{"]
    for step in plan.steps:
        k = step.pivot
        for i in step.rows:
            lines.append(f"  x[{i}] = fnma(f[{plan.places[i, k]}], x[{k}], x[{i}]);")
        lines.append(f"  x[{k}] = x[{k}] * f[{plan.places[k, k]}];")
    for step in reversed(plan.steps):
        k = step.pivot
        for j in step.columns:
            lines.append(f"  x[{k}] = fnma(f[{plan.places[k, j]}], x[{j}], x[{k}]);")
    lines.append("}")
    return "\n".join(lines) + "\n"


def _tables(plan: Plan) -> str:
    """What the loops of ``kernels/lu.h`` read."""
    n = plan.width
    lines = [
        ("LU_ENTRY", [plan.places[entry] for entry in plan.pattern]),
        ("LU_PLACE", [plan.places.get((i, j), -1) for i in range(n) for j in range(n)]),
        ("LU_PIVOT", [step.pivot for step in plan.steps]),
        ("LU_ROWS_AT", _starts([step.rows for step in plan.steps])),
        ("LU_ROWS", [i for step in plan.steps for i in step.rows]),
        ("LU_COLUMNS_AT", _starts([step.columns for step in plan.steps])),
        ("LU_COLUMNS", [j for step in plan.steps for j in step.columns]),
    ]
    return "".join(
        f"TW_TABLE int {name}[] = {{{', '.join(map(str, values or [0]))}}};\n"
        for name, values in lines
    )


def _starts(lists: Sequence[Sequence[int]]) -> list[int]:
    return [0, *itertools.accumulate(len(some) for some in lists)]
