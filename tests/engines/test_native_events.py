"""Events and noise by kernels: closed forms, the reference's numbers, rows that keep their bits."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.engines import assert_same_meaning, same_bits
from tests.engines.event_models import Ball, bounces
from tests.engines.noisy import Growth, Wiener
from tests.engines.test_noise_orders import slope
from twinml import Status

pytestmark = pytest.mark.usefixtures("compiler")

RESTITUTION = torch.tensor([0.7, 0.5, 0.9, 0.8, 0.2], dtype=torch.float64)
HEIGHT = torch.tensor([1.0, 0.3, 9.0, 2.0, 1.0], dtype=torch.float64)
T = torch.linspace(0.0, 1.8, 19, dtype=torch.float64)


def drop(**options) -> tw.Solution:
    given = {"parameters": {"restitution": RESTITUTION}, "initial": {"height": HEIGHT}}
    return tw.simulate(Ball(), T, **{**given, "method": "tsit5", "engine": "native", **options})


def test_a_ball_bounces_at_the_times_of_the_closed_form():
    sol = drop()
    for row in range(5):
        log = sol.events["impact"]
        count = int(log.count[row])
        want = bounces(max(count, 1), float(RESTITUTION[row]), height=float(HEIGHT[row]))
        if sol.ok[row]:
            assert count == int((want <= 1.8).sum())
        else:  # ever faster bounces
            assert int(sol.status[row]) == Status.EVENT_LIMIT
        assert torch.isnan(log.time[row, count:]).all()
        near = min(count, 8)
        assert torch.allclose(log.time[row, :near], want[:near], rtol=0, atol=1e-9)
    assert sol.ok.tolist() == [True, False, True, True, False]


def test_events_are_those_of_the_reference_and_rows_keep_their_bits():
    sol, eager = drop(), drop(engine="eager")
    good = sol.ok.nonzero()[:, 0]
    assert sol.status.tolist() == eager.status.tolist()
    assert torch.equal(sol.events["impact"].count[good], eager.events["impact"].count[good])
    assert torch.allclose(sol["height"], eager["height"], atol=1e-8, equal_nan=True)
    for row in range(5):
        one = drop(
            parameters={"restitution": RESTITUTION[row]}, initial={"height": HEIGHT[row : row + 1]}
        )
        same_bits(one, sol, [row])


def test_bounces_go_on_from_a_state_at_the_same_times():
    whole = drop(parameters={"restitution": 0.7}, initial={"height": 1.0})
    given = {"parameters": {"restitution": 0.7}, "method": "tsit5", "engine": "native"}
    half = tw.simulate(Ball(), T[:10], **given)
    rest = tw.simulate(Ball(), T[9:], start=half.state, **given)
    parts = [sol.events["impact"] for sol in (half, rest)]
    times = torch.cat([log.time[0, : int(log.count[0])] for log in parts])
    want = whole.events["impact"].time[0, : int(whole.events["impact"].count[0])]
    assert torch.allclose(times, want, rtol=0, atol=1e-9)


def test_noise_draws_the_reference_s_paths_and_keeps_rows_their_bits():
    options = {"dt": 1 / 32, "ids": torch.arange(40), "seed": 7}
    t = [0.0, 0.1, 0.5, 1.0]
    native, eager = (tw.simulate(Growth(), t, engine=e, **options) for e in ("native", "eager"))
    assert native.method == "euler_maruyama"
    assert_same_meaning(native, eager, 1e-12)
    index = [33, 2, 17]
    some = tw.simulate(Growth(), t, engine="native", **{**options, "ids": torch.tensor(index)})
    same_bits(some, native, index)


def test_moments_of_growth_converge_at_weak_order_one():
    rows, errors, spreads, counts = 20_000, [], [], (16, 32, 64, 128)
    for count in counts:
        options = {"dt": 1.0 / count, "ids": torch.arange(rows), "keep": "final"}
        end = tw.simulate(Growth(), [0.0, 1.0], engine="native", **options)["x"]
        w = tw.simulate(Wiener(), [0.0, 1.0], engine="native", **options)["w"]
        # The solution on the same path: the gap's mean is the weak error, with far less spread.
        gap = end - torch.exp(1.0 - 0.5 * 0.5**2 + 0.5 * w)
        errors.append(float(gap.mean()))
        spreads.append(float(gap.std()) / rows**0.5)
    found, spread = slope(errors, spreads, counts)
    assert abs(found - 1.0) < 4 * spread + 0.05
    assert 4 * spread < 0.1  # the band says something
