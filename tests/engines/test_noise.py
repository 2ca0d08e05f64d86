"""Equations with noise: declared, refused, and the same path however it is asked for."""

from __future__ import annotations

import dataclasses
import functools

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay
from tests.engines.noisy import Growth, Relaxation, Several, Wiener
from twinml.errors import ArgumentError, DeclarationError, ShapeError

pytestmark = pytest.mark.usefixtures("engine")

GRID = torch.linspace(0.0, 2.0, 21, dtype=torch.float64)


def wiener(t=GRID, rows: int = 5, **options) -> tw.Solution:
    options = {"dt": 0.1, "ids": torch.arange(rows), **options}
    return tw.simulate(Wiener(), t, **options)


@pytest.fixture
def many(engine) -> torch.Tensor:
    """W on the grid for 20,000 rows."""
    return _many(engine)


@functools.cache
def _many(engine: str) -> torch.Tensor:
    return wiener(rows=20_000, engine=engine)["w"]


class Quiet(Relaxation):
    """The same equations without noise."""

    noise = None


def test_a_model_says_whether_it_has_noise():
    assert Relaxation().has_noise and not Decay().has_noise and not Quiet().has_noise
    exact = 5.0 * torch.exp(-2.0 * GRID)
    assert torch.allclose(tw.simulate(Quiet(), GRID)["x"][0], exact, atol=1e-5)


def test_noise_that_is_no_method_is_refused():
    with pytest.raises(DeclarationError, match=r"Odd\.noise is 0\.5; expected a method"):
        type("Odd", (Decay,), {"noise": 0.5})
    with pytest.raises(DeclarationError, match=r"Odd\.noise asks for 'sgima'"):
        type("Odd", (Relaxation,), {"noise": lambda self, sgima: {"x": sgima}})


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ({"y": 1.0}, r"noise returns 'y', which is not a state; expected some of \['x'\]"),
        ({"x": torch.zeros(3, dtype=torch.float64)}, r"noise returns shape \(3,\) for 'x'"),
        (1.0, r"noise returned float; expected a dict"),
    ],
)
def test_what_noise_returns_is_checked(returned, text):
    made = type("Odd", (Relaxation,), {"noise": lambda self: returned})
    with pytest.raises(ShapeError, match=text):
        tw.simulate(made(), [0.0, 1.0], dt=0.1, ids=[0, 1])


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"dt": None}, r"no dt was given.*Pass dt=\.\.\. in 's'"),
        ({"method": "tsit5"}, r"the noise would be left out.*noise = None"),
        ({"method": "rk4"}, "the noise would be left out"),
        ({"method": "euler_mayurama"}, "Did you mean 'euler_maruyama'"),
        ({"dt": 0.0}, "dt=0.0; expected a positive finite number"),
        ({"dt": 1e-10}, r"cuts the time of Wiener into 1e\+10 cells"),
        ({"t": [1.0, 0.0]}, "runs backward and Wiener has noise"),
        ({"seed": -1}, "seed=-1; expected a whole number"),
        ({"seed": 1.5}, "seed=1.5; expected a whole number"),
        ({"seed": 2**64}, "expected a whole number from 0 up to"),
        ({"ids": [0.5, 1.0]}, "expected whole numbers"),
        ({"ids": [0, -1]}, "ids holds -1 in row 1"),
        ({"ids": [2**48]}, "ids holds 281474976710656 in row 0"),
        ({"ids": "all"}, "ids is 'all'"),
    ],
)
def test_a_call_that_cannot_be_is_refused_by_name(options, text):
    options = {"t": [0.0, 1.0], "dt": 0.1, **options}
    with pytest.raises(ArgumentError, match=text):
        tw.simulate(Wiener(), **options)


def test_ids_agree_with_the_rows_of_everything_else():
    with pytest.raises(ShapeError, match="ids has 3 rows but parameter 'scale' has 2"):
        wiener(rows=3, parameters={"scale": torch.ones(2)})
    with pytest.raises(ShapeError, match=r"ids has shape \(1, 3\)"):
        wiener(ids=torch.zeros((1, 3), dtype=torch.int64))


def test_the_adjoint_and_gradients_of_cut_times_are_refused():
    scale = torch.tensor(1.0, requires_grad=True)
    with pytest.raises(ArgumentError, match=r"adjoint.*noise\(\).*gradient='frozen'"):
        wiener(parameters={"scale": scale}, gradient="adjoint")
    at = torch.tensor(0.33, dtype=torch.float64, requires_grad=True)
    with pytest.raises(ArgumentError, match="a Brownian path has no derivative by time"):
        wiener(changes=[tw.Change(at, "set", "drift", 1.0)])


