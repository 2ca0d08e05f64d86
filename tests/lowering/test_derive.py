"""Derivatives of programs against torch's forward mode."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

import twinml as tw
import twinml.library as library
from tests.lowering.models import OneFunction
from twinml.engines.stepper import prepare_forward_mode
from twinml.lowering import evaluate, lower
from twinml.lowering.derive import jacobian, tangent
from twinml.lowering.points import Points, sample
from twinml.lowering.program import OPERATIONS, Builder, Item, Pack, Program, Wide
from twinml.lowering.simplify import fused, simplified

prepare_forward_mode()  # else torch warns of itself
MODELS = [getattr(library, name) for name in library.__all__]


class Learned(tw.Physics):
    """A network beside a table and a switch."""

    x = tw.State("1", initial=0.3, size=3)
    z = tw.State("1", initial=0.2)
    u = tw.Input("1", default=0.4)

    def __init__(self, activation: type[torch.nn.Module]) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.net = torch.nn.Sequential(
            torch.nn.Linear(5, 12), activation(), torch.nn.Linear(12, 12), activation(),
            torch.nn.Linear(12, 3),
        ).double()  # fmt: skip
        self.register_buffer("knots", torch.tensor([-2.0, 0.0, 0.5, 3.0]).double())
        self.register_buffer("heights", torch.tensor([1.0, 0.5, 2.0, -1.0]).double())

    def rhs(self, t, x, z, u):
        inside = torch.cat([x, z[..., None], (t * u)[..., None]], dim=-1)
        cold = torch.where(z > 1.0, torch.sqrt(z - 1.0), z * x[..., 0])
        height = tw.interp(x[..., 1], self.knots, self.heights)
        return {"x": self.net(inside), "z": cold + height}


ACTIVATIONS = [torch.nn.Tanh, torch.nn.ReLU, torch.nn.Softplus, torch.nn.SiLU, torch.nn.GELU]


def along(model: tw.Physics, points: Points, moves: dict[str, np.ndarray]) -> np.ndarray:
    """Derivative of rhs in torch, (n, P), where time, states and inputs move so."""
    given = points.values
    with forward_ad.dual_level():
        rows = {}
        for kind, value in given.items():
            move = moves.get(kind, np.zeros_like(value))
            rows[kind] = forward_ad.make_dual(torch.tensor(value), torch.tensor(move))
        declared = model.declared
        named = {"t": rows["t"]}
        for name, part in declared.slices.items():
            block = rows["y"][part]
            named[name] = block[0] if declared.states[name].size is None else block.T
        named.update(zip(declared.parameters, rows["p"], strict=True))
        named.update(zip(declared.inputs, rows["u"], strict=True))
        found = forward_ad.unpack_dual(model.derivatives(named, rows["y"]))
        slope = found.tangent
        return (torch.zeros_like(found.primal) if slope is None else slope).detach().numpy()


def results(program: Program, values: dict, count: int) -> np.ndarray:
    return np.stack([np.broadcast_to(row, (count,)) for row in evaluate(program, values)])


def given(model: tw.Physics, points: Points) -> dict:
    weights = [weight.numpy() for weight in lower(model).read(torch.float64)]
    return {**points.values, "w": weights}


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    size = np.abs(expected).max(axis=-1, keepdims=True)
    return np.allclose(found, expected, rtol=1e-12, atol=0) or bool(
        (np.abs(found - expected) <= 1e-12 * size).all()
    )


@pytest.mark.parametrize(
    "model", [*(cls() for cls in MODELS), *(Learned(cls) for cls in ACTIVATIONS)],
    ids=[*library.__all__, *(cls.__name__ for cls in ACTIVATIONS)],
)  # fmt: skip
def test_jacobian_and_time_slope_are_those_of_torch(model):
    points, program = sample(model), lower(model).programs["rhs"]
    n, count = points.values["y"].shape
    derived = jacobian(program)
    du = np.random.default_rng(1).normal(size=points.values["u"].shape)
    values = {**given(model, points), "du": du}
    for form in (derived.program, fused(simplified(derived.program, absorb=True))):
        found = results(form, values, count)
        assert np.array_equal(found[:n], results(program, values, count))
        dense = np.zeros((n, n, count))
        for row, (i, j) in zip(found[n:], derived.pattern, strict=False):
            dense[i, j] = row
        for j in range(n):
            move = np.zeros((n, count))
            move[j] = 1.0
            assert close(dense[:, j], along(model, points, {"y": move})), j
        expected = along(model, points, {"t": np.ones(count), "u": du})
        assert close(found[n + len(derived.pattern) :], expected)


@pytest.mark.parametrize(
    "model", [library.BatteryEcm(), library.Robertson(), Learned(torch.nn.SiLU)]
)
def test_a_jacobian_may_be_derived_again(model):
    points, program = sample(model), lower(model).programs["rhs"]
    n, count = points.values["y"].shape
    derived = jacobian(program, inputs=())
    second = tangent(derived.program, ("dy",))
    dy = np.random.default_rng(2).normal(size=(n, count)) * points.values["y"]
    values = {**given(model, points), "dy": dy}
    found = results(second, values, count)[len(derived.program.outputs) :]
    step, sides = 1e-6, []
    for sign in (1.0, -1.0):
        moved = {**values, "y": points.values["y"] + sign * step * dy}
        sides.append(results(derived.program, moved, count))
    expected = (sides[0] - sides[1]) / (2 * step)
    assert np.allclose(found, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())


def one_operation(op: str, wide: bool) -> tuple[Program, int]:
    builder = Builder()
    args = [builder.symbol("y", i) for i in range(len(OPERATIONS[op].operands))]
    free = len(args)
    if op == "powi":
        args[1], free = builder.constant(3.0), 1
    if not wide:
        return builder.program([builder.apply(op, *args)]), free
    packs = [builder.add(Pack((place, place))) for place in args]
    if op == "powi":
        packs[1] = args[1]
    return builder.program([builder.add(Item(builder.add(Wide(op, tuple(packs), 2)), 1))]), free


RENAMED: dict[str, Callable] = {
    "sqrt0": tw.sqrt0, "softplus": torch.nn.functional.softplus, "silu": torch.nn.functional.silu,
    "gelu": torch.nn.functional.gelu, "powi": lambda x: torch.pow(x, 3.0),
    "fma": lambda a, b, c: a * b + c, "fms": lambda a, b, c: a * b - c,
    "fnma": lambda a, b, c: c - a * b,
}  # fmt: skip
POINTS = (-20.5, -2.0, -1.0, -0.5, -0.0, 0.0, 0.3, 0.5, 1.0, 1e-9, 5e-9, 1e-8, 2.0, 20.0, 21.0)


def slope_in_torch(op: str, points: np.ndarray, moves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    function = RENAMED.get(op) or getattr(torch, op)
    with forward_ad.dual_level():
        pairs = zip(torch.tensor(points), torch.tensor(moves), strict=True)
        value, slope = forward_ad.unpack_dual(function(*(forward_ad.make_dual(*p) for p in pairs)))
        return value.numpy(), np.zeros(value.shape) if slope is None else slope.numpy()


@pytest.mark.parametrize("wide", [False, True], ids=["real", "vector"])
@pytest.mark.parametrize(
    "op", [op for op, known in OPERATIONS.items() if set(known.operands) == {"r"}
           and known.result == "real"],
)  # fmt: skip
def test_every_operation_has_torchs_slope_at_its_kinks_too(op, wide):
    program, free = one_operation(op, wide)
    grid = POINTS if free < 3 else (-2.0, 0.0, 0.5)
    both = itertools.product(
        itertools.product(grid, repeat=free), itertools.product((0.0, 1.0, -0.7), repeat=free)
    )
    columns = np.array([[*point, *move] for point, move in both if any(move)]).T
    y, dy = columns[:free], columns[free:]
    value, expected = slope_in_torch(op, y, dy)
    found = results(tangent(program), {"y": y, "dy": dy}, y.shape[1])[1]
    asked = np.isfinite(value)
    if op in ("fmod", "remainder"):
        # torch divides before it takes the whole number, which rounds near the next one.
        asked &= np.abs(y[1]) > 1e-6
    if op == "pow" and wide:
        asked &= y[0] != 0.0  # nan where torch gives 0 for a varying exponent
    good = np.isclose(found, expected, rtol=1e-12, atol=1e-14 * wide, equal_nan=True)
    assert good[asked].all(), (y[:, asked & ~good], found[asked & ~good], expected[asked & ~good])


def test_an_infinite_slope_of_the_branch_not_taken_does_no_harm():
    def function(x, y, z):
        taken = torch.where(x > 0.0, torch.sqrt(x) + y * y, 3.0 * x + z)
        return taken + torch.maximum(torch.sqrt(y), y + 1.0)

    derived = jacobian(lower(OneFunction(function)).programs["rhs"])
    y = np.array([[0.0], [0.0], [0.5]])
    with np.errstate(all="ignore"):
        found = results(derived.program, {"t": np.zeros(1), "y": y}, 1)
    assert derived.pattern == ((0, 0), (0, 1), (0, 2))
    assert found[3:6, 0].tolist() == [3.0, 1.0, 1.0]


def test_entries_that_are_zero_by_structure_are_absent():
    derived = jacobian(lower(library.Robertson()).programs["rhs"])
    assert (2, 0) not in derived.pattern and (2, 2) not in derived.pattern
    assert derived.autonomous


def test_only_the_named_inputs_move():
    program = lower(library.CascadedTanks()).programs["rhs"]
    assert jacobian(program, inputs=()).autonomous
    assert not jacobian(program).autonomous


def test_a_seed_cannot_mean_two_things():
    program = lower(library.Robertson()).programs["rhs"]
    with pytest.raises(ValueError, match="dy"):
        tangent(tangent(program))
