"""Diffusion, advection and reaction on a line or a rectangle, one kernel for all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor
from torch.overrides import has_torch_function

from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.fields import plain
from twinml.fields.boundary import CLOSED, SIDES, checked_sides
from twinml.fields.declaration import names
from twinml.fields.op import FieldOp
from twinml.fields.reaction import asked_names
from twinml.fields.transport_text import SCHEMES, transport_op
from twinml.lowering.values import is_traced

Quantity = Any  # a tensor (*batch,), a number, or one of these for each field by name


@final
@dataclass(frozen=True)
class Transport:
    """Rates of change of fields by diffusion, advection and reaction; made by ``transport``.

    Args:
        name: What errors call it.
        fields: What is carried, in the order of declaration.
        sides: Kind of the boundary by side and field.
        scheme: Of advection: "none", "central" or "upwind".
        sources: Arguments of the reaction with one number a cell, besides the fields.
        coefficients: Arguments of the reaction with one number a row.
        reaction: What happens inside a cell, or None.
        op: The kernel.
    """

    name: str
    fields: tuple[str, ...]
    sides: Mapping[str, Mapping[str, str]]
    scheme: str
    sources: tuple[str, ...]
    coefficients: tuple[str, ...]
    reaction: Callable[..., Any] | None
    op: FieldOp

    @property
    def axes(self) -> int:
        """Dimensions of the grid."""
        return len(self.sides) // 2

    def __call__(
        self,
        fields: Any,
        length: Any,
        diffusivity: Quantity,
        velocity: Quantity = None,
        left: Quantity = None,
        right: Quantity = None,
        bottom: Quantity = None,
        top: Quantity = None,
        **reaction: Any,
    ) -> Any:
        """Rates of change, (*batch, cells) for each field.

        Args:
            fields: The field (*batch, cells), or fields by name.
            length: Of the domain, (*batch,) or a number; for two dimensions a pair (x, y).
            diffusivity: Area per time, 0 or more (a negative one in a tensor makes its row grow
                without bound, which ends in a status); velocity: length per time. One for all
                fields or by name; for two dimensions a pair (x, y), or one diffusivity for both.
            left, right, bottom, top: The number of a boundary, one for all fields or by name:
                "dirichlet" the value at the face, "neumann" the slope along the outward normal,
                "flux" the whole flux into the domain (value times length per time), advection
                included. Slopes and fluxes that are not given are 0.
            reaction: Arguments of the reaction by name.

        Returns:
            A tensor for one field that was given as such, else a dict by name.

        Raises:
            ArgumentError, ShapeError: something missing, unknown, or of the wrong shape.
        """
        alone = not isinstance(fields, Mapping)
        values = dict.fromkeys(self.fields, fields) if alone else dict(fields)
        if alone and len(self.fields) > 1:
            raise ArgumentError(
                f"{self._what} was given one tensor; expected {list(self.fields)} by name, as a "
                "dict."
            )
        self._check_named("fields", values, self.fields)
        spread = self._per_axis("diffusivity", diffusivity, True)
        moved = self._per_axis("velocity", velocity, False)
        widths = self._widths(values, length)
        given = {"left": left, "right": right, "bottom": bottom, "top": top}
        numbers: dict[str, Any] = {}
        for field in self.fields:
            for axis in range(self.axes):
                width = widths[axis]
                numbers[f"d{axis}_{field}"] = spread[axis][field] / (width * width)
                if self.scheme != "none":
                    numbers[f"a{axis}_{field}"] = moved[axis][field] / width
                for side in SIDES[2 * axis : 2 * axis + 2]:
                    number = self._number(side, field, given[side], width)
                    if number is not None:
                        numbers[f"{side}_{field}"] = number
        for side in SIDES[2 * self.axes :]:
            if given[side] is not None:
                raise ArgumentError(
                    f"{self._what} was given {side}; it has the sides {list(self.sides)}."
                )
        self._check_named("the reaction", reaction, (*self.sources, *self.coefficients))
        found = self._rates(values, numbers, reaction)
        return found[0] if alone else dict(zip(self.fields, found, strict=True))

    @property
    def asked(self) -> tuple[str, ...]:
        """Names that the reaction asks for."""
        return () if self.reaction is None else asked_names(self.reaction, self._what)

    @property
    def _what(self) -> str:
        return f"transport '{self.name}'"

    def _rates(
        self, values: Mapping[str, Any], numbers: Mapping[str, Any], reaction: Mapping[str, Any]
    ) -> Sequence[Any]:
        everything = [*values.values(), *numbers.values(), *reaction.values()]
        tensors = [value for value in everything if isinstance(value, Tensor)]
        followed = any(is_traced(value) for value in everything)
        if plain.wanted() or followed or has_torch_function(tensors):
            # Who follows the text, for kernels of few states or for units, is given torch's.
            return plain.rates(self, values, numbers, reaction)
        arguments = {**{f"{name}": values[name] for name in self.fields}, **numbers, **reaction}
        found = self.op(**arguments)
        return [found] if isinstance(found, Tensor) else found

    def plain(self, *args: Any, **kwargs: Any) -> Any:
        """The same by torch's own operations, several passes over memory; for comparison."""
        with plain.only():
            return self(*args, **kwargs)

    def _check_named(self, what: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
        for name in given:
            if name not in known:
                raise ArgumentError(
                    f"{self._what} was given '{name}' for {what}; expected {list(known)}."
                    + nearest(str(name), known)
                )
        missing = [name for name in known if name not in given]
        if missing:
            raise ArgumentError(
                f"{self._what} was not given {missing} for {what}; expected {list(known)}."
            )

    def _check_number(self, what: str, given: Any, least: float | None = None) -> None:
        """Refuses what is no number; a tensor's numbers are its rows' own business."""
        if isinstance(given, (bool, str, bytes, Mapping)) or given is None:
            good = False
        elif isinstance(given, (int, float)):
            good = math.isfinite(given) and (least is None or given >= least)
        else:
            good = True
        if not good:
            raise ArgumentError(
                f"{self._what} was given {given!r} as {what}; expected a finite number"
                f"{'' if least is None else f', {least:g} or more,'} or a tensor (*batch,)."
            )

    def _per_axis(self, what: str, given: Any, spreads: bool) -> list[dict[str, Any]]:
        """For each axis, a number for each field."""
        if what == "velocity" and self.scheme == "none":
            if given is not None:
                raise ArgumentError(
                    f"{self._what} was given a velocity and has advection=None. Make it with "
                    "advection='central' or 'upwind'."
                )
            return []
        if given is None:
            raise ArgumentError(f"{self._what} was not given a {what}.")
        by_field = dict(given) if isinstance(given, Mapping) else dict.fromkeys(self.fields, given)
        self._check_named(what, by_field, self.fields)
        found: list[dict[str, Any]] = []
        for name, value in by_field.items():
            for number in value if isinstance(value, (tuple, list)) else (value,):
                self._check_number(f"{what} of '{name}'", number, least=0.0 if spreads else None)
        for axis in range(self.axes):
            found.append({})
            for name, value in by_field.items():
                if self.axes == 1:
                    found[axis][name] = value
                elif isinstance(value, (tuple, list)) and len(value) == 2:
                    found[axis][name] = value[axis]
                elif spreads and not isinstance(value, (tuple, list)):
                    found[axis][name] = value
                else:
                    raise ArgumentError(
                        f"{self._what} was given {what} {value!r}; expected a pair (x, y) of "
                        "tensors or numbers."
                    )
        return found

    def _widths(self, values: Mapping[str, Any], length: Any) -> list[Any]:
        """Widths of a cell along each axis."""
        if self.axes == 1:
            first = values[self.fields[0]]
            if len(getattr(first, "shape", ())) == 0:
                raise ShapeError(
                    f"{self._what} was given {type(first).__name__} as '{self.fields[0]}'; "
                    "expected a tensor (*batch, cells)."
                )
            return [_side(length, self._what) / first.shape[-1]]
        if not isinstance(length, (tuple, list)) or len(length) != 2:
            raise ArgumentError(
                f"{self._what} was given length {length!r}; expected a pair (x, y), the sides of "
                "the rectangle."
            )
        assert self.op.shape is not None
        lines, columns = self.op.shape
        sides = [_side(side, self._what) for side in length]
        return [sides[0] / columns, sides[1] / lines]

    def _number(self, side: str, field: str, given: Any, width: Any) -> Any:
        """A boundary's number as the kernel takes it; None where there is none."""
        kind = self.sides[side][field]
        value = given.get(field) if isinstance(given, Mapping) else given
        if kind == "periodic":
            if value is not None:
                raise ArgumentError(
                    f"{self._what} was given a number for {side} of '{field}', which is periodic."
                )
            return None
        if value is None:
            if kind in CLOSED:
                return 0.0
            raise ArgumentError(
                f"{self._what} was not given {side} of '{field}', the value at a 'dirichlet' "
                "boundary."
            )
        self._check_number(f"{side} of '{field}'", value)
        if kind == "dirichlet":
            return value
        return value * width if kind == "neumann" else value / width


def _side(length: Any, what: str) -> Any:
    """A side of the domain, refused where it is no number or not above 0."""
    other = isinstance(length, (str, tuple, list, bool)) or length is None
    if other or (isinstance(length, (int, float)) and not length > 0):
        raise ArgumentError(
            f"{what} was given length {length!r}; expected a number above 0 or a tensor (*batch,)."
        )
    return length


def transport(
    name: str,
    fields: str | Sequence[str],
    left: str | Mapping[str, str] = "neumann",
    right: str | Mapping[str, str] = "neumann",
    bottom: str | Mapping[str, str] = "neumann",
    top: str | Mapping[str, str] = "neumann",
    shape: tuple[int, int] | None = None,
    advection: str | None = None,
    reaction: Callable[..., Any] | None = None,
    sources: str | Sequence[str] = (),
) -> Transport:
    """Diffusion, advection and reaction as one field operation: one pass over memory a call.

    Finite volumes on equal cells, with the fluxes of each face seen alike by both of its cells, so
    that what the boundaries and the reaction do not change is conserved to rounding. Boundary
    values lie on faces, half a cell from the outer cells' centres. Second order in the width of a
    cell, but for ``advection="upwind"``, which is of first order.

    Central advection is of second order and oscillates where a front is steeper than the grid
    can show: keep the cell Peclet number |v| w / D below 2 (w the width of a cell). Upwind
    advection never oscillates at any Peclet number and adds the diffusivity |v| w / 2 of its own;
    its derivative by the velocity jumps where that changes its sign. An explicit method is stable
    for steps up to about 1 / (2 D / w^2) for Euler and 3.3 / (4 D / w^2) for tsit5, in each
    dimension together.

    Args:
        name: What errors call it.
        fields: Names of what is carried, one or more; each diffuses and moves by its own numbers.
        left, right, bottom, top: Kind of each boundary, for all fields or by name: "periodic",
            "dirichlet" (value given), "neumann" (outward slope given; advection carries the value
            at the face along) or "flux" (flux into the domain given). ``Transport.__call__`` has
            their numbers.
        shape: (ny, nx) cells of a rectangle, line by line; None for a line of any number of cells.
        advection: "central", "upwind" or None.
        reaction: A function in torch of any fields, ``sources`` and further names, elementwise; it
            returns the rate of the one field, or a dict of the rates of all. Followed once, and
            computed in the same pass with its derivatives. Further names are numbers a row.
        sources: Arguments of the reaction that have one number a cell, such as a heater's profile.

    Raises:
        ArgumentError: names, kinds or shapes that cannot be used.
        LoweringError: the reaction has no kernel; the text names the line.
    """
    what = f"transport '{name}'"
    if advection not in (None, "central", "upwind"):
        raise ArgumentError(
            f"{what} has advection={advection!r}; expected 'central', 'upwind' or None."
            + nearest(str(advection), ("central", "upwind"))
        )
    if shape is not None and not (
        isinstance(shape, (tuple, list))
        and len(shape) == 2
        and all(isinstance(n, int) and n > 0 for n in shape)
    ):
        raise ArgumentError(
            f"{what} has shape={shape!r}; expected (ny, nx), the whole numbers of lines and of "
            "cells in one, or None for a line."
        )
    carried, extra = names(fields), names(sources)
    given: dict[str, str | Mapping[str, str]] = {"left": left, "right": right}
    if shape is not None:
        given |= {"bottom": bottom, "top": top}
    sides = checked_sides(given, carried, what)
    scheme = advection or "none"
    assert scheme in SCHEMES
    asked = () if reaction is None else asked_names(reaction, f"the reaction of {what}")
    unused = [source for source in extra if source not in asked]
    if unused:
        raise ArgumentError(
            f"{what} has sources={list(extra)}, and its reaction does not ask for {unused}."
        )
    further = tuple(n for n in asked if n not in carried and n not in extra)
    op = transport_op(name, carried, sides, scheme, shape, reaction, extra, further)
    return Transport(name, carried, sides, scheme, extra, further, reaction, op)
