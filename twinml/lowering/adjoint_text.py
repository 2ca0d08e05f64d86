"""Prints a program followed backward, as ``kernels/reverse.h`` calls it.

Three functions::

    void rhs_keep(t, y, p, u, c, w, Real* out, Real* kept)
    void rhs_pull(t, y, p, u, c, w, const Real* kept, const Real* seed, Real* bars, Real* notes)
    void gather_shares(const Real* slots, int count, const Weights w, Real* total)

``slots`` holds what some evaluations kept and noted, TW_SLOT numbers each: kept first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinml.lowering.adjoint import Block, Pull, Share
from twinml.lowering.printer import statements
from twinml.lowering.program import Kept, Linear, Load, Program, Table, kind_of

# Above this many operations a function is called: it stands in a unit three times a stage.
BIG = 50

_ARGUMENTS = (
    "const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w"
)


def pull_text(pull: Pull, totals: Mapping[int, int]) -> str:
    """The functions of a pull.

    Args:
        pull: The programs.
        totals: Where the derivative by each wanted tensor begins in ``total``.
    """
    values = len(pull.keep.outputs) - len(pull.kept)
    keep = _function("rhs_keep", "Real* out, Real* kept", pull.keep, values, "kept", pull.kept)
    arguments = "const Real* kept, const Real* seed, Real* out, Real* notes"
    back = _function("rhs_pull", arguments, pull.pull, pull.bars, "notes", pull.notes)
    return "\n".join([keep, back, _shares_text(pull, totals)])


def _function(
    name: str, more: str, program: Program, values: int, memory: str, blocks: Sequence[Block]
) -> str:
    """A function that writes its first results to ``out``, the others to a memory."""
    marker = "TW_BIG" if program.operations > BIG else "TW_FN"
    homes: dict[int, str] = {}
    for place, block in zip(program.outputs[values:], blocks, strict=True):
        # What is kept already lies in a home.
        vector = kind_of(program.nodes[place]) == "vector"
        if vector and not isinstance(program.nodes[place], Kept):
            homes.setdefault(place, f"{memory} + {block.offset}")
    body, names = statements(program, homes, joined=True)
    lines = [f"{marker} void {name}({_ARGUMENTS}, {more})", "{", *(f"  {line}" for line in body)]
    for place, block in zip(program.outputs[values:], blocks, strict=True):
        if block.size is None:
            lines.append(f"  {memory}[{block.offset}] = {names[place]};")
        elif homes.get(place) != f"{memory} + {block.offset}":
            target = f"{memory}[{block.offset} + i]"
            copied = f"{target} = {names[place]}[i];"
            lines.append(f"  for (int i = 0; i < {block.size}; ++i) {copied}")
    for number, place in enumerate(program.outputs[:values]):
        lines.append(f"  out[{number}] = {names[place]};")
    return "\n".join([*lines, "}"]) + "\n"


def _shares_text(pull: Pull, totals: Mapping[int, int]) -> str:
    arguments = "const Real* slots, const int count, const Weights w, Real* total"
    head = f"TW_BIG void gather_shares({arguments})"
    lines = [line for share in pull.shares for line in _share(share, pull.kept_size, totals)]
    return "\n".join([head, "{", *(f"  {line}" for line in lines), "}"]) + "\n"


def _share(share: Share, noted: int, totals: Mapping[int, int]) -> list[str]:
    bar = f"slots + {noted + share.note}"
    match share.node:
        case Linear(inputs=inputs, outputs=outputs):
            lines = []
            if share.weight is not None:
                into = f"total + {totals[share.weight]}"
                vectors = f"{bar}, slots + {share.kept}"
                lines.append(f"outer<{outputs}, {inputs}>({vectors}, count, {into});")
            if share.bias is not None:
                lines.append(f"gather<{outputs}>({bar}, count, total + {totals[share.bias]});")
            return lines
        case Load(tensor=tensor, index=index):
            return [f"gather<1>({bar}, count, total + {totals[tensor] + index});"]
        case Table() as table:
            into = f"total + {totals[table.values]}"
            at = f"slots + {noted + share.kept}"
            return [f"table_gather<{table.size}>(w[{table.knots}], {at}, {bar}, count, {into});"]