def test_auto_is_euler_maruyama_and_without_noise_that_is_euler():
    assert wiener().method == "euler_maruyama"
    t = [0.0, 0.33, 1.0]
    for model in (Decay(), Relaxation()):
        options = {"changes": [tw.Change(0.55, "multiply", "k", 2.0)], "dt": 0.1}
        if model.has_noise:
            options["parameters"] = {"sigma": 0.0}
        plain = Quiet() if model.has_noise else model
        euler = tw.simulate(plain, t, method="euler", dt=0.1, changes=options["changes"])
        same = tw.simulate(model, t, method="euler_maruyama", **options)
        assert torch.equal(same["x"], euler["x"]) and torch.equal(same.steps, euler.steps)


def test_increments_are_normal_and_independent_between_rows_cells_and_components(many):
    step = many.diff(dim=1) / 0.1**0.5
    count = step.numel()
    assert abs(float(step.mean())) < 4 / count**0.5
    assert abs(float((step**2).mean()) - 1) < 4 * (2 / count) ** 0.5
    assert abs(float((step**4).mean()) - 3) < 4 * (96 / count) ** 0.5
    rows, cells = step.shape
    between_cells = step.T @ step / rows - torch.eye(cells)
    assert float(between_cells.abs().max()) < 5.5 * (2 / rows) ** 0.5
    neighbours = (step[:-1] * step[1:]).mean()
    assert abs(float(neighbours)) < 4 / count**0.5
    sol = tw.simulate(Several(), GRID, dt=0.1, ids=torch.arange(4000))
    parts = torch.cat([sol["a"][..., None], sol["c"] / 2.0], dim=-1).diff(dim=1) / 0.1**0.5
    flat = parts.reshape(-1, 3)
    covariance = flat.T @ flat / flat.shape[0] - torch.eye(3)
    assert float(covariance.abs().max()) < 5 * (2 / flat.shape[0]) ** 0.5
    assert bool((sol["b"] == 0).all())


def test_inside_a_cell_the_path_is_a_brownian_bridge():
    cuts = (0.013, 0.05, 0.071)
    changes = [tw.Change(cut, "set", "drift", 0.0) for cut in cuts]
    rows = 20_000
    sol = wiener(torch.tensor([0.0, *cuts, 0.1], dtype=torch.float64), rows, changes=changes)
    w, times = sol["w"][:, 1:], torch.tensor([*cuts, 0.1], dtype=torch.float64)
    wanted = torch.minimum(times[:, None], times[None])
    spread = torch.sqrt((wanted**2 + times[:, None] * times[None]) / rows)
    assert float(((w.T @ w / rows - wanted).abs() / spread).max()) < 4.5


def test_cuts_and_save_points_leave_the_path_where_it_was(many):
    changes = [tw.Change(at, "set", "drift", 0.0) for at in (0.537, 0.55, 1.5, 1.55001)]
    cut = wiener(changes=changes)
    assert torch.allclose(cut["w"], many[:5], rtol=0, atol=1e-14)
    assert (cut.steps == 23).all()
    between = torch.cat([GRID, GRID[:-1] + 0.037]).sort().values
    more = wiener(between)["w"]
    assert torch.equal(more[:, torch.isin(between, GRID)], many[:5])
    # between the grid the path is a straight line
    assert torch.allclose(more[:, 1], 0.63 * many[:5, 0] + 0.37 * many[:5, 1], atol=1e-15)


def test_a_row_is_the_same_alone_shuffled_or_among_many(many):
    alone = wiener(ids=[777])["w"]
    assert torch.equal(alone[0], many[777])
    order = torch.randperm(500, generator=torch.Generator().manual_seed(3))
    assert torch.equal(wiener(ids=order)["w"], many[order])
    twins = wiener(ids=[4, 4], parameters={"drift": torch.tensor([0.0, 1.0])})["w"]
    assert torch.allclose(twins[1] - twins[0], GRID, atol=1e-13)
    shared = wiener(ids=[4], parameters={"drift": torch.tensor([0.0, 1.0])})["w"]
    assert torch.equal(shared, twins)
    assert torch.equal(wiener(ids=None, parameters={"scale": torch.ones(5)})["w"], many[:5])


def test_another_seed_is_another_path(many):
    other = wiener(rows=2000, seed=2**40)["w"]
    product = (other.diff(dim=1) * many[:2000].diff(dim=1)).mean() / 0.1
    assert abs(float(product)) < 4 / (2000 * 20) ** 0.5
    assert torch.equal(other, wiener(rows=2000, seed=2**40)["w"])


