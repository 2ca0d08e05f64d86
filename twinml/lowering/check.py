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
    """

    values: Mapping[str, np.ndarray[Any, Any]]
    expected: Mapping[str, np.ndarray[Any, Any]]


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
    return Points(values, _expected(model, values))


def _expected(
    model: Physics, values: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    try:
        return _eager(model, values)
    except EquationError:
        # Layers in float32 that take no float64 input: kernels read weights in the state's dtype.
        if all(tensor.dtype != torch.float32 for tensor in model.state_dict().values()):
            raise
        twin = copy.deepcopy(model).double()
    return _eager(twin, values)


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
    return np.clip(np.concatenate([near, far]), low, high)


def _eager(
    model: Physics, values: Mapping[str, np.ndarray[Any, Any]]
) -> dict[str, np.ndarray[Any, Any]]:
    declared = model.declared
    device = next((tensor.device for tensor in model.parameters()), None)
    device = device or next((tensor.device for tensor in model.buffers()), torch.device("cpu"))
    rows = {kind: torch.from_numpy(array).to(device) for kind, array in values.items()}
    like = rows["y"]
    named: dict[str, Tensor] = {"t": rows["t"]}
    for name, part in declared.slices.items():
        block = like[part]
        named[name] = block[0] if declared.states[name].size is None else block.T
    named.update(zip(declared.parameters, rows["p"], strict=True))
    named.update(zip(declared.inputs, rows["u"], strict=True))
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


def check_values(
    model: Physics, programs: Mapping[str, Program], weights: Sequence[Tensor], points: Points
) -> None:
    """Compare every result of every program with the equations.

    The difference may be ``TOLERANCE`` of the value, or what a relative change of the arguments
    by about as much would make: differences of nearly equal numbers hold no more digits.

    Raises:
        LoweringError: a program gives another number; it names equation and result.
    """
    given = {**points.values, "w": [w.cpu().numpy() for w in weights]}
    moved = _moved(points.values)
    for name, program in programs.items():
        expected = points.expected[name]
        found = evaluate(program, given)
        nearby = [evaluate(program, {**given, **values}) for values in moved]
        for row, value in enumerate(found):
            value = np.broadcast_to(value, expected[row].shape)
            with np.errstate(all="ignore"):
                slack = TOLERANCE * np.abs(expected[row])
                for other in nearby:
                    slack = np.fmax(slack, 2 * np.abs(other[row] - value))
                good = np.abs(value - expected[row]) <= slack
            good |= value == expected[row]
            good |= np.isnan(value) & np.isnan(expected[row])
            if not good.all():
                _report(model, name, row, value[~good][0], expected[row][~good][0])


def _moved(values: Mapping[str, np.ndarray[Any, Any]]) -> list[dict[str, np.ndarray[Any, Any]]]:
    random = np.random.default_rng(1)
    return [
        {
            kind: array * (1.0 + TOLERANCE * random.choice([-1.0, 1.0], array.shape))
            for kind, array in values.items()
        }
        for _ in range(3)
    ]


def _report(model: Physics, name: str, row: int, found: float, expected: float) -> None:
    raise LoweringError(
        f"The kernel of {type(model).__name__} would compute {found:.17g} as result {row} of "
        f"'{name}', and the equation gives {expected:.17g}. An equation that asks for the dtype or "
        "for the number of rows, or that keeps values from call to call, cannot become a kernel; "
        'if it does none of these, this is a fault of twinml. engine="eager" runs it as it is.'
    )
