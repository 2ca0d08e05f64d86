"""Tables of one variable for right-hand sides."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function
from torch.utils.weak import WeakIdKeyDictionary

from twinml.errors import ArgumentError, ShapeError

# Tables found good, by identity, with the number of in-place changes they had seen by then.
_good: WeakIdKeyDictionary = WeakIdKeyDictionary()


def interp(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Straight lines between the points of a table; the end values outside it.

    A table is a pair of tensors, kept as buffers of the model so that they are stored, moved and
    sent to other processes with it::

        self.register_buffer("soc_knots", torch.linspace(0, 1, 5, dtype=torch.float64))
        self.register_buffer("ocv", torch.tensor([3.0, 3.5, 3.7, 3.9, 4.2], dtype=torch.float64))

    and is read in ``rhs`` or ``outputs`` by ``tw.interp(soc, self.soc_knots, self.ocv)``. Values
    to be learned are an ``nn.Parameter`` instead. A table is converted to the dtype of ``x``: one
    in float64 serves float64 and float32 simulations alike.

    Args:
        x: Where to read the table, any shape, floating dtype.
        knots: Strictly increasing places, shape (K,), K from 2 up.
        values: The table's value at each knot, shape (K,).

    Returns:
        Same shape and dtype as ``x``, exact at the knots; nan where ``x`` is nan. The slope by
        ``x`` is that of the interval, at a knot that of the interval to its right (at the last
        knot, to its left), and 0 outside. It jumps at the knots, which costs an adaptive method
        some rejected steps.

    Raises:
        ArgumentError: a table that is no tensor or on another device than ``x``, knots not
            strictly increasing, nan or inf in the table. Contents are looked at when a tensor is
            first seen and after changes in place.
        ShapeError: ``knots`` and ``values`` disagree on K, or K is below 2.
    """
    if has_torch_function((x, knots, values)):
        # Whoever traces sees one node and need not look inside.
        return handle_torch_function(interp, (x, knots, values), x, knots, values)
    _check(x, knots, values)
    places, heights = knots.to(x.dtype).contiguous(), values.to(x.dtype)
    # The search has no derivative, so it is given plain numbers.
    with torch.no_grad():
        right = torch.searchsorted(places, x.contiguous(), right=True)
        index = (right - 1).clamp(0, knots.shape[0] - 2)
    begin, end = places[index], places[index + 1]
    share = torch.clamp((x - begin) / (end - begin), 0.0, 1.0)
    return torch.lerp(heights[index], heights[index + 1], share)


def _check(x: Tensor, knots: Tensor, values: Tensor) -> None:
    for name, part in (("x", x), ("knots", knots), ("values", values)):
        if not isinstance(part, Tensor) or not part.is_floating_point():
            what = f"{part.dtype}" if isinstance(part, Tensor) else f"a {type(part).__name__}"
            fix = (
                "Use a state, an input or what is computed from them."
                if name == "x"
                else "Keep a table as buffers of the model: self.register_buffer("
                f"'{name}', torch.tensor([...], dtype=torch.float64))."
            )
            raise ArgumentError(
                f"interp was given {what} as {name}; expected a floating tensor. {fix}"
            )
        if part.device != x.device:
            raise ArgumentError(
                f"interp was given {name} on {part.device} and x on {x.device}; expected one "
                f"device. Move the model, tables and all, by model.to('{x.device}')."
            )
    if knots.ndim != 1 or knots.shape != values.shape:
        raise ShapeError(
            f"interp was given knots of shape {tuple(knots.shape)} and values of shape "
            f"{tuple(values.shape)}; expected (K,) and (K,), one value per knot."
        )
    if knots.shape[0] < 2:
        raise ShapeError(
            f"interp was given a table of {knots.shape[0]} points; a line needs 2 or more."
        )
    if torch.compiler.is_compiling():
        return
    if _unseen(knots):
        table = knots.detach()
        _finite(table, "knots")
        back = (table.diff() <= 0).nonzero()
        if back.shape[0]:
            place = int(back[0, 0])
            raise ArgumentError(
                f"interp was given knots that do not rise from {float(table[place]):g} to "
                f"{float(table[place + 1]):g} (places {place} and {place + 1}); expected strictly "
                "increasing ones. Sort the table by its knots and keep one value for each."
            )
        _seen(knots)
    if _unseen(values):
        _finite(values.detach(), "values")
        _seen(values)


def _finite(table: Tensor, name: str) -> None:
    bad = (~torch.isfinite(table)).nonzero()
    if bad.shape[0]:
        place = int(bad[0, 0])
        raise ArgumentError(
            f"interp was given {name} with {float(table[place]):g} at place {place}; expected "
            "finite numbers. Fill or drop that point of the table."
        )


def _unseen(table: Tensor) -> bool:
    return table.is_inference() or _good.get(table) != table._version


def _seen(table: Tensor) -> None:
    if not table.is_inference():
        _good[table] = table._version
