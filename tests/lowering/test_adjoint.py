"""What programs pull back, against torch's reverse mode."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import twinml as tw
import twinml.library as library
from tests.lowering.models import Hybrid, OneFunction
from tests.lowering.test_derive import ACTIVATIONS, POINTS, RENAMED, Learned, one_operation
from twinml.errors import LoweringError
from twinml.lowering import check_adjoint as check
from twinml.lowering import evaluate, lower, slopes
from twinml.lowering.adjoint import Wanted, pulled
from twinml.lowering.adjoint_text import pull_text
from twinml.lowering.program import OPERATIONS, Linear, Program, operands


def everything(model: tw.Physics) -> Wanted:
    declared = model.declared
    tensors = [
        number
        for number, ref in enumerate(lower(model).tensors)
        if isinstance(ref.tensor, torch.nn.Parameter)
    ]
    return Wanted(
        tuple(range(len(declared.parameters))), tuple(range(len(declared.inputs))), tuple(tensors)
    )


def pulled_back(program: Program, y: np.ndarray, seed: np.ndarray) -> np.ndarray:
    """Derivatives by the states, (n, P)."""
    states, count = y.shape
    pull = pulled(program, states, Wanted())
    kept = [np.broadcast_to(k, (*k.shape[:-1], count)).reshape(-1, count)
            for k in evaluate(pull.keep, {"y": y})[len(program.outputs) :]]  # fmt: skip
    given = {"y": y, "seed": seed, "kept": np.concatenate([np.zeros((0, count)), *kept])}
    found = evaluate(pull.pull, given)[:states]
    return np.stack([np.broadcast_to(row, (count,)) for row in found])


@pytest.mark.parametrize("wide", [False, True], ids=["real", "vector"])
@pytest.mark.parametrize(
    "op", [op for op, known in OPERATIONS.items() if set(known.operands) == {"r"}
           and known.result == "real"],
)  # fmt: skip
def test_every_operation_pulls_back_as_torch_does_at_its_kinks_too(op, wide):
    program, free = one_operation(op, wide)
    grid = POINTS if free < 3 else (-2.0, 0.0, 0.5)
    y = np.array(list(itertools.product(grid, repeat=free))).T
    seed = np.random.default_rng(0).normal(size=(1, y.shape[1]))
    function = RENAMED.get(op) or getattr(torch, op)
    leaves = [torch.tensor(row, requires_grad=True) for row in y]
    value = function(*leaves)
    expected = np.zeros_like(y)
    if value.requires_grad:
        found = torch.autograd.grad(value, leaves, torch.tensor(seed[0]), allow_unused=True)
        for row, gradient in zip(expected, found, strict=True):
            row[:] = 0.0 if gradient is None else gradient.numpy()
    asked = np.isfinite(value.detach().numpy())
    if op in ("fmod", "remainder"):
        # torch divides before it takes the whole number, which rounds near the next one.
        asked &= np.abs(y[1]) > 1e-6
    if op == "pow" and wide:
        asked &= y[0] != 0.0  # nan where torch gives 0 for a varying exponent
    if wide:
        # The other element's nothing meets the infinite slope, as it does in torch.
        asked &= np.isfinite(expected).all(0)
        asked &= (np.abs(y) > 0).any(0) if op == "atan2" else True
    got = pulled_back(program, y, seed)
    for mine, torchs in zip(got, expected, strict=True):
        near = np.isclose(mine, torchs, rtol=1e-12, atol=1e-14 * wide, equal_nan=True)
        assert near[asked].all(), (y[:, asked & ~near], mine[asked & ~near], torchs[asked & ~near])


@pytest.mark.parametrize(
    "model", [*(getattr(library, name)() for name in library.__all__), Hybrid(),
              *(Learned(cls) for cls in ACTIVATIONS)],
    ids=[*library.__all__, "Hybrid", *(cls.__name__ for cls in ACTIVATIONS)],
)  # fmt: skip
def test_models_pull_back_what_autograd_does(model):
    check.check_adjoint(model, lower(model), everything(model))


def test_a_wrong_rule_is_an_error_and_no_wrong_number(monkeypatch):
    monkeypatch.setattr(check, "_checked", set())
    monkeypatch.setitem(slopes.SLOPES, "sin", slopes.SLOPES["cos"])
    model = library.Pendulum()
    with pytest.raises(LoweringError, match="pulls back"):
        check.check_adjoint(model, lower(model), Wanted())
    assert not check._checked


def test_an_infinite_slope_of_the_branch_not_taken_does_no_harm():
    def function(x, y, z):
        taken = torch.where(x > 0.0, torch.sqrt(x) + y * y, 3.0 * x + z)
        return taken + torch.maximum(torch.sqrt(y), y + 1.0)

    program = lower(OneFunction(function)).programs["rhs"]
    y = np.array([[0.0], [0.0], [0.5]])
    with np.errstate(all="ignore"):
        found = pulled_back(program, y, np.array([[1.0], [0.0], [0.0]]))
    assert found[:, 0].tolist() == [3.0, 1.0, 1.0]


def test_what_is_not_wanted_is_not_computed():
    model = Hybrid()
    program = lower(model).programs["rhs"]
    full, bare = (pulled(program, 2, wanted) for wanted in (everything(model), Wanted()))
    assert bare.notes == () and bare.shares == () and bare.bars == 2
    assert len(full.shares) > 0 and full.bars == 4
    assert len(bare.pull.nodes) < len(full.pull.nodes)
    # Without weights no layer's operand is kept for its sake; its values are, where slopes are.
    assert bare.kept_size < full.kept_size
    # The layers themselves are not computed again.
    for pull in (full, bare):
        assert not any(isinstance(node, Linear) for node in pull.pull.nodes)
        assert all(
            place < at for at, node in enumerate(pull.pull.nodes) for place in operands(node)
        )


def test_the_text_of_a_pull_names_its_memory():
    model = OneFunction(lambda x, y, z: torch.exp(x) * y)
    pull = pulled(lower(model).programs["rhs"], 3, Wanted())
    text = pull_text(pull, {})
    assert "kept[0] = a0;" in text and "rhs_pull" in text and "gather_shares" in text
    assert text.count(" exp(") == 1  # kept, not computed again


@pytest.mark.parametrize("name", ["clamp", "clamp_min", "clamp_max", "hardtanh", "relu6"])
def test_a_value_on_its_bound_has_the_slope_that_torch_gives_it(name):
    bound = {
        "clamp": lambda x: torch.clamp(x, -1.0, 2.0),
        "clamp_min": lambda x: torch.clamp_min(x, 2.0),
        "clamp_max": lambda x: torch.clamp_max(x, 2.0),
        "hardtanh": lambda x: torch.nn.functional.hardtanh(x, -1.0, 2.0),
        "relu6": lambda x: torch.nn.functional.relu6(x + 4.0),
    }[name]

    class Bounded(tw.Physics):
        x = tw.State("1", initial=2.0)

        def rhs(self, x):
            return {"x": bound(x)}

    start = torch.tensor([2.0, -1.0, 0.5, 3.0, -4.0], dtype=torch.float64)
    slopes = []
    for engine in ("native", "eager"):
        x = start.clone().requires_grad_()
        given = {"initial": {"x": x}, "method": "euler", "dt": 0.1, "engine": engine}
        sol = tw.simulate(Bounded(), [0.0, 0.1], **given)
        slopes.append(torch.autograd.grad(sol["x"][:, -1].sum(), x)[0])
    assert torch.equal(*slopes)
