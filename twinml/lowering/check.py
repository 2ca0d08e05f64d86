"""Programs against the equations they come from, at random points."""

from __future__ import annotations

import copy
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from twinml.errors import EquationError, LoweringError
from twinml.lowering.derive import jacobian
from twinml.lowering.evaluate import evaluate
from twinml.lowering.program import Program
from twinml.physics.event_values import after_reset, guard_value
from twinml.physics.model import Physics

POINTS = 16
TOLERANCE = 1e-12


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
    rows = _tensors(model, values)
    named, like = _named(model, rows), rows["y"]
    found = {"rhs": model.derivatives(named, like)}
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


def _tensors(model: Physics, values: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Tensor]:
    """Points as tensors where the model lies."""
    device = next((tensor.device for tensor in model.parameters()), None)
    device = device or next((tensor.device for tensor in model.buffers()), torch.device("cpu"))
    return {kind: torch.from_numpy(array).to(device) for kind, array in values.items()}


def _named(model: Physics, rows: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Values by name, as equations take them."""
    declared = model.declared
    named: dict[str, Tensor] = {"t": rows["t"]}
    for name, part in declared.slices.items():
        block = rows["y"][part]
        named[name] = block[0] if declared.states[name].size is None else block.T
    named.update(zip(declared.parameters, rows["p"], strict=True))
    named.update(zip(declared.inputs, rows["u"], strict=True))
    return named


def check_values(
    model: Physics, programs: Mapping[str, Program], weights: Sequence[Tensor], points: Points
) -> None:
    """Compare every result of every program with the equations.

    Raises:
        LoweringError: a program gives another number; it names equation and result.
    """
    given = {**points.values, "w": [w.cpu().numpy() for w in weights]}
    for name, program in programs.items():
        _compare(model, f"'{name}'", program, given, points.expected[name])


def check_jacobian(model: Physics, rhs: Program, weights: Sequence[Tensor], points: Points) -> None:
    """Compare the derivative program of ``rhs`` with what autograd makes of the equation.

    Where autograd gives nan, as beside a branch that is not taken, anything is right.

    Raises:
        LoweringError: the program gives another slope.
    """
    random = np.random.default_rng(2)
    rates = random.normal(size=points.values["u"].shape)
    derived = jacobian(rhs)
    try:
        by_state, in_time = _autograd(points.twin, points.values, rates)
    except RuntimeError:
        return  # torch itself has no derivative, as of heaviside
    rows = [points.expected["rhs"][i] for i in range(derived.width)]
    rows += [by_state[i, j] for i, j in derived.pattern]
    rows += list(in_time)
    given = {**points.values, "du": rates, "w": [w.cpu().numpy() for w in weights]}
    _compare(model, "the Jacobian of 'rhs'", derived.program, given, np.stack(rows))
    missing = by_state.copy()
    for i, j in derived.pattern:
        missing[i, j] = 0.0
    for i, j in np.argwhere(np.nan_to_num(missing).any(-1)):
        worst = missing[i, j][np.nan_to_num(missing[i, j]) != 0][0]
        _report(model, f"the Jacobian of 'rhs' by state {j}", int(i), 0.0, worst)


def _autograd(
    model: Physics, values: Mapping[str, np.ndarray[Any, Any]], rates: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Slopes by states (n, n, P), and along time with inputs that rise by ``rates``, (n, P)."""
    rows = _tensors(model, values)
    leaves = [rows[kind].requires_grad_() for kind in ("y", "t", "u")]
    slopes = model.derivatives(_named(model, rows), rows["y"])
    width = slopes.shape[0]
    by_state, in_time = [], []
    for i in range(width):
        found: list[Tensor | None] = [None] * 3
        if slopes.requires_grad:
            found = list(torch.autograd.grad(
                slopes[i].sum(), leaves, retain_graph=i + 1 < width, allow_unused=True
            ))  # fmt: skip
        y, t, u = (
            torch.zeros_like(leaf) if grad is None else grad
            for leaf, grad in zip(leaves, found, strict=True)
        )
        by_state.append(y.cpu().numpy())
        in_time.append(t.cpu().numpy() + (u.cpu().numpy() * rates).sum(0))
    return np.stack(by_state), np.stack(in_time)


def _compare(
    model: Physics,
    what: str,
    program: Program,
    given: Mapping[str, Any],
    expected: np.ndarray[Any, Any],
) -> None:
    """The difference may be ``TOLERANCE`` of the value, or what a relative change of the arguments
    by about as much would make: differences of nearly equal numbers hold no more digits."""
    nearby = [evaluate(program, {**given, **values}) for values in _moved(given)]
    for row, value in enumerate(evaluate(program, given)):
        value = np.broadcast_to(value, expected[row].shape)
        with np.errstate(all="ignore"):
            slack = TOLERANCE * np.abs(expected[row])
            for other in nearby:
                slack = np.fmax(slack, 2 * np.abs(other[row] - value))
            good = np.abs(value - expected[row]) <= slack
        good |= value == expected[row]
        good |= np.isnan(expected[row]) & (np.isnan(value) | ("Jacobian" in what))
        if not good.all():
            _report(model, what, row, value[~good][0], expected[row][~good][0])


def _moved(given: Mapping[str, Any]) -> list[dict[str, np.ndarray[Any, Any]]]:
    random = np.random.default_rng(1)
    return [
        {
            kind: given[kind] * (1.0 + TOLERANCE * random.choice([-1.0, 1.0], given[kind].shape))
            for kind in ("t", "y", "p", "u")
        }
        for _ in range(3)
    ]


def _report(model: Physics, what: str, row: int, found: float, expected: float) -> None:
    raise LoweringError(
        f"The kernel of {type(model).__name__} would compute {found:.17g} as result {row} of "
        f"{what}, and the equation gives {expected:.17g}. An equation that asks for the dtype or "
        "for the number of rows, or that keeps values from call to call, cannot become a kernel; "
        'if it does none of these, this is a fault of twinml. engine="eager" runs it as it is.'
    )
