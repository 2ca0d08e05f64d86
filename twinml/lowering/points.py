"""Random points and what a model's equations give there, by torch alone."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from twinml.errors import EquationError
from twinml.physics.event_values import after_reset, guard_value
from twinml.physics.kernel_physics import KernelPhysics, has_twin
from twinml.physics.model import Physics

POINTS = 16


@final
@dataclass(frozen=True)
class Points:
    """Random points and the equations' values there.

    Args:
        values: Arrays by kind of symbol, "t" (P,), "y", "p", "u" (n, P).
        expected: Results by name of program, (results, P).
        twin: The model, or a copy of it in float64, that gave them.
    """

    values: Mapping[str, np.ndarray[Any, Any]]
    expected: Mapping[str, np.ndarray[Any, Any]]
    twin: Physics


def sample(model: Physics) -> Points:
    """``POINTS`` points near the defaults and within the bounds, the same for equal declarations.

    Raises:
        ShapeError, EquationError: an equation does not return what it should.
    """
    declared = model.declared
    random = np.random.default_rng(zlib.crc32(type(model).__qualname__.encode()))
    states = [
        row
        for state in declared.states.values()
        for row in [_inside(random, state.initial, state.low, state.high)
                    for _ in range(state.width)]
    ]  # fmt: skip
    parameters = [
        _inside(random, model.default(name), parameter.low, parameter.high)
        for name, parameter in declared.parameters.items()
    ]
    inputs = [_inside(random, model.default(name), None, None) for name in declared.inputs]
    values = {
        "t": random.uniform(0.0, 10.0, POINTS),
        "y": _rows(states),
        "p": _rows(parameters),
        "u": _rows(inputs),
    }
    try:
        return Points(values, _eager(model, values), model)
    except EquationError:
        # Layers in float32 that take no float64 input: kernels read weights in the state's dtype.
        if all(tensor.dtype != torch.float32 for tensor in model.state_dict().values()):
            raise
        twin = copy.deepcopy(model).double()
    return Points(values, _eager(twin, values), twin)


def _rows(rows: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    return np.stack(rows) if rows else np.zeros((0, POINTS))


def _inside(
    random: np.random.Generator, middle: float | None, low: float | None, high: float | None
) -> np.ndarray[Any, Any]:
    """Half of the points near the middle, half over the bounds or an order of magnitude."""
    if middle is None:
        middle = low + 1.0 if low is not None else 1.0
    size = abs(middle) or 1.0
    near = middle + 0.1 * size * random.uniform(-1, 1, POINTS // 2)
    bottom = low if low is not None else middle - 3 * size
    top = high if high is not None else middle + 3 * size
    if low is not None and high is not None and low > 0 and high > 100 * low:
        far = np.exp(random.uniform(np.log(low), np.log(high), POINTS - POINTS // 2))
    else:
        far = random.uniform(bottom, top, POINTS - POINTS // 2)
    points = np.concatenate([near, far])
    # Folded back inside: equations may have kinks at their bounds.
    if low is not None:
        points = low + np.abs(points - low)
    if high is not None:
        points = high - np.abs(high - points)
    return np.clip(points, low, high)


def _eager(
    model: Physics, values: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    declared = model.declared
    rows = tensors_of(model, values)
    named, like = named_values(model, rows), rows["y"]
    found = {}
    if not isinstance(model, KernelPhysics) or has_twin(model):
        found["rhs"] = model.derivatives(named, like)
    if declared.outputs:
        found["outputs"] = torch.stack(list(model.observe(named, like).values()))
    if model.has_noise:
        found["noise"] = model.noise_coefficients(named, like)
    if declared.events:
        guards = [guard_value(model, name, named, like) for name in declared.events]
        found["guards"] = torch.stack(guards)
    for number, (name, event) in enumerate(declared.events.items()):
        if event.action is not None:
            found[f"reset_{number}"] = after_reset(model, name, named, like)
    return {name: value.detach().cpu().numpy() for name, value in found.items()}


def tensors_of(model: Physics, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Tensor]:
    """Points as tensors where the model lies."""
    device = next((tensor.device for tensor in model.parameters()), None)
    device = device or next((tensor.device for tensor in model.buffers()), torch.device("cpu"))
    return {kind: torch.from_numpy(array).to(device) for kind, array in values.items()}


def named_values(model: Physics, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values by name, as equations take them."""
    declared = model.declared
    named: dict[str, Tensor] = {"t": rows["t"]}
    for name, part in declared.slices.items():
        block = rows["y"][part]
        named[name] = block[0] if declared.states[name].size is None else block.T
    named.update(zip(declared.parameters, rows["p"], strict=True))
    named.update(zip(declared.inputs, rows["u"], strict=True))
    return named


def _leaves(model: Physics, given: Mapping[str, Any]) -> tuple[list[Tensor], Tensor]:
    """Time, states and inputs that can be derived by, and the slopes (n, P)."""
    rows = tensors_of(model, {kind: given[kind] for kind in ("t", "y", "p", "u")})
    leaves = [rows[kind].requires_grad_() for kind in ("t", "y", "u")]
    return leaves, model.derivatives(named_values(model, rows), rows["y"])


def _gradients(
    value: Tensor, leaves: Sequence[Tensor], seed: Tensor, **options: Any
) -> list[Tensor]:
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if value.requires_grad:
        # Without grad_outputs, which would have torch import sympy for half a second.
        found = torch.autograd.grad((value * seed).sum(), leaves, allow_unused=True, **options)
    return [torch.zeros_like(a) if g is None else g for a, g in zip(leaves, found, strict=True)]


def entries(
    model: Physics, given: Mapping[str, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Slopes by states (n, n, P), and along time with inputs that rise by ``du``, (n, P)."""
    leaves, slopes = _leaves(model, given)
    by_state, in_time = [], []
    for row in slopes:
        t, y, u = _gradients(row, leaves, torch.ones_like(row), retain_graph=True)
        by_state.append(y.cpu().numpy())
        in_time.append(t.cpu().numpy() + (u.cpu().numpy() * given["du"]).sum(0))
    return np.stack(by_state), np.stack(in_time)


def along(model: Physics, given: Mapping[str, Any]) -> np.ndarray[Any, Any]:
    """Slopes along one direction, (n, P): the gradient by the seed of a gradient."""
    leaves, slopes = _leaves(model, given)
    seed = torch.zeros_like(slopes).requires_grad_()
    gradients = _gradients(slopes, leaves, seed, create_graph=True)
    total = torch.zeros_like(slopes)
    for gradient, kind in zip(gradients, ("dt", "dy", "du"), strict=True):
        direction = torch.from_numpy(given[kind]).to(slopes.device)
        total = total + _gradients(gradient, [seed], direction, retain_graph=True)[0]
    return total.detach().cpu().numpy()
