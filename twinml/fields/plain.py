"""A transport operation by torch's own operations: what its kernel computes, in several passes.

It is what units are followed through, what models of few cells are lowered from, and what kernels
are compared with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import torch

from twinml.fields.boundary import SIDES

if TYPE_CHECKING:
    from twinml.fields.transport import Transport

_wanted: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def only() -> Iterator[None]:
    """No kernels while it lasts."""
    before = _wanted.set(True)
    try:
        yield
    finally:
        _wanted.reset(before)


def wanted() -> bool:
    """Whether kernels are to be left out."""
    return _wanted.get()


def rates(
    transport: Transport,
    values: Mapping[str, Any],
    numbers: Mapping[str, Any],
    reaction: Mapping[str, Any],
) -> list[Any]:
    """Rates of each field, (*batch, cells); numbers as the kernel takes them."""
    found: list[Any] = []
    for name in transport.fields:
        total = None
        for axis in range(transport.axes):
            part = _along(transport, name, axis, values[name], numbers)
            total = part if total is None else total + part
        found.append(total)
    if transport.reaction is None:
        return found
    per_cell = {**values, **reaction}
    asked = {
        name: _spread(per_cell[name]) if name in transport.coefficients else per_cell[name]
        for name in (*transport.fields, *transport.sources, *transport.coefficients)
        if name in transport.asked
    }
    made = transport.reaction(**asked)
    if not isinstance(made, Mapping):
        made = {transport.fields[0]: made}
    return [f + made[name] for f, name in zip(found, transport.fields, strict=True)]


def _spread(number: Any) -> Any:
    """A number a row, for all cells of it."""
    return number if isinstance(number, (int, float)) else number.unsqueeze(-1)


def _along(
    transport: Transport, name: str, axis: int, field: Any, numbers: Mapping[str, Any]
) -> Any:
    """Inflow less outflow along one axis."""
    low, high = SIDES[2 * axis : 2 * axis + 2]
    d = _spread(numbers[f"d{axis}_{name}"])
    a = None if transport.scheme == "none" else _spread(numbers[f"a{axis}_{name}"])
    u, dim = field, -1
    if transport.op.shape is not None:
        lines, columns = transport.op.shape
        u = field.reshape(*field.shape[:-1], lines, columns)
        dim = -1 - axis
        d = d if isinstance(d, (int, float)) else d.unsqueeze(-1)
        a = a.unsqueeze(-1) if a is not None and not isinstance(a, (int, float)) else a
    count = u.shape[dim]
    first, last = u.narrow(dim, 0, 1), u.narrow(dim, count - 1, 1)
    if transport.sides[low][name] == "periodic":
        # The face before the first cell is the one behind the last.
        wide = torch.cat([last, u, first], dim)
        faces = _inner(transport.scheme, a, d, wide.narrow(dim, 0, count + 1),
                       wide.narrow(dim, 1, count + 1))  # fmt: skip
    else:
        ends = []
        for side, inside, sign in ((low, first, -1.0), (high, last, 1.0)):
            number = _spread(numbers[f"{side}_{name}"])
            if transport.op.shape is not None and not isinstance(number, (int, float)):
                number = number.unsqueeze(-1)
            outward = a if a is None or sign > 0 else -a
            kind = transport.sides[side][name]
            flux = _outer(kind, transport.scheme, outward, d, inside, number)
            ends.append(flux * sign)
        between = []
        if count > 1:
            before, after = u.narrow(dim, 0, count - 1), u.narrow(dim, 1, count - 1)
            between = [_inner(transport.scheme, a, d, before, after)]
        faces = torch.cat([ends[0], *between, ends[1]], dim)
    rate = faces.narrow(dim, 0, count) - faces.narrow(dim, 1, count)
    return rate if transport.op.shape is None else rate.reshape(field.shape)


def _inner(scheme: str, a: Any, d: Any, before: Any, after: Any) -> Any:
    spread = d * (before - after)
    if scheme == "none":
        return spread
    if scheme == "upwind":
        return a * torch.where(_positive(a, before), before, after) + spread
    return a * (0.5 * (before + after)) + spread


def _outer(kind: str, scheme: str, a: Any, d: Any, inside: Any, number: Any) -> Any:
    """Flux out of the domain; ``a`` counts outward."""
    nothing = inside - inside  # in the shape and the unit of the field
    if kind == "flux":
        return d * nothing - number
    if kind == "neumann":
        spread = d * (nothing - number)
        return spread if scheme == "none" else a * (inside + 0.5 * number) + spread
    spread = d * (2.0 * (inside - number))
    if scheme == "none":
        return spread
    if scheme == "upwind":
        return a * torch.where(_positive(a, inside), inside, number + nothing) + spread
    return a * number + spread


def _positive(a: Any, like: Any) -> Any:
    if isinstance(a, (int, float)):
        return torch.full_like(like, float(a > 0)) > 0.5
    return a > 0.0
