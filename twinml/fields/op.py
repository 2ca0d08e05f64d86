"""``field_op``: a pair of kernels over the cells of a grid, as a function of tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import handle_torch_function, has_torch_function

from twinml.errors import ArgumentError, LoweringError, ShapeError, nearest
from twinml.fields import launch
from twinml.fields.declaration import FieldSpec, Text, names
from twinml.fields.gradient import FieldFunction
from twinml.fields.layout import Layout
from twinml.frames import calling_place
from twinml.lowering.values import is_traced

_DTYPES = (torch.float64, torch.float32)


@final
@dataclass(frozen=True)
class FieldOp:
    """A field operation; call it with its arguments, fields first, or by name.

    Args:
        spec: Names and texts.
        shape: Cells along (y, x) of a grid of two dimensions; None for one dimension, whose cells
            are counted at each call.
    """

    spec: FieldSpec
    shape: tuple[int, int] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Tensor | tuple[Tensor, ...]:
        """Results (*batch, cells), one tensor or, where there are several, a tuple.

        Args:
            args, kwargs: Fields (*batch, cells) or (cells,) where all rows share it; coefficients
                (*batch,), a single number for all rows, or a Python number.

        Raises:
            ArgumentError: a missing or unknown name, dtypes or devices that differ.
            ShapeError: batches or cells that differ.
            NoCompilerError, CompileError: the kernel cannot be made.
            LoweringError: an engine that writes kernels of its own asks for this text.
        """
        given = self._bound(args, kwargs)
        tensors = [value for value in given.values() if isinstance(value, Tensor)]
        if any(is_traced(value) for value in given.values()):
            place = calling_place()
            raise LoweringError(
                f"the equations call the field operation '{self.spec.name}'"
                f"{f' ({place})' if place else ''}, which is a kernel of its own over the cells of "
                "a grid. engine='eager' runs it, with that kernel"
            )
        if has_torch_function(tensors):
            return handle_torch_function(FieldOp.__call__, tensors, self, **given)
        batch, cells, values = self._normalised(given)
        shape = (cells, 1) if self.shape is None else (self.shape[1], self.shape[0])
        count = len(self.spec.fields)
        at = Layout.of(values[:count], shape)
        if _followed(values):
            results = FieldFunction.apply(self.spec, at, *values)
        else:
            results = launch.forward(self.spec, at, values)
        if len(batch) != 1:
            results = tuple(result.reshape(*batch, cells) for result in results)
        return results[0] if len(results) == 1 else tuple(results)

    def __reduce__(self) -> Any:
        return FieldOp, (self.spec, self.shape)

    def _bound(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        known = self.spec.arguments
        what = f"field_op '{self.spec.name}'"
        if len(args) > len(known):
            raise ArgumentError(f"{what} was given {len(args)} arguments; expected {list(known)}.")
        given = dict(zip(known, args, strict=False))
        for name, value in kwargs.items():
            if name not in known:
                raise ArgumentError(
                    f"{what} was given '{name}'; expected {list(known)}." + nearest(name, known)
                )
            if name in given:
                raise ArgumentError(f"{what} was given '{name}' twice, by place and by name.")
            given[name] = value
        missing = [name for name in known if name not in given]
        if missing:
            raise ArgumentError(f"{what} was not given {missing}; expected {list(known)}.")
        return {name: given[name] for name in known}

    def _normalised(
        self, given: Mapping[str, Any]
    ) -> tuple[tuple[int, ...], int, list[Tensor]]:  # fmt: skip
        """Shape of the batch, number of cells, and arguments as (B, cells) and (B,)."""
        what, spec = f"field_op '{self.spec.name}'", self.spec
        first = given[spec.fields[0]]
        for name in spec.fields:
            if not isinstance(given[name], Tensor) or given[name].ndim == 0:
                shown = type(given[name]).__name__
                raise ShapeError(
                    f"{what} was given {shown} as '{name}'; expected a tensor (*batch, cells), one "
                    "number for each cell."
                )
        if first.dtype not in _DTYPES:
            raise ArgumentError(
                f"{what} was given '{spec.fields[0]}' of {first.dtype}; expected torch.float64 or "
                "torch.float32. Convert it by .to(torch.float64)."
            )
        cells = first.shape[-1] if self.shape is None else self.shape[0] * self.shape[1]
        values: dict[str, Tensor] = {}
        for name, value in given.items():
            if not isinstance(value, Tensor):
                value = self._number(name, value, first)
            if value.dtype != first.dtype or value.device != first.device:
                raise ArgumentError(
                    f"{what} was given {spec.word(name)} of {value.dtype} on {value.device}, and "
                    f"'{spec.fields[0]}' of {first.dtype} on {first.device}; expected one dtype "
                    "and one device. Convert one of them by .to(...)."
                )
            if name in spec.fields and value.shape[-1] != cells:
                grid = "" if self.shape is None else f", {self.shape[0]} lines of {self.shape[1]}"
                raise ShapeError(
                    f"{what} was given '{name}' of shape {tuple(value.shape)}; expected "
                    f"(*batch, {cells}), one number for each of {cells} cells{grid}."
                )
            values[name] = value
        if cells == 0:
            raise ShapeError(f"{what} was given '{spec.fields[0]}' without cells; expected some.")
        fields = set(spec.fields)
        batches = {n: v.shape[:-1] if n in fields else v.shape for n, v in values.items()}
        shapes = set(batches.values())
        try:
            # The common case, without torch's ten microseconds.
            batch = shapes.pop() if len(shapes) == 1 else torch.broadcast_shapes(*shapes)
        except RuntimeError as error:
            told = ", ".join(f"{spec.word(n)} {tuple(b)}" for n, b in batches.items())
            raise ShapeError(
                f"{what} was given arguments of different batches: {told}; expected one batch, or "
                "() where all rows share a value. A coefficient is one number for each row; a "
                "number for each cell is a field."
            ) from error
        flat: list[Tensor] = []
        for name, value in values.items():
            tail = (cells,) if name in fields else ()
            if value.shape != (*batch, *tail):
                value = value.expand(*batch, *tail)
            flat.append(value if len(batch) == 1 else value.reshape(-1, *tail))
        return tuple(batch), cells, flat

    def _number(self, name: str, value: Any, like: Tensor) -> Tensor:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ArgumentError(
                f"field_op '{self.spec.name}' was given {type(value).__name__} as "
                f"{self.spec.word(name)}; expected a tensor with one number a row, or a number."
            )
        return like.new_full((), float(value))


def _followed(values: Sequence[Tensor]) -> bool:
    """Whether a derivative may be asked for; the call is three times faster where not."""
    if torch.is_grad_enabled() and any(value.requires_grad for value in values):
        return True
    return forward_ad._current_level >= 0


def field_op(
    name: str,
    fields: str | Sequence[str],
    forward: str | Path,
    vjp: str | Path | None = None,
    coefficients: str | Sequence[str] = (),
    results: str | Sequence[str] = "rate",
    header: str | Path | None = None,
    shape: tuple[int, int] | None = None,
    reach: int = 1,
    periodic: bool | tuple[bool, bool] = False,
) -> FieldOp:
    """A kernel pair over the cells of a grid: its results at a cell from that cell and neighbours.

    The texts are bodies of C++ functions in the types of ``kernels/lane.h``, one source for the
    CPU (where a ``Real`` is a pack of cells or rows) and for CUDA::

        diffusion = tw.field_op(
            "diffusion", fields="u", coefficients="d",
            forward="out.rate = at.d() * (at.u(-1) - Real(2) * at.u() + at.u(1));",
            vjp='''
                const Real g = at.bar_rate(-1) - Real(2) * at.bar_rate() + at.bar_rate(1);
                grad.u = at.d() * g;
                grad.d = at.bar_rate() * (at.u(-1) - Real(2) * at.u() + at.u(1));
            ''',
            periodic=True,
        )
        du = diffusion(u, d)          # u (*batch, cells), d (*batch,)

    ``at.u(dx, dy)`` is a field at a neighbour, ``at.d()`` a coefficient, ``at.bar_rate(dx, dy)``
    the cotangent of a result; ``at.first() at.last() at.first_y() at.last_y()`` are masks of the
    edge cells, ``at.column() at.line()`` the cell's numbers, ``Cell::inside`` is true at compile
    time where no neighbour lies beyond an edge. Beyond an edge that is not periodic the edge cell
    itself is read. ``vjp`` gathers: ``grad.u`` is the whole gradient by u at this cell, so it reads
    the cotangents of the neighbours that use u; ``grad.d`` is this cell's part of the gradient by a
    coefficient, which is summed over the cells. What a text leaves unset is nan. The derivative
    along a direction, which stiff methods and forward mode ask for, follows from ``forward``.

    Args:
        name: What errors call it.
        fields: Names of arguments with one number a cell, as a sequence or in one text.
        forward: Text that sets ``out.<result>``, or a ``pathlib.Path`` of a file that holds it.
        vjp: Text that sets ``grad.<argument>``; None for an operation without gradient.
        coefficients: Names of arguments with one number a row.
        results: Names of the results.
        header: Functions of your own that the texts call.
        shape: (ny, nx) of a grid of two dimensions, cells line by line; None for one dimension.
        reach: How many cells away the farthest neighbour is; beyond it nan is read.
        periodic: Whether the grid closes on itself, for both axes or (x, y).

    Raises:
        ArgumentError: names or numbers that cannot be used.
    """
    if shape is not None:
        whole = isinstance(shape, (tuple, list)) and len(shape) == 2
        if not whole or not all(isinstance(n, int) and n > 0 for n in shape):
            raise ArgumentError(
                f"field_op '{name}' has shape={shape!r}; expected (ny, nx), two whole numbers, or "
                "None for one dimension."
            )
    wraps = (bool(periodic), bool(periodic)) if isinstance(periodic, bool) else tuple(periodic)
    spec = FieldSpec(
        name=name,
        fields=names(fields),
        coefficients=names(coefficients),
        results=names(results),
        forward=Text.of(forward, f"forward of '{name}'"),
        vjp=None if vjp is None else Text.of(vjp, f"vjp of '{name}'"),
        header=None if header is None else Text.of(header, f"header of '{name}'"),
        dimensions=1 if shape is None else 2,
        reach=reach,
        periodic=(wraps[0], wraps[1]),
    )
    return FieldOp(spec, None if shape is None else (shape[0], shape[1]))
