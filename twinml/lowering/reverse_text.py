"""The unit that follows a run backward: ``kernels/reverse.h`` and what it is written against."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, final

from twinml.lowering.adjoint import Wanted, pulled
from twinml.lowering.adjoint_text import pull_text
from twinml.lowering.program import Call
from twinml.lowering.tableau_text import moment, point, tableau_text, weighted
from twinml.lowering.tableau_text import number as coefficient
from twinml.lowering.unit import UnitSpec, forcing_tables, table_text
from twinml.solve.methods import method_named
from twinml.solve.tableau import ButcherTableau

if TYPE_CHECKING:
    from twinml.lowering import Lowered

# Bytes of a pack, on every target: sums over rows are then the same in every bit.
PACK_BYTES = 64


@final
@dataclass(frozen=True)
class ReverseUnit:
    """The text, and where derivatives by tensors stand among the sums.

    Args:
        text: Of the unit.
        totals: Where each wanted tensor begins.
        sizes: How many numbers each has.
        weights: How many they are together.
    """

    text: str
    totals: dict[int, int]
    sizes: dict[int, int]
    weights: int


def reverse_unit(lowered: Lowered, spec: UnitSpec, wanted: Wanted) -> ReverseUnit:
    """The unit for a run by an explicit method.

    Args:
        lowered: The model's programs.
        spec: Of the run.
        wanted: What derivatives are asked for.
    """
    method = method_named(spec.method)
    assert isinstance(method, ButcherTableau)
    states, parameters, inputs = spec.sizes
    program = lowered.followed()
    assert program is not None
    pull = pulled(program, states, wanted)
    sizes = {number: prod(lowered.tensors[number].shape) for number in wanted.tensors}
    totals, weights = dict[int, int](), 0
    for number, size in sizes.items():
        totals[number] = weights
        weights += size
    functions = pull_text(pull, totals)
    slot = pull.kept_size + pull.notes_size
    defines = [
        ("TW_REVERSE", 1),
        ("TW_BITS", spec.bits),
        ("TW_PACK_BYTES", PACK_BYTES),
        ("TW_N", states),
        ("TW_P", parameters),
        ("TW_U", inputs),
        ("TW_CONSTANTS", 0),
        ("TW_SIGNALS", len(spec.signals)),
        ("TW_CHANGES", len(spec.changes)),
        ("TW_LINEAR", int(any(linear for _, linear in spec.signals))),
        ("TW_SAVE", int(spec.save)),
        ("TW_PLAIN", int(spec.plain)),
        ("TW_PULL_P", len(wanted.parameters)),
        ("TW_PULL_U", len(wanted.inputs)),
        ("TW_KEPT", pull.kept_size),
        # An odd number of vectors: equal places of evaluations then share no line of the cache.
        ("TW_SLOT", slot | 1),
        ("TW_SHARES", int(bool(pull.shares))),
    ]
    tables = [
        table_text("PULLED_P", wanted.parameters),
        table_text("PULLED_U", wanted.inputs),
    ]
    blocks = [
        "\n".join(f"#define {name} {value}" for name, value in defines),
        tableau_text(method, False, spec.save, False),
        _stages(method, spec.save),
        '#include "prelude.h"\n#include "outer.h"\n',
        "namespace tw {\n",
        forcing_tables(spec, inputs) + "\n".join(tables) + "\n",
        *([lowered.header] if any(isinstance(node, Call) for node in program.nodes) else []),
        functions,
        "}  // namespace tw\n",
        '#include "reverse.h"',
    ]
    return ReverseUnit("\n".join(blocks) + "\n", totals, sizes, weights)


def _stages(method: ButcherTableau, dense: bool) -> str:
    """The stages and how they are followed backward, by their numbers.

    ``TW_PULL_STAGE_2(s)`` of rk4 is ``kbar[1][s] = fma(hz[s], Real(real(0.5)), kbar[1][s]);``.
    The last stage of a method whose last is the next one's first matters to the interpolant alone.
    """
    rows = [*method.a, *(method.dense_a if dense else ())]
    used = method.stages - int(method.first_same_as_last)
    every = range(len(rows))
    weights = [*method.b, *([0.0] * (len(rows) - method.stages))]
    arrival = f"fma(h, {weighted(method.b)}, y[s])"
    if method.first_same_as_last:
        arrival = point(method.a[-1])
    lines = [f"#define TW_USED_STAGES {used}", f"#define TW_ARRIVAL(s) {arrival}"]
    for stage in every[method.stages :]:
        extra = stage - method.stages
        lines.append(f"#define TW_POINT_{stage}(s) fma(h, {weighted(rows[stage])}, y[s])")
        lines.append(f"#define TW_AT_{stage} {moment(method.dense_c[extra])}")
    taken = " ".join(f"TW_TAKE({stage})" for stage in every[1:used])
    inside = " ".join(f"TW_TAKE({stage})" for stage in every[used:])
    lines += [f"#define TW_TAKE_STAGES {taken}", f"#define TW_TAKE_INSIDE {inside}"]
    end = [
        f"kbar[{i}][s] = {f'hy * {coefficient(b)}' if b else 'zero'};"
        for i, b in enumerate(weights)
    ]
    lines.append("#define TW_PULL_END(s) " + " ".join(end))
    if dense:
        within = []
        for stage, row in enumerate(method.dense):
            if any(row):
                total = weighted([0.0, *row], "cbar[{0}][s]")
                within.append(f"kbar[{stage}][s] = fma(h, {total}, kbar[{stage}][s]);")
        lines.append("#define TW_PULL_INSIDE(s) " + " ".join(within))
    for stage, row in enumerate(rows):
        pulls = [
            f"kbar[{j}][s] = fma(hz[s], {coefficient(a)}, kbar[{j}][s]);"
            for j, a in enumerate(row)
            if a
        ]
        lines.append(f"#define TW_PULL_STAGE_{stage}(s) " + " ".join(pulls))
    back = [f"TW_BACK({stage})" for stage in reversed(every)]
    lines.append("#define TW_BACK_INSIDE " + " ".join(back[: len(rows) - used]))
    lines.append("#define TW_BACK_STAGES " + " ".join(back[len(rows) - used :]))
    return "\n".join(lines) + "\n"
