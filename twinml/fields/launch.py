"""One pass of a field kernel over all cells of all rows."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Sequence

import torch
from torch import Tensor

from twinml.errors import ArgumentError
from twinml.fields.declaration import FieldSpec
from twinml.fields.gpu import on_gpu
from twinml.fields.kernel import library_for
from twinml.fields.layout import Layout
from twinml.fields.memory import fill, layout, target
from twinml.fields.text import Kind

# Below so many cells a pass is shorter than the start of a thread.
_FEW_CELLS = 1 << 18


def forward(spec: FieldSpec, at: Layout, arguments: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """Results, (B, cells) each.

    Args:
        spec: The operation.
        at: Rows, cells and order.
        arguments: Fields (B, cells), then coefficients (B,), of one dtype and device.
    """
    values = _suited(spec, at, arguments)
    results = tuple(at.empty(values[0]) for _ in spec.results)
    _launch(spec, at, "pair", "tw_field_forward", values, results=results)
    return results


def tangent(
    spec: FieldSpec, at: Layout, arguments: Sequence[Tensor], along: Sequence[Tensor | None]
) -> tuple[Tensor, ...]:
    """Derivatives of the results along one direction; None in ``along`` stands still."""
    count = len(spec.fields)
    values = [at.dense(v) for v in arguments[:count]] + [v.contiguous() for v in arguments[count:]]
    moves = [None if m is None else at.dense(m) for m in along[:count]]
    moves += [None if m is None else m.contiguous() for m in along[count:]]
    results = tuple(at.empty(values[0]) for _ in spec.results)
    _launch(spec, at, "tangent", "tw_field_tangent", values, moves, results=results)
    return results


def adjoint(
    spec: FieldSpec,
    at: Layout,
    arguments: Sequence[Tensor],
    cotangents: Sequence[Tensor],
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Products of the cotangents (B, cells) with the derivatives by each argument.

    Returns:
        For each argument (B, cells) or (B,), or None where it is not wanted.
    """
    values = _suited(spec, at, arguments)
    given = [at.suited(c) for c in cotangents]
    count = len(spec.fields)
    gradients = [at.empty(values[0]) if want else None for want in wanted[:count]]
    summed = any(wanted[count:])
    sums = values[0].new_empty((at.tiles, len(spec.coefficients), at.rows))
    _launch(
        spec, at, "pair", "tw_field_adjoint", values, cotangents=given, gradients=gradients,
        sums=sums,
    )  # fmt: skip
    if not summed:
        return (*gradients, *(None for _ in spec.coefficients))
    totals = sums[0] if at.tiles == 1 else sums.sum(0)
    chosen = [totals[k] if want else None for k, want in enumerate(wanted[count:])]
    return (*gradients, *chosen)


def _suited(spec: FieldSpec, at: Layout, arguments: Sequence[Tensor]) -> list[Tensor]:
    count = len(spec.fields)
    return [at.suited(field) for field in arguments[:count]] + [
        c if c.stride(0) in (0, 1) else c.contiguous() for c in arguments[count:]
    ]


def _launch(
    spec: FieldSpec,
    at: Layout,
    kind: Kind,
    entry: str,
    values: Sequence[Tensor],
    along: Sequence[Tensor | None] | None = None,
    results: Sequence[Tensor] = (),
    cotangents: Sequence[Tensor] = (),
    gradients: Sequence[Tensor | None] = (),
    sums: Tensor | None = None,
) -> None:
    if at.rows == 0:
        return
    count, device = len(spec.fields), values[0].device
    args = layout(count, len(spec.coefficients), len(spec.results))()
    args.bytes, args.rows, args.tile = ctypes.sizeof(args), at.rows, at.tile
    (args.nx, args.ny), args.along_rows = at.shape, int(at.along_rows)
    still: list[Tensor | None] = [None] * len(values)
    moves = still if along is None else along
    fill(args.fields, values[:count], moves[:count])
    fill(args.coefficients, values[count:], moves[count:])
    fill(args.cotangents, cotangents, still)
    for place, value in zip(args.results, results, strict=False):
        target(place, value)
    for place, value in zip(args.gradients, gradients, strict=False):
        target(place, value)
    args.sums = None if sums is None else sums.data_ptr()
    bits = 64 if values[0].dtype == torch.float64 else 32
    if device.type == "cpu":
        _on_cpu(spec, kind, entry, bits, args, at.rows * at.cells)
    elif device.type == "cuda":
        on_gpu(spec, kind, entry, bits, args, at, device)
    else:
        raise ArgumentError(
            f"field_op '{spec.name}' was given tensors on {device}; expected the CPU or a CUDA "
            "GPU, which its kernels are compiled for. Move them by .cpu()."
        )


def _on_cpu(
    spec: FieldSpec, kind: Kind, entry: str, bits: int, args: ctypes.Structure, work: int
) -> None:
    library = library_for(spec, kind, bits)
    counter = ctypes.c_longlong(0)
    args.next = ctypes.addressof(counter)  # pyright: ignore[reportAttributeAccessIssue]
    function, pointer = getattr(library.handle, entry), ctypes.byref(args)
    threads = 1 if work < _FEW_CELLS else torch.get_num_threads()
    if threads == 1:
        function(pointer)
        return
    team = [
        threading.Thread(target=lambda: function(pointer), daemon=True) for _ in range(threads - 1)
    ]
    try:
        for thread in team:
            thread.start()
        function(pointer)
    finally:  # the arguments stay until nobody reads them, whatever interrupts the call
        for thread in team:
            if thread.ident is not None:
                thread.join()
