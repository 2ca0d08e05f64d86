"""Lowering of whole models: agreement, caching and what invalidates it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import twinml as tw
import twinml.library as library
from tests.lowering.models import Hybrid, OneFunction, computed
from twinml.lowering import derive, evaluate, lower, print_function
from twinml.lowering import lower as lower_function
from twinml.lowering.points import sample
from twinml.lowering.recorder import Recorder

ROOT = Path(__file__).resolve().parents[2]
MODELS = [getattr(library, name) for name in library.__all__]


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def model(request) -> tw.Physics:
    return request.param()


def test_a_library_model_lowers_to_what_its_equations_give(model):
    lowered = lower(model)
    points = sample(model)
    weights = [w.numpy() for w in lowered.read(torch.float64)]
    assert set(lowered.programs) == set(points.expected)
    for name, program in lowered.programs.items():
        found = evaluate(program, {**points.values, "w": weights})
        assert len(found) == len(points.expected[name])
        for value, expected in zip(found, points.expected[name], strict=True):
            scale = np.abs(expected).max() or 1.0
            assert np.allclose(value, expected, rtol=1e-11, atol=1e-13 * scale), name


def test_the_programs_of_a_library_model_print_alike_in_both_dialects(model):
    for name, program in lower(model).programs.items():
        cpp = print_function(program, name)
        assert cpp == print_function(program, name, "cuda")
        assert cpp.startswith(("TW_FN void", "TW_BIG void"))
        assert cpp.count("out[") == len(program.outputs)


def test_networks_tables_and_members_are_read_by_pointer():
    model = Hybrid()
    lowered = lower(model)
    paths = [reference.path for reference in lowered.tensors]
    assert paths == [
        "net.layers.0.weight", "net.layers.0.bias", "net.layers.1.weight", "net.layers.1.bias",
        "net.layers.2.weight", "net.layers.2.bias", "plain.0.weight", "plain.0.bias",
        "plain.2.weight", "plain.2.bias", "knots", "heights", "member",
    ]  # fmt: skip
    text = print_function(lowered.programs["rhs"], "rhs")
    assert "linear<8, 3>(w[0], w[1]," in text and "table_value<9>(w[10], w[11]," in text
    assert "v2[i] = tanh(v1[i])" in text
    assert lowered.read(torch.float32)[0].dtype == torch.float32


def traces_of(model: tw.Physics, monkeypatch) -> int:
    """How many equations are followed anew by one call."""
    count = 0
    enter = Recorder.__enter__

    def counting(self):
        nonlocal count
        count += 1
        return enter(self)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "__enter__", counting)
        lower(model)
    return count


def test_a_model_is_followed_once_and_training_in_place_changes_nothing(monkeypatch):
    model = Hybrid()
    assert traces_of(model, monkeypatch) == 2  # rhs and outputs
    first = lower(model)
    assert traces_of(model, monkeypatch) == 0
    with torch.no_grad():
        model.plain[0].weight.mul_(2.0)
        model.knots.add_(0.5)
    assert lower(model) is first
    assert torch.equal(first.read(torch.float64)[6], model.plain[0].weight.detach())
    model.set_defaults(rate=0.1)
    assert lower(model) is first


CHANGES = {
    "number": lambda m: setattr(m, "gain", 3.0),
    "sign of zero": lambda m: setattr(m, "gain", -0.0),
    "inside a container": lambda m: m.options["scales"].__setitem__(1, 4.0),
    "parameter": lambda m: setattr(m.plain[0], "weight", nn.Parameter(torch.ones(5, 2).double())),
    "buffer": lambda m: setattr(m, "knots", m.knots.clone()),
    "tensor": lambda m: setattr(m, "member", torch.tensor(1.0, dtype=torch.float64)),
    "submodule": lambda m: setattr(m, "plain", nn.Sequential(nn.Linear(2, 1)).double()),
    "number of a submodule": lambda m: setattr(m.net, "activation", "relu"),
    "cast of buffers": lambda m: m.float(),
    "shape in place": lambda m: (
        setattr(m.knots, "data", torch.linspace(-1.0, 1.0, 5).double()),
        setattr(m.heights, "data", torch.ones(5).double()),
    ),
    "new attribute": lambda m: setattr(m, "note", "x"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_exchanging_a_number_or_tensor_follows_the_equations_again(name, monkeypatch):
    model = Hybrid()
    lower(model)
    model.gain = 0.0
    lower(model)
    CHANGES[name](model)
    assert traces_of(model, monkeypatch) == 2
    y = np.random.default_rng(0).normal(size=(2, 7))
    expected = copy.deepcopy(model).double().derivatives(
        {"t": torch.zeros(7).double(), "position": torch.from_numpy(y[0]),
         "speed": torch.from_numpy(y[1]), "push": torch.full((7,), 0.5, dtype=torch.float64),
         "rate": torch.full((7,), 0.7, dtype=torch.float64)},
        torch.from_numpy(y),
    )  # fmt: skip
    found = computed(model, y, u=np.array([0.5]), p=np.array([0.7]))
    assert np.allclose(found, expected.detach().numpy(), rtol=1e-12)


def test_the_number_of_a_class_counts_too(monkeypatch):
    class Shifted(Hybrid):
        offset = 0.5

    model = Shifted()
    lower(model)
    Shifted.offset = 0.75
    assert traces_of(model, monkeypatch) == 2


def test_equal_equations_have_one_digest_whatever_the_weights():
    first, second, other = Hybrid(), Hybrid(), Hybrid()
    with torch.no_grad():
        second.plain[0].weight.zero_()
    other.gain = 2.5
    assert lower(first).digest == lower(second).digest != lower(other).digest
    for twin in (copy.deepcopy(first), pickle.loads(pickle.dumps(first))):
        assert lower(twin) is not lower(first)
        assert lower(twin).digest == lower(first).digest


def test_other_threads_do_not_see_that_a_model_is_followed():
    # fx would patch torch.nn.Module for the whole process while it traces.
    inside, done = threading.Event(), threading.Event()
    model = Hybrid()

    class Waiting(OneFunction):
        def rhs(self, x, y, z):
            inside.set()
            done.wait(10.0)
            return super().rhs(x, y, z)

    def elsewhere():
        inside.wait(10.0)
        x = torch.ones(3, dtype=torch.float64)
        results.append(model.net(x, x, x)[0])
        results.append(lower(model))
        done.set()

    results: list = []
    thread = threading.Thread(target=elsewhere)
    waiting = Waiting(lambda x, y, z: x * y)
    thread.start()
    lower(waiting)
    thread.join()
    assert isinstance(results[0], torch.Tensor) and results[1].programs


def test_sized_states_lie_in_the_order_of_the_stacked_state():
    class Mixed(tw.Physics):
        a = tw.State("1", initial=1.0, size=2)
        b = tw.State("1", initial=2.0)

        def rhs(self, a, b):
            return {"b": a.sum(-1), "a": a * b.unsqueeze(-1)}

    y = np.array([[2.0], [3.0], [5.0]])
    assert computed(Mixed(), y)[:, 0].tolist() == [10.0, 15.0, 5.0]


def test_a_result_of_numbers_is_spread_over_rows_and_components():
    class Still(tw.Physics):
        a = tw.State("1", initial=1.0, size=2)
        b = tw.State("1", initial=2.0)
        c = tw.State("1", initial=2.0)

        def rhs(self):
            return {"a": torch.tensor([1.0, 2.0]), "b": torch.zeros(()), "c": 3}

    assert computed(Still(), np.zeros((4, 1)))[:, 0].tolist() == [1.0, 2.0, 0.0, 3.0]


def test_events_give_guards_and_resets():
    lowered = lower(library.BouncingBall())
    assert list(lowered.programs) == ["rhs", "outputs", "guards", "reset_0"]
    y = np.array([[0.1, -1e-17], [-2.0, -0.05], [1.0, 1.0]])
    values = {"t": np.zeros(2), "y": y, "p": np.array([9.81, 0.7, 0.1])}
    found = np.stack([np.broadcast_to(r, 2) for r in evaluate(lowered.programs["reset_0"], values)])
    assert found.tolist() == [[0.0, 0.0], [1.4, 0.0], [1.0, 0.0]]


def test_the_points_of_the_check_do_not_change_from_run_to_run():
    assert zlib.crc32(sample(Hybrid()).values["y"].tobytes()) == zlib.crc32(
        sample(Hybrid()).values["y"].tobytes()
    )


def test_a_wrong_program_is_an_error_and_never_a_wrong_number(monkeypatch):
    from twinml.lowering import operations

    monkeypatch.setitem(operations.TABLE, "sin", operations.TABLE["cos"])
    model = OneFunction(lambda x, y, z: torch.sin(x) + y)
    with pytest.raises(tw.TwinmlError, match=r"would compute .* as result 0 of 'rhs'"):
        lower_function(model)


def test_lowering_imports_nothing_heavy():
    # torch.autograd.grad with grad_outputs would import sympy: half a second at every start.
    script = (
        "import sys, twinml.library as L; from twinml.lowering import lower; lower(L.Pendulum()); "
        "print([name for name in ('sympy', 'torch._dynamo', 'torch.fx') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert "sympy" not in done.stdout and "dynamo" not in done.stdout


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_caller_may_have_turned_gradients_off(mode):
    class Fresh(Hybrid):
        offset = 0.5 if mode is torch.no_grad else 0.625  # another digest: nothing is skipped

    model = Fresh()
    with mode():
        assert lower(model).programs


def test_the_default_dtype_of_numbers_counts(monkeypatch):
    model = OneFunction(lambda x, y, z: x * torch.tensor(0.1))
    short = computed(model, np.ones((3, 1)))[0, 0]
    torch.set_default_dtype(torch.float64)
    try:
        assert computed(model, np.ones((3, 1)))[0, 0] == 0.1 != short
    finally:
        torch.set_default_dtype(torch.float32)


COMMON = {
    "sqrt of relu": lambda x, y, z: torch.sqrt(torch.relu(x)) - y,
    "sqrt of clamp": lambda x, y, z: torch.sqrt(torch.clamp(x - 1.0, min=0.0)) * y,
    "sqrt of maximum": lambda x, y, z: torch.sqrt(2.0 * torch.maximum(x, y.new_zeros(()))),
    "power of relu": lambda x, y, z: torch.relu(x - y) ** 1.5,
    "log of clamp": lambda x, y, z: torch.log(torch.clamp(x, min=1e-9)),
    "signed root": lambda x, y, z: torch.sign(x) * torch.sqrt(torch.abs(x)),
    "orifice": lambda x, y, z: torch.where(
        x > y, torch.sqrt((x - y).abs()), -((y - x).abs() ** 0.5)
    ),
    "one branch": lambda x, y, z: torch.where(x > 0, torch.sqrt(x), torch.zeros_like(x)),
    "safe ratio": lambda x, y, z: torch.where(y.abs() > 1e-6, x / y, 0.0),
    "saturation": lambda x, y, z: x.clamp(min=0) / (0.5 + x.clamp(min=0)) * (1 - y / 3.0),
    "arrhenius": lambda x, y, z: 7.2e10 * torch.exp(-8750.0 / (300.0 + 50.0 * x)) * y,
    "hill": lambda x, y, z: x.abs() ** 2.5 / (1 + x.abs() ** 2.5),
    "deadband": lambda x, y, z: torch.sign(x) * torch.relu(x.abs() - 0.5),
    "stiff friction": lambda x, y, z: torch.tanh(x / 1e-4) * y,
    "hypotenuse": lambda x, y, z: x / torch.sqrt(x**2 + y**2) ** 3,
    "periodic": lambda x, y, z: torch.sin(torch.remainder(10.0 * x, 2 * torch.pi)),
}


@pytest.mark.parametrize("name", COMMON)
def test_terms_of_common_models_lower_with_their_slopes(name):
    assert lower(OneFunction(COMMON[name])).programs
    jacobian = derive.jacobian(lower(OneFunction(COMMON[name])).programs["rhs"]).program
    y = np.array([[-0.7, 0.4, 0.2], [1.3, 0.5, 0.1]]).T
    slopes = evaluate(jacobian, {"t": np.zeros(2), "y": y, "du": np.zeros((0, 2))})
    if name != "one branch":
        assert all(np.isfinite(slope).all() for slope in slopes)


class _Gate(torch.nn.Module):
    gain = 1.0

    def forward(self, x):
        return self.gain * x


class _Call:
    __slots__ = ("factor",)

    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x):
        return self.factor * x


class _Held(tw.Physics):
    """A model with values in places that are easily overlooked."""

    x = tw.State("1", initial=1.0)
    doubled = False
    mode = "plain"

    def __init__(self):
        super().__init__()
        self.gate, self.call, self.table = _Gate(), _Call(1.0), np.ones(5000)

    def rhs(self, x):
        flow = self.call(self.gate(x)) * float(self.table[7])
        flow = 2.0 * flow if self.doubled else flow
        return {"x": -flow if self.mode == "plain" else flow}


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(type(model), "doubled", True),
        lambda model: setattr(type(model), "mode", "other"),
        lambda model: setattr(_Gate, "gain", 3.0),
        lambda model: setattr(model.call, "factor", 3.0),
        lambda model: model.table.__setitem__(7, 3.0),
        lambda model: model.gate.register_forward_hook(lambda part, given, out: 3.0 * out),
    ],
    ids=["class bool", "class text", "class of a part", "slots", "large array", "hook"],
)
def test_a_changed_value_is_seen_wherever_it_stands(change, monkeypatch):
    monkeypatch.setattr(_Gate, "gain", 1.0)
    kind = type("Held", (_Held,), {"doubled": False, "mode": "plain"})
    model = kind()
    before = lower(model).digest
    assert lower(model).digest == before
    change(model)
    assert lower(model).digest != before
