"""Programs that are followed backward, against autograd, at random points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.lowering.adjoint import Pull, Wanted, pulled
from twinml.lowering.check import compare, report
from twinml.lowering.evaluate import evaluate
from twinml.lowering.lower import Lowered
from twinml.lowering.points import Points, named_values, sample, tensors_of
from twinml.lowering.program import Linear, Load, Program, Table
from twinml.lowering.version import members
from twinml.physics.model import Physics

Array = np.ndarray[Any, Any]

# Autograd adds up what cancels in the equation.
_TOLERANCE = 1e-9
# Torch rounds the derivative by a float32 tensor, whatever it was computed in.
_NARROW = 1e-5
# What was found right in this process.
_checked: set[tuple[str, tuple[tuple[int, ...], ...], Wanted]] = set()


def check_adjoint(model: Physics, lowered: Lowered, wanted: Wanted) -> None:
    """Compare what a right-hand side pulls back with what autograd does, once for equal programs.

    Where the value is not finite, or autograd gives nan, anything is right.

    Raises:
        LoweringError: the programs give another number.
    """
    key = (lowered.digest, tuple(ref.shape for ref in lowered.tensors), wanted)
    if key in _checked:
        return
    points = sample(model)
    if "rhs" not in points.expected:
        return  # of a header alone, whose rhs_jvp was compared with differences
    states = points.expected["rhs"].shape[0]
    program = lowered.followed()
    assert program is not None
    pull = pulled(program, states, wanted)
    random = np.random.default_rng(3)
    seeds = random.normal(size=points.expected["rhs"].shape)
    weights = [w.cpu().numpy() for w in lowered.read(torch.float64)]
    given: dict[str, Any] = {**points.values, "w": weights, "seed": seeds}
    try:
        with torch.inference_mode(False), torch.enable_grad():
            bars, tensors = _expected(points, lowered, wanted, given)
    except RuntimeError:
        return  # torch itself has no derivative
    kept = evaluate(pull.keep, given)
    given["kept"] = _flat(kept[states:], seeds.shape[1])
    free = np.isnan(bars) | ~np.isfinite(points.expected["rhs"]).all(0)
    main = Program(pull.pull.nodes, pull.pull.outputs[: pull.bars])
    compare(model, "what 'rhs' pulls back", main, given, bars, free)
    _compare_tensors(model, lowered, pull, given, tensors, free)
    _checked.add(key)


def _flat(blocks: Sequence[Array], points: int) -> Array:
    """All numbers one after another, (numbers, P)."""
    parts = [np.broadcast_to(np.atleast_1d(b), (*b.shape[:-1], points)) for b in blocks]
    parts = [part.reshape(-1, points) for part in parts]
    return np.concatenate(parts) if parts else np.zeros((0, points))


def _expected(
    points: Points, lowered: Lowered, wanted: Wanted, given: Mapping[str, Any]
) -> tuple[Array, dict[int, Array]]:
    """By states, wanted parameters and inputs, (bars, P), and by tensors, summed over points."""
    twin = points.twin
    rows = {kind: value.requires_grad_() for kind, value in tensors_of(twin, points.values).items()}
    held = {member.path: member.tensor for member in members(twin).values()}
    wanted_tensors = {number: held[lowered.tensors[number].path] for number in wanted.tensors}
    slopes = twin.derivatives(named_values(twin, rows), rows["y"])
    seeds = torch.from_numpy(given["seed"]).to(slopes.device)
    leaves: list[Tensor] = [rows["y"], rows["p"], rows["u"], *wanted_tensors.values()]
    total = (slopes * seeds).sum()
    found: Sequence[Tensor | None] = [None] * len(leaves)
    if total.requires_grad:
        found = torch.autograd.grad(total, leaves, allow_unused=True)
    arrays = [
        (torch.zeros_like(a) if g is None else g).detach().cpu().to(torch.float64).numpy()
        for a, g in zip(leaves, found, strict=True)
    ]
    y, p, u = arrays[:3]
    bars = [*y, *(p[i] for i in wanted.parameters), *(u[i] for i in wanted.inputs)]
    return np.stack(bars), dict(zip(wanted_tensors, arrays[3:], strict=True))


def _compare_tensors(
    model: Physics, lowered: Lowered, pull: Pull, given: Mapping[str, Any],
    expected: Mapping[int, Array], free: Array,
) -> None:  # fmt: skip
    if free.any():
        return
    exact = _sums(lowered, pull, given, None)
    random = np.random.default_rng(1)
    shaken = [_sums(lowered, pull, given, random) for _ in range(3)]
    for number, wanted in expected.items():
        value = exact[number].reshape(wanted.shape)
        with np.errstate(all="ignore"):
            narrow = lowered.tensors[number].tensor.dtype != torch.float64
            tolerance = _NARROW if narrow else _TOLERANCE
            slack = tolerance * np.abs(wanted).max(initial=0.0)
            good = (np.abs(value - wanted) <= slack) | np.isnan(value) | np.isnan(wanted)
            for other in shaken:
                apart = np.abs(other[number].reshape(wanted.shape) - value)
                good |= np.abs(value - wanted) <= 8 * apart
        if not good.all():
            what = f"what 'rhs' pulls back to '{lowered.tensors[number].path}'"
            row = int(np.flatnonzero(~good.ravel())[0])
            report(model, what, row, value[~good][0], wanted[~good][0])


def _sums(
    lowered: Lowered, pull: Pull, given: Mapping[str, Any], jitter: np.random.Generator | None
) -> dict[int, Array]:
    """Derivatives by tensors, flat, summed over all points."""
    points = given["seed"].shape[1]
    notes = _flat(evaluate(pull.pull, given, jitter)[pull.bars :], points)
    kept, weights = given["kept"], given["w"]
    found = {number: np.zeros(weights[number].size) for number in range(len(weights))}
    for share in pull.shares:
        match share.node:
            case Linear(inputs=inputs, outputs=outputs):
                g = notes[share.note : share.note + outputs]
                if share.weight is not None:
                    found[share.weight] += (g @ kept[share.kept : share.kept + inputs].T).ravel()
                if share.bias is not None:
                    found[share.bias] += g.sum(1)
            case Load(tensor=tensor, index=index):
                found[tensor][index] += notes[share.note].sum()
            case Table(knots=knots, values=values, size=size):
                x, g, at = notes[share.kept], notes[share.note], weights[knots]
                low = np.clip(np.searchsorted(at, x, side="right") - 1, 0, size - 2)
                part = np.clip((x - at[low]) / (at[low + 1] - at[low]), 0.0, 1.0)
                np.add.at(found[values], low, (1.0 - part) * g)
                np.add.at(found[values], low + 1, part * g)
    return found
