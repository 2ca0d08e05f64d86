"""The stencils and their derivatives in numpy's extended precision, cell by cell of a face."""

from __future__ import annotations

import numpy as np

Array = np.ndarray


def _number(x: float) -> np.longdouble:
    return np.longdouble(x)


def rate(u: Array, d: Array, dimensions: int, moving: bool) -> Array:
    """Rates of change, (rows, cells)."""
    if dimensions == 1:
        faces = _faces(u, d, u.shape[1], moving, 0)
        total = faces[:, :-1] - faces[:, 1:]
    else:
        n = round(u.shape[1] ** 0.5)
        grid = u.reshape(-1, n, n)
        x = _faces(grid, d[:, None], n, True, 0)
        y = np.swapaxes(_faces(np.swapaxes(grid, 1, 2), d[:, None], n, True, 1), 1, 2)
        total = (x[..., :-1] - x[..., 1:] + y[:, :-1] - y[:, 1:]).reshape(u.shape)
    return total + _number(2) * u * (1 - u) if moving else total


def _faces(u: Array, d: Array, n: int, moving: bool, axis: int) -> Array:
    """Fluxes through all faces of the last axis, over the width of a cell."""
    s = (d * n * n)[..., None]
    if not moving:
        wide = np.concatenate([u[..., -1:], u, u[..., :1]], -1)
        return s * (wide[..., :-1] - wide[..., 1:])
    a = _number(0.5 if axis == 0 else 0.25) * n
    inner = s * (u[..., :-1] - u[..., 1:]) + a * (u[..., :-1] + u[..., 1:]) / 2
    first, last = u[..., :1], u[..., -1:]
    if axis == 0:  # value 1 at the left, no slope at the right
        low, high = a + 2 * s * (1 - first), a * last
    else:  # no slope at the bottom, value 0.5 at the top
        low, high = a * first, a / 2 + 2 * s * (last - _number(0.5))
    return np.concatenate([low, inner, high], -1)


def gradient(u: Array, d: Array, seed: Array, dimensions: int, moving: bool) -> list[Array]:
    """Products of ``seed`` with the derivatives by u and d.

    Rates are linear in u but for the reaction, and linear in d: both derivatives are differences
    of the linear part, taken where they are exact.
    """
    by_d = ((rate(u, d + 1, dimensions, moving) - rate(u, d, dimensions, moving)) * seed).sum(-1)
    return [_transposed(u, d, seed, dimensions, moving), by_d]


def _transposed(u: Array, d: Array, seed: Array, dimensions: int, moving: bool) -> Array:
    """Each cell feels itself and its neighbours: derivatives by unit steps of every third."""
    zero = np.zeros_like(u)
    if not moving:
        return _ring(seed, d, u.shape[1])
    still = rate(zero, d, dimensions, True)
    total = np.zeros_like(u)
    n = u.shape[1] if dimensions == 1 else round(u.shape[1] ** 0.5)
    index = np.arange(u.shape[1])
    x, y = index % n, index // n
    for color_x in range(3):
        for color_y in range(3 if dimensions == 2 else 1):
            mine = (x % 3 == color_x) & (y % 3 == color_y if dimensions == 2 else True)
            step = mine.astype(u.dtype)[None] + zero
            # the reaction of a unit step, 2 u (1 - u) at u = 1, is zero
            slope = (rate(step, d, dimensions, moving) - still) * seed
            total += _gathered(slope, mine, n, dimensions)
    return total + seed * _number(2) * (1 - 2 * u)


def _gathered(slope: Array, mine: Array, n: int, dimensions: int) -> Array:
    """Sum over each marked cell and its neighbours, put at the marked cell."""
    if dimensions == 1:
        wide = np.pad(slope, ((0, 0), (1, 1)))
        return np.where(mine, wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:], 0)
    grid = np.pad(slope.reshape(-1, n, n), ((0, 0), (1, 1), (1, 1)))
    around = (
        grid[:, 1:-1, 1:-1] + grid[:, :-2, 1:-1] + grid[:, 2:, 1:-1] + grid[:, 1:-1, :-2]
        + grid[:, 1:-1, 2:]
    )  # fmt: skip
    return np.where(mine, around.reshape(slope.shape), 0)


def _ring(seed: Array, d: Array, n: int) -> Array:
    """The ring's matrix is symmetric."""
    return _faces(seed, d, n, False, 0)[:, :-1] - _faces(seed, d, n, False, 0)[:, 1:]
