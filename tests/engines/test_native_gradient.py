"""Gradients through kernels: those of the numerical map, and of the same bits whoever computes."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Forced
from tests.engines.test_gradient import check
from twinml.engines.events import EventLog
from twinml.engines.native import gradient, library, tape
from twinml.engines.native.engine import NativeEngine
from twinml.engines.native.targets import check_target, held
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.engines.replay import replay
from twinml.engines.saving import Trajectory
from twinml.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("compiler")


class Hybrid(tw.Physics):
    """A driven swing with a network, a number of its own, a table and a switch."""

    x = tw.State("1", initial=0.4)
    v = tw.State("1", initial=-0.2)
    k = tw.Parameter("1", default=1.0)
    loss = tw.Parameter("1", default=0.1)
    u = tw.Input("1", default=0.3)
    effort = tw.Output("1")

    def __init__(self, hidden: tuple[int, ...] = (5, 9), activation: str = "tanh") -> None:
        super().__init__()
        self.net = tw.nn.mlp(2, 2, hidden, activation, zero=False, seed=1).double()
        self.gain = torch.nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        knots = torch.tensor([-2.0, -0.5, 0.0, 0.4, 2.0], dtype=torch.float64)
        self.register_buffer("knots", knots)
        self.force = torch.nn.Parameter(-(knots**3))

    def rhs(self, t, x, v, k, loss, u):
        one, two = self.net(x, v)
        pull = tw.interp(x, self.knots, self.force)
        kink = torch.where(v > 0, v * v, 0.5 * v)
        return {
            "x": v + 0.1 * one,
            "v": -k * torch.sin(x)
            - loss * v
            + 0.2 * two
            + u * torch.cos(t)
            + pull
            + self.gain * kink,
        }

    def outputs(self, x, v, k, u):
        return {"effort": k * x * v - u}


ROWS = 21
TIMES = torch.linspace(0.0, 2.0, 14, dtype=torch.float64)
FIXED = {"euler": 0.05, "heun": 0.05, "rk4": 0.05, "tsit5": 0.05, "dopri5": 0.1, "vern7": 0.1}
KINDS = {
    "bare": {},
    "hold": {"signal": "hold"},
    "linear": {"signal": "linear", "change": True},
    "own": {"signal": "linear", "own": True, "t": "own"},
    "changed": {"change": True},
    "back": {"signal": "linear", "t": "back"},
}


def case(kind: str, dtype=torch.float64, rows=range(ROWS)):
    """Arguments of a simulation and its leaves, for some of many rows."""
    wanted, generator = KINDS[kind], torch.Generator().manual_seed(0)
    all_rows = torch.rand((6, 4 * ROWS), generator=generator, dtype=torch.float64)
    part = all_rows[:, list(rows)].to(dtype)
    leaves = {"k": part[0] + 0.5, "x": part[1] - 0.4, "loss": torch.tensor([0.1], dtype=dtype)}
    inputs, changes, t = {}, [], TIMES
    if "signal" in wanted:
        values = torch.tensor([0.2, 1.0, -1.0, 0.5], dtype=dtype)
        if wanted.get("own"):
            values = values + part[2][:, None]
        leaves["values"] = values
    else:
        leaves["u"] = part[2] - 0.5
    if wanted.get("change"):
        leaves["factor"], leaves["push"] = part[3] + 0.5, torch.tensor([0.7], dtype=dtype)
    leaves = {name: value.clone().requires_grad_() for name, value in leaves.items()}
    if "signal" in wanted:
        inputs["u"] = tw.Signal([0.0, 0.7, 1.5, 2.0], leaves["values"], wanted["signal"])
    else:
        inputs["u"] = leaves["u"]
    if wanted.get("change"):
        changes = [
            tw.Change(0.9, "multiply", "k", leaves["factor"], until=1.4),
            tw.Change(1.2, "add", "k", leaves["push"]),
            tw.Change(0.4, "multiply", "u", leaves["push"], until=0.8),
            tw.Change(1.6, "set", "loss", leaves["push"], until=1.8),
        ]
    if wanted.get("t") == "own":
        t = TIMES * (0.5 + 0.5 * part[4].double()[:, None])
    elif wanted.get("t") == "back":
        t = TIMES.flip(0)
    given = {
        "t": t, "parameters": {"k": leaves["k"], "loss": leaves["loss"]},
        "initial": {"x": leaves["x"]}, "inputs": inputs, "changes": changes, "dtype": dtype,
    }  # fmt: skip
    return given, leaves


def loss_of(sol: tw.Solution, dtype=torch.float64) -> torch.Tensor:
    if sol["x"].ndim == 1:
        return (sol["x"] * 1.5 - sol["v"] ** 2).sum() + sol["effort"].sum()
    weight = torch.linspace(-1.0, 2.0, sol["x"].shape[1], dtype=dtype)
    return ((sol["x"] - sol["v"] ** 2 + sol["effort"]) * weight).sum()


def gradients(engine: str, kind: str, model=None, options=None, **choice):
    """Gradients of everything by name, and the solution."""
    dtype = choice.get("dtype", torch.float64)
    model = (model or Hybrid()).to(dtype)
    given, leaves = case(kind, **choice)
    sol = tw.simulate(model, engine=engine, **given, **(options or {}))
    leaves.update(model.named_parameters())
    found = torch.autograd.grad(loss_of(sol, dtype), list(leaves.values()))
    return dict(zip(leaves, found, strict=True)), sol


def assert_near(found: dict, want: dict, tolerance: float) -> None:
    for name, value in want.items():
        assert found[name].shape == value.shape and found[name].dtype == value.dtype
        size = float(value.abs().max())
        assert size > 0, name
        assert float((found[name] - value).abs().max()) <= tolerance * size, name


def same(found: dict, want: dict) -> None:
    for name, value in want.items():
        assert torch.equal(found[name], value), name


CASES = [
    pytest.param(kind, method, marks=[] if quick else [pytest.mark.slow], id=f"{kind}-{method}")
    for kind in KINDS
    for method in FIXED
    for quick in [(kind, method) == ("linear", "rk4")]
]


@pytest.mark.parametrize(("kind", "method"), CASES)
def test_fixed_steps_have_the_gradient_of_the_reference(kind, method):
    options = {"method": method, "dt": FIXED[method]}
    found, sol = gradients("native", kind, options=options)
    want, _ = gradients("eager", kind, options=options)
    assert sol.engine == "native" and sol.kernels[0].method == method
    assert_near(found, want, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu", "gelu", "softplus", "sigmoid"])
@pytest.mark.parametrize("hidden", [(1,), (33, 17), (4, 4, 4), (16,)], ids=str)
def test_networks_of_any_shape_and_activation(hidden, activation):
    models = [Hybrid(hidden, activation) for _ in range(2)]
    options = {"method": "rk4", "dt": 0.1, "keep": "final"}
    found, _ = gradients("native", "bare", models[0], options)
    want, _ = gradients("eager", "bare", models[1], options)
    assert_near(found, want, 1e-10)


def replayed(kind: str, method: str, options: dict):
    """Gradients of eager along the steps that the kernel records, and those of the kernel."""
    found, sol = gradients("native", kind, options={"method": method, **options})
    model = Hybrid()
    given, leaves = case(kind)
    problem = build_problem(model, method=method, **given, **options)
    with torch.no_grad():
        plain = build_problem(model, method=method, **case(kind)[0], **options)
        _, records = NativeEngine().recorded(plain, method)
    sink = Trajectory(problem)
    replay(problem, records, [sink], EventLog(problem))
    eager = sol_from(problem, sink.result())
    leaves.update(model.named_parameters())
    want = torch.autograd.grad(loss_of(eager), list(leaves.values()))
    return found, dict(zip(leaves, want, strict=True)), sol


def sol_from(problem, states):
    effort = outputs_at(problem, states, problem.t)["effort"]
    return {"x": states[0], "v": states[1], "effort": effort}


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("linear", "tsit5"),
        pytest.param("bare", "dopri5", marks=pytest.mark.slow),
        pytest.param("own", "tsit5", marks=pytest.mark.slow),
        pytest.param("back", "vern7", marks=pytest.mark.slow),
    ],
)
def test_adaptive_steps_have_the_gradient_along_the_steps_taken(kind, method):
    found, want, sol = replayed(kind, method, {"rtol": 1e-5, "atol": 1e-7})
    assert int((sol.steps - sol.rejected).max()) > tape.CHUNK
    assert_near(found, want, 1e-9)


TIGHT = {"method": "tsit5", "rtol": 1e-11, "atol": 1e-13, "engine": "native"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [TIGHT, {"method": "rk4", "dt": 0.1, "engine": "native"}], ids=["tsit5", "rk4"]
)
def test_gradients_are_central_differences(options):
    def run(v):
        sol = tw.simulate(
            Forced(), [0.0, 0.45, 1.0], {"p": v[0]}, {"x": v[1]},
            {"u": tw.Signal([0.0, 0.4, 1.0], torch.stack([v[2], v[3], v[3]]), kind="linear")},
            changes=[tw.Change(0.63, "add", "p", v[4])], **options,
        )  # fmt: skip
        return (sol["x"] * torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)).sum()

    check(run, [0.3, 0.5, 0.9, -0.4, 1.3])


@pytest.mark.parametrize("keep", ["all", pytest.param("final", marks=pytest.mark.slow)])
def test_torch_finds_the_gradient_right(keep):
    model = Forced()

    def run(p, x, u):
        sol = tw.simulate(
            model, [0.0, 0.3, 1.0], {"p": p}, {"x": x}, {"u": u}, method="rk4", dt=0.25,
            engine="native", keep=keep,
        )  # fmt: skip
        return sol["x"]

    shapes = (3, 3, 1)
    values = [torch.linspace(0.2, 0.9, n, dtype=torch.float64).requires_grad_() for n in shapes]
    assert torch.autograd.gradcheck(run, values)


@pytest.mark.slow
@pytest.mark.parametrize("keep", ["all", "final"])
def test_float32_follows_float64(keep):
    options = {"method": "rk4", "dt": 0.05, "keep": keep}
    narrow, _ = gradients("native", "linear", options=options, dtype=torch.float32)
    wide, _ = gradients("native", "linear", options=options)
    for name, value in wide.items():
        assert narrow[name].dtype == torch.float32
        apart = (narrow[name].double() - value).abs().max()
        assert float(apart) < 1e-4 * float(value.abs().max()), name


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("bare", {"method": "rk4", "dt": 0.05}, marks=pytest.mark.slow),
        ("linear", {"method": "tsit5"}),
    ],
    ids=["fixed", "adaptive"],
)
def test_kept_states_threads_and_pools_do_not_change_a_bit(kind, options, monkeypatch):
    want, _ = gradients("native", kind, options=options, rows=range(4 * ROWS))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found, _ = gradients("native", kind, options=options, rows=range(4 * ROWS))
    finally:
        torch.set_num_threads(before)
    same(found, want)
    given = gradient.gradient_run
    for every in (2, 16):
        with monkeypatch.context() as patch:
            patch.setattr(
                "twinml.engines.native.engine.gradient_run",
                lambda problem, method, e=every: given(problem, method, e),
            )
            found, _ = gradients("native", kind, options=options, rows=range(4 * ROWS))
        same(found, want)
    monkeypatch.setattr(tape, "CHUNKS_A_ROW", 1)  # too small a pool: the run is taken again
    found, _ = gradients("native", kind, options=options, rows=range(4 * ROWS))
    same(found, want)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        pytest.param("own", {"method": "rk4", "dt": 0.05}, marks=pytest.mark.slow),
        ("linear", {"method": "tsit5"}),
        pytest.param("bare", {"method": "heun", "dt": 0.05}, marks=pytest.mark.slow),
    ],
    ids=["fixed", "adaptive", "plain"],
)
def test_a_row_has_the_same_gradient_alone_in_any_place_and_in_any_company(kind, options):
    want, _ = gradients("native", kind, options=options, rows=range(2 * ROWS))
    own = [n for n, v in want.items() if v.shape[:1] == (2 * ROWS,)]
    assert {"k", "x"} <= set(own)
    order = torch.randperm(2 * ROWS, generator=torch.Generator().manual_seed(1)).tolist()
    for rows in (range(7, 12), [9], order):
        found, _ = gradients("native", kind, options=options, rows=rows)
        same({n: found[n] for n in own}, {n: want[n][list(rows)] for n in own})


@pytest.mark.parametrize(
    ("keep", "options"),
    [
        ("all", {"method": "tsit5"}),
        *(
            pytest.param(keep, options, marks=pytest.mark.slow)
            for keep in ("all", "final")
            for options in ({"method": "rk4", "dt": 0.1}, {"method": "dopri5"})
        ),
    ],
    ids=str,
)
def test_a_failed_row_has_exactly_zero_gradient_and_spoils_nobody(keep, options):
    class Weighted(Custom):
        def __init__(self):
            super().__init__(None)
            self.w = torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))

        def rhs(self, y, p):
            return {"y": torch.where(p < 0, torch.sqrt(p) * y, -p * self.w * y)}

    def run(middle, rows):
        p = torch.tensor([0.5, middle, 2.0], dtype=torch.float64)[rows].requires_grad_()
        y = torch.ones(len(rows), dtype=torch.float64, requires_grad=True)
        model = Weighted()
        sol = tw.simulate(
            model, [0.0, 0.5, 1.0], {"p": p}, {"y": y}, keep=keep, engine="native", **options
        )
        loss = sol["y"].nansum()
        return sol, torch.autograd.grad(loss, (p, y, model.w))

    sol, (by_p, by_y, by_w) = run(-1.0, [0, 1, 2])
    assert sol.ok.tolist() == [True, False, True]
    assert by_p[1] == 0.0 and by_y[1] == 0.0
    _, (want_p, want_y, want_w) = run(1.0, [0, 2])
    assert torch.equal(by_p[::2], want_p) and torch.equal(by_y[::2], want_y)
    assert float(by_w) == pytest.approx(float(want_w), rel=1e-14)
    sol, everyone = run(-1.0, [1])
    assert not sol.ok.any() and all(float(g.abs().max()) == 0.0 for g in everyone)


@pytest.mark.slow
def test_only_what_asks_for_a_gradient_gets_one():
    model = Hybrid()
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    model.gain.requires_grad_(True)
    sol = tw.simulate(model, TIMES, method="rk4", dt=0.1, engine="native")
    sol["x"].sum().backward()
    assert model.gain.grad is not None and model.force.grad is None
    with torch.no_grad():
        assert not tw.simulate(model, TIMES, method="rk4", dt=0.1)["x"].requires_grad


@pytest.mark.slow
def test_gradients_go_on_beyond_the_leaves_and_add_up():
    raw = torch.tensor([0.1, 0.4], dtype=torch.float64, requires_grad=True)
    options = {"method": "rk4", "dt": 0.1, "engine": "native", "keep": "final"}
    sol = tw.simulate(Hybrid(), TIMES, {"k": raw.exp()}, **options)
    more = tw.simulate(
        Hybrid(), [2.0, 3.0], {"k": raw.exp()}, start=sol.state, method="rk4", dt=0.1,
        engine="native",
    )  # fmt: skip
    (found,) = torch.autograd.grad(loss_of(more) + loss_of(sol), raw)
    options["engine"] = "eager"
    sol = tw.simulate(Hybrid(), TIMES, {"k": raw.exp()}, **options)
    more = tw.simulate(
        Hybrid(), [2.0, 3.0], {"k": raw.exp()}, start=sol.state, method="rk4", dt=0.1,
        engine="eager",
    )  # fmt: skip
    (want,) = torch.autograd.grad(loss_of(more) + loss_of(sol), raw)
    assert torch.allclose(found, want, rtol=1e-11)


TRAINED = {"method": "rk4", "dt": 0.1}


def test_training_takes_the_same_kernels_and_comes_nearer(monkeypatch):
    target = torch.sin(TIMES).expand(4, -1)
    model, losses, paths = Hybrid(), [], set()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-2)
    for step in range(12):
        if step == 1:  # from here on nothing is compiled or traced
            monkeypatch.setattr(library, "_compiled", None)
        optimiser.zero_grad()
        start = {"x": torch.linspace(0.5, 1.5, 4, dtype=torch.float64)}
        sol = tw.simulate(model, TIMES, initial=start, engine="native", **TRAINED)
        loss = (sol["x"] - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        paths.add(sol.kernels[0].library)
    assert len(paths) == 1 and losses[-1] < 0.8 * losses[0]


def test_weights_that_were_changed_before_the_way_back_are_an_error():
    model = Hybrid()
    sol = tw.simulate(model, TIMES, engine="native", **TRAINED)
    with torch.no_grad():
        model.gain.mul_(2.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        sol["x"].sum().backward()


def test_a_second_derivative_is_a_named_error():
    model = Hybrid()
    sol = tw.simulate(model, TIMES, engine="native", **TRAINED)
    (first,) = torch.autograd.grad(sol["x"].sum(), model.gain, create_graph=True)
    with pytest.raises(ArgumentError, match="second derivative"):
        (first + model.gain).backward()


@pytest.mark.slow
def test_a_span_without_length_has_the_gradient_of_its_start():
    x = torch.tensor([0.3, 0.4], dtype=torch.float64, requires_grad=True)
    t = torch.tensor([[0.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    sol = tw.simulate(Hybrid(), t, initial={"x": x}, method="tsit5", engine="native")
    (found,) = torch.autograd.grad(sol["x"][0].sum(), x)
    assert found.tolist() == [2.0, 0.0]


@pytest.mark.real_auto
def test_auto_takes_kernels_for_gradients_and_says_where_it_does_not():
    taken = tw.simulate(Hybrid(), TIMES, **TRAINED)
    assert taken.engine == "native" and taken["x"].requires_grad
    at = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)
    moved = {"changes": [tw.Change(at, "add", "k", 1.0)], **TRAINED}
    kept = {"keep": {"q": "max(x)"}, **TRAINED}
    stiff = {"method": "rodas5p"}
    words = ("time of a change", "quantities", "rodas5p")
    for options, word in zip((moved, kept, stiff), words, strict=True):
        sol = tw.simulate(Hybrid(), TIMES, **options)
        assert sol.engine == "eager" and word in sol.reason, sol.reason
        with pytest.raises(ArgumentError, match=word):
            tw.simulate(Hybrid(), TIMES, engine="native", **options)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", ["bare", "linear"])
def test_every_target_gives_the_same_bits(kind, dtype):
    options = {"method": "tsit5", "dt": 0.1}
    want, _ = gradients("native", kind, options=options, dtype=dtype)
    tried = 0
    for target in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        try:
            check_target(target)
        except ArgumentError:
            continue
        with held(target):
            found, _ = gradients("native", kind, options=options, dtype=dtype)
        same(found, want)
        tried += 1
    if tried < 2:
        pytest.skip("this machine runs one target only")


class Swing(tw.Physics):
    """A van der Pol oscillator, stiff where mu is large; driven."""

    x = tw.State("1", initial=2.0)
    v = tw.State("1", initial=0.0)
    mu = tw.Parameter("1", default=1.0)
    u = tw.Input("1", default=0.0)
    effort = tw.Output("1")

    def rhs(self, x, v, mu, u):
        return {"x": v, "v": mu * (1.0 - x * x) * v - x + u}

    def outputs(self, x, mu):
        return {"effort": mu * x}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "last"), [("rodas5p", [2.0, 5.0]), ("auto", [2.0, 1000.0])], ids=["named", "turned"]
)
def test_where_no_kernel_goes_backward_derivatives_are_carried_forward(method, last):
    def run(engine):
        leaves = [
            torch.tensor(value, dtype=torch.float64, requires_grad=True)
            for value in (last, [2.0, 1.8], [0.1, 0.3], 0.4, 0.55)
        ]
        mu, x, values, factor, at = leaves
        sol = tw.simulate(
            Swing(), [0.0, 0.5, 2.0], {"mu": mu}, {"x": x},
            {"u": tw.Signal([0.0, 2.0], values, "linear")}, method=method, engine=engine,
            changes=[tw.Change(at, "multiply", "u", factor)], rtol=1e-9, atol=1e-11,
        )  # fmt: skip
        return sol, torch.autograd.grad(loss_of(sol), leaves)

    (sol, found), (_, want) = run("native"), run("eager")
    assert sol.engine == "native"
    for one, two in zip(found, want, strict=True):
        assert one.shape == two.shape
        assert torch.allclose(one, two, rtol=1e-5, atol=1e-8), (one, two)


@pytest.mark.slow
def test_a_failed_row_has_zero_gradient_forward_too_and_seconds_are_refused():
    mu = torch.tensor([3.0, float("nan")], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Swing(), [0.0, 1.0], {"mu": mu}, method="rodas5p", engine="native")
    assert sol.ok.tolist() == [True, False]
    (found,) = torch.autograd.grad(sol["x"].nansum(), mu, create_graph=True)
    assert found[1] == 0.0 and found[0] != 0.0
    with pytest.raises(ArgumentError, match="second derivative"):
        found.sum().backward()