@pytest.mark.parametrize("stop", [0.7, 0.7345])
def test_going_on_from_a_solution_stays_on_the_path(many, stop):
    first = wiener([0.0, stop])
    rest = torch.tensor([stop, 0.8, 0.95, 2.0], dtype=torch.float64)
    second = wiener(rest, ids=None, start=first.state)
    assert torch.allclose(second["w"][:, [1, 3]], many[:5][:, [8, 20]], rtol=0, atol=1e-14)
    third = wiener(rest, start=first.state)  # the same ids, said again
    assert torch.equal(third["w"], second["w"])


def test_going_on_from_a_solution_refuses_another_path():
    first = wiener([0.0, 0.7], seed=5)
    on = {"t": [0.7, 1.0], "start": first.state, "ids": None}
    for options, text in (
        ({}, r"noise of seed=5, and seed=0 was given"),
        ({"seed": 5, "ids": [9, 8, 7, 6, 5]}, "other ids were given"),
        ({"seed": 5, "dt": 0.05}, r"grid of dt=0\.1, and dt=0\.05 was given"),
    ):
        with pytest.raises(ArgumentError, match=text):
            wiener(**{**on, **options})
    fresh = dataclasses.replace(first.state, path=None)
    new = wiener(**{**on, "start": fresh, "seed": 6})
    again = wiener([0.0, 0.3], seed=6)
    moved = (new["w"][:, -1] - new["w"][:, 0]) - (again["w"][:, -1] - again["w"][:, 0])
    assert float(moved.abs().max()) < 1e-14


def test_a_horizon_that_is_no_multiple_of_dt_ends_where_it_should():
    sol = wiener([0.0, 0.25], rows=20_000, keep="final")
    assert abs(float(sol["w"].var()) / 0.25 - 1) < 4 * (2 / 20_000) ** 0.5
    assert (sol.steps == 3).all()


def test_every_row_may_have_its_own_start():
    times = torch.tensor([[0.0, 1.0], [10.05, 11.05]], dtype=torch.float64)
    sol = wiener(times, rows=2)
    assert torch.allclose(sol["w"], wiener([0.0, 1.0], rows=2)["w"], atol=1e-12)


def test_single_precision_draws_the_same_noise(many):
    sol = wiener(dtype=torch.float32)
    assert sol["w"].dtype == torch.float32
    assert torch.allclose(sol["w"].double(), many[:5], atol=1e-5)


def test_a_row_that_is_lost_is_marked_and_leaves_its_neighbours():
    mu = torch.tensor([1.0, torch.inf, 1.0], dtype=torch.float64)
    good = torch.tensor([1.0, 1.0, 1.0], dtype=torch.float64)
    sol = tw.simulate(Growth(), GRID, dt=0.1, parameters={"mu": mu})
    clean = tw.simulate(Growth(), GRID, dt=0.1, parameters={"mu": good})
    assert sol.status.tolist() == [0, int(tw.Status.NOT_FINITE), 0]
    assert torch.equal(sol["x"][[0, 2]], clean["x"][[0, 2]])


def test_quantities_are_those_of_the_straight_lines_between_steps():
    sol = wiener(keep={
        "top": "max(w)", "when": "time_of_max(w)", "area": "integral(w)", "end": "final(w)",
        "late": "at(w, 1.234)",
    })  # fmt: skip
    path = wiener()["w"]
    assert torch.equal(sol["top"], path.amax(1)) and torch.equal(sol["end"], path[:, -1])
    assert torch.allclose(sol["when"], GRID[path.argmax(1)])
    assert torch.allclose(sol["area"], torch.trapezoid(path, GRID), atol=1e-14)
    assert torch.allclose(sol["late"], 0.66 * path[:, 12] + 0.34 * path[:, 13], atol=1e-14)


def test_an_input_with_knots_acts_while_the_noise_stays():
    signal = tw.Signal([0.0, 0.333, 1.2], [0.0, 1.0, -1.0], kind="hold")
    driven = tw.simulate(Relaxation(), GRID, dt=0.1, inputs={"u": signal}, ids=[3])["x"]
    plain = tw.simulate(Quiet(), GRID, method="euler", dt=0.1, inputs={"u": signal})["x"]
    noise = tw.simulate(
        Relaxation(), GRID, dt=0.1, initial={"x": 0.0}, ids=[3],
        inputs={"u": tw.Signal([0.0, 0.333, 1.2], [0.0, 0.0, 0.0], kind="hold")},
    )["x"]  # fmt: skip
    # linear equations: the noisy path is the plain one plus what the noise alone does
    assert torch.allclose(driven, plain + noise, atol=1e-13)
