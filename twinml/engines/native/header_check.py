"""A user's header against its twin in torch, and its ``rhs_jvp`` against either.

Both are evaluated at random points, once for what both say. A header with neither twin nor
``rhs_jvp`` is only asked whether it sets every rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.engines.native.header_call import HeaderCall, header_call
from twinml.errors import KernelError
from twinml.lowering import Lowered, evaluate
from twinml.lowering.points import Points, sample
from twinml.lowering.program import Call
from twinml.physics.kernel_physics import KernelPhysics, has_twin, kernel_source

TOLERANCE = 1e-12
# Differences of step 1e-4 and order 4 leave about so much of the terms they are made of.
_DIFFERENCE = 1e-7
_STEP = 1e-4
# What a rate that was not set is found by.
_UNSET = 8.7453e171

_checked: set[str] = set()


def check_header(model: KernelPhysics, lowered: Lowered | None = None) -> None:
    """Compile a header and compare it with what it must agree with, once for what both say.

    Args:
        model: The model.
        lowered: Its programs; None where there is no twin and the rest need not be lowered.

    Raises:
        KernelError: it does not compile, leaves a rate unset, or disagrees.
        NoCompilerError, CompileError: it cannot be compiled here.
    """
    digest = kernel_source(model).digest if lowered is None else lowered.digest
    key = f"{type(model).__qualname__} {digest}"
    if key in _checked:
        return
    call = header_call(model)
    points = sample(model)
    point = tuple(torch.from_numpy(np.ascontiguousarray(points.values[k])) for k in "typu")
    value = call(point)
    _check_set(model, "rhs", call(point, _UNSET))
    if lowered is not None and "rhs" in points.expected:
        given = {**points.values, "w": [w.cpu().numpy() for w in lowered.read(torch.float64)]}
        _check_twin(model, lowered, points, given, value.numpy())
    if call.jvp:
        _check_jvp(model, call, point)
    _checked.add(key)


def _check_set(model: KernelPhysics, function: str, found: Tensor) -> None:
    for row, name in enumerate(_components(model)):
        if bool((found[row] == _UNSET).all()):
            raise KernelError(
                f"{function} of {_file(model)} does not set d.{name}; expected the rate of every "
                f"state of {type(model).__name__}. Add d.{name} = ...; Real(0.0) where it stands "
                "still."
            )


def _check_twin(
    model: KernelPhysics, lowered: Lowered, points: Points, given: dict[str, Any], found: np.ndarray
) -> None:
    """Each component against the torch equation; rounding of its own arithmetic is allowed."""
    expected = points.expected["rhs"]
    with np.errstate(all="ignore"):
        slack = TOLERANCE * np.abs(expected) + _rounding(lowered, given, expected)
        good = (np.abs(found - expected) <= slack) | (found == expected)
    good |= np.isnan(found) & np.isnan(expected)
    for row, place in np.argwhere(~good):
        name = _components(model)[row]
        where = _where(model, points, int(place))
        raise KernelError(
            f"The two forms of rhs of {type(model).__name__} disagree on the rate of '{name}': "
            f"{_file(model)} gives {found[row, place]:.17g} and the method in torch "
            f"{expected[row, place]:.17g}, at {where}. One of them is wrong: correct it, or remove "
            "the method."
        )


def _rounding(lowered: Lowered, given: dict[str, Any], expected: np.ndarray) -> np.ndarray:
    """How far results move when every operation of the twin is off by its last digits."""
    (call,) = (n for n in lowered.programs["rhs"].nodes if isinstance(n, Call))
    if call.twin is None:
        return np.full_like(expected, TOLERANCE * np.nanmax(np.abs(expected), initial=0.0))
    random = np.random.default_rng(1)
    exact = [np.broadcast_to(v, expected[0].shape) for v in evaluate(call.twin, given)]
    moved = [evaluate(call.twin, given, random) for _ in range(3)]
    return np.stack(
        [8 * np.max([np.abs(m[i] - row) for m in moved], axis=0) for i, row in enumerate(exact)]
    )


def _check_jvp(model: KernelPhysics, call: HeaderCall, point: tuple[Tensor, ...]) -> None:
    """``rhs_jvp`` along each argument, and along all at once, against differences of ``rhs``."""
    expected = call(point)
    for name, direction, size in _directions(model, point):
        found = call((*point, *direction))
        _check_set(model, "rhs_jvp", call((*point, *direction), _UNSET))
        slopes, doubt = _differences(call, point, direction)
        plain = torch.isfinite(expected) & torch.isfinite(slopes) & torch.isfinite(found)
        lost = torch.isfinite(expected) & torch.isfinite(slopes) & ~torch.isfinite(found)
        wrong = (plain & ~((found - slopes).abs() <= doubt)) | lost
        for row, place in wrong.nonzero().tolist():
            raise KernelError(
                f"rhs_jvp of {_file(model)} is wrong: the derivative of the rate of "
                f"'{_components(model)[row]}' {name} is "
                f"{float(found[row, place] / size[place]):.9g} by it and "
                f"{float(slopes[row, place] / size[place]):.9g} by differences of rhs, at t = "
                f"{float(point[0][place]):.6g}, states {_listed(point[1][:, place])}, parameters "
                f"{_listed(point[2][:, place])}. Correct it, or write rhs in torch beside it."
            )


def _differences(
    call: HeaderCall, point: tuple[Tensor, ...], direction: tuple[Tensor, ...]
) -> tuple[Tensor, Tensor]:
    """Derivative along a direction by differences of order 4, and what it may be off by.

    The doubt covers rounding, and where the two step sizes disagree, as beside a kink.
    """

    def at(share: float) -> Tensor:
        moved = (p + share * _STEP * d for p, d in zip(point, direction, strict=True))
        return call(tuple(moved))

    near, far, half = at(1.0) - at(-1.0), at(2.0) - at(-2.0), at(0.5) - at(-0.5)
    slope = (8.0 * near - far) / (12.0 * _STEP)
    other = (8.0 * half - near) / (6.0 * _STEP)
    size = torch.stack([at(s).abs() for s in (-2.0, 2.0)]).amax(0)
    rounding = 64 * torch.finfo(size.dtype).eps * size / _STEP
    return other, _DIFFERENCE * other.abs() + rounding + 4.0 * (slope - other).abs()


def _directions(
    model: KernelPhysics, point: tuple[Tensor, ...]
) -> Iterator[tuple[str, tuple[Tensor, ...], Tensor]]:
    """Each argument by itself, in steps of its own size, then all together; with these sizes."""
    declared = model.declared
    names = [["t"], _components(model), list(declared.parameters), list(declared.inputs)]
    sizes = [p.abs().clamp(min=1e-3) for p in point]
    for group, named in enumerate(names):
        for row, name in enumerate(named):
            direction = [torch.zeros_like(part) for part in point]
            size = sizes[group] if group == 0 else sizes[group][row]
            (direction[0] if group == 0 else direction[group][row]).copy_(size)
            yield f"by '{name}'", tuple(direction), size
    random = torch.Generator().manual_seed(0)
    yield (
        "along a direction of all arguments",
        tuple(s * (2 * torch.rand(s.shape, generator=random, dtype=s.dtype) - 1) for s in sizes),
        torch.ones_like(sizes[0]),
    )


def _components(model: KernelPhysics) -> list[str]:
    return [
        name if state.size is None else f"{name}[{i}]"
        for name, state in model.declared.states.items()
        for i in range(state.width)
    ]


def _where(model: KernelPhysics, points: Points, place: int) -> str:
    values = points.values
    parts = [f"t={values['t'][place]:.6g}"]
    parts += [f"{n}={values['y'][i][place]:.6g}" for i, n in enumerate(_components(model))]
    for kind, names in (("p", model.declared.parameters), ("u", model.declared.inputs)):
        parts += [f"{n}={values[kind][i][place]:.6g}" for i, n in enumerate(names)]
    return ", ".join(parts)


def _listed(values: Tensor) -> str:
    return "[" + ", ".join(f"{v:.6g}" for v in values.tolist()) + "]"


def _file(model: KernelPhysics) -> str:
    return str(next(iter(kernel_source(model).files.values())))


def header_for(model: KernelPhysics, dtype: torch.dtype) -> HeaderCall | None:
    """What the eager engine evaluates; None where a twin is there.

    Raises:
        KernelError: the header cannot be used.
        NoCompilerError, CompileError: it cannot be compiled here.
    """
    if has_twin(model):
        return None
    check_header(model)
    return header_call(model, 64 if dtype == torch.float64 else 32)
