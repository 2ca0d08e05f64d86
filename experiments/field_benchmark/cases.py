"""The stencils, each as a field kernel and by torch's operations, and how exact both are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from run import Entry
from torch import Tensor

from twinml.fields import Transport, transport

SPREADING = transport("spreading", "u", left="periodic", right="periodic")


def grow(u: Tensor, k: Tensor) -> Tensor:
    return k * u * (1.0 - u)


REACTING = transport(
    "reacting", "u", left="dirichlet", right="neumann", advection="central", reaction=grow
)


def plate(side: int) -> Transport:
    """The same on a square."""
    return transport(
        "plate", "u", left="dirichlet", right="neumann", bottom="neumann", top="dirichlet",
        shape=(side, side), advection="central", reaction=grow,
    )  # fmt: skip


def ring_by_torch(u: Tensor, d: Tensor) -> Tensor:
    """What one writes first: two rolls."""
    cells = u.shape[-1]
    scale = (d * cells * cells).unsqueeze(-1)
    return scale * (u.roll(1, -1) - 2.0 * u + u.roll(-1, -1))


def entries(sizes: Sequence[int]) -> list[Entry]:
    """Every case, task and contestant; all are called once, and compared with float128."""
    found: list[Entry] = []
    for cells in sizes:
        for rows in (1, 64) if cells <= 10_000 else (1,):
            found += _case("diffusion 1-D", _spreading, cells, rows)
            found += _case("advection-diffusion-reaction 1-D", _reacting, cells, rows)
            side = round(cells**0.5)
            found += _case("advection-diffusion-reaction 2-D", _plate, side * side, rows)
    return found


def _spreading(plain: bool, u: Tensor, d: Tensor) -> Tensor:
    return ring_by_torch(u, d) if plain else SPREADING(u, 1.0, d)


def _reacting(plain: bool, u: Tensor, d: Tensor) -> Tensor:
    op = REACTING.plain if plain else REACTING
    return op(u, 1.0, d, velocity=0.5, left=1.0, k=2.0)


_plates: dict[int, Transport] = {}


def _plate(plain: bool, u: Tensor, d: Tensor) -> Tensor:
    side = round(u.shape[-1] ** 0.5)
    if side not in _plates:
        _plates[side] = plate(side)
    op = _plates[side]
    run = op.plain if plain else op
    return run(u, (1.0, 1.0), d, velocity=(0.5, 0.25), left=1.0, top=0.5, k=2.0)


def _case(name, function, cells: int, rows: int) -> list[Entry]:
    generator = torch.Generator().manual_seed(cells + rows)
    u = torch.rand(rows, cells, generator=generator, dtype=torch.float64)
    d = 0.5 + torch.rand(rows, generator=generator, dtype=torch.float64)
    seed = torch.rand(rows, cells, generator=generator, dtype=torch.float64)
    wanted, wanted_gradient = _exact(function, u, d, seed)
    made: list[Entry] = []
    for contestant, plain in (("twinml", False), ("torch", True)):

        def forward(plain: bool = plain) -> Tensor:
            with torch.no_grad():
                return function(plain, u, d)

        def both(plain: bool = plain) -> tuple[Tensor, ...]:
            leaves = u.clone().requires_grad_(), d.clone().requires_grad_()
            return torch.autograd.grad(function(plain, *leaves), leaves, seed)

        error = _error([forward()], wanted)
        made.append(Entry(name, "forward", contestant, rows, cells, forward, error))
        error = _error(both(), wanted_gradient)
        made.append(Entry(name, "forward and vjp", contestant, rows, cells, both, error))
    return made


def _error(found: Sequence[Tensor], wanted: Sequence[np.ndarray]) -> float:
    """Largest difference in units of the largest value, over all tensors."""
    return max(
        float(np.abs(f.detach().numpy() - w).max() / np.abs(w).max())
        for f, w in zip(found, wanted, strict=True)
    )


def _exact(function, u: Tensor, d: Tensor, seed: Tensor):
    """Values and gradients in extended precision, of the formulas written out once more."""
    from exact import gradient, rate

    dimensions, moving = (2, True) if function is _plate else (1, function is _reacting)
    a, b, c = (x.numpy().astype(np.longdouble) for x in (u, d, seed))
    return [rate(a, b, dimensions, moving)], gradient(a, b, c, dimensions, moving)
