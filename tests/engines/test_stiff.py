"""Stiff problems end at their published values; ``auto`` hands over row by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from tests.engines.engines import on_every_engine
from tests.problems import HIRES, OREGONATOR, ROBERTSON, VAN_DER_POL, ReferenceProblem
from twinml.library import Robertson, VanDerPol

pytestmark = pytest.mark.usefixtures("engine")


def published(problem: ReferenceProblem) -> tw.Physics:
    """A problem of the test set as one vector state."""

    class Published(tw.Physics):
        y = tw.State("1", size=len(problem.initial))

        def rhs(self, t, y):
            return {"y": torch.stack(problem.rhs(t, list(y.unbind(-1))), dim=-1)}

    return Published()


# Largest relative error at the end for rtol 1e-6, as measured, with a margin.
STATED = [(VAN_DER_POL, 1e-6), (ROBERTSON, 2e-7), (OREGONATOR, 1e-6), (HIRES, 2e-6)]


@on_every_engine("stated", STATED, quick=STATED[:2])
def test_the_published_end_value_is_reached(engine, stated):
    problem, allowed = stated
    options = {"initial": {"y": problem.initial}, "atol": min(problem.atol), "keep": "final"}
    ends = [problem.start, problem.end]
    stiff = tw.simulate(published(problem), ends, method="rodas5p", **options).raise_if_failed()
    auto = tw.simulate(published(problem), ends, method="auto", **options).raise_if_failed()
    for sol in (stiff, auto):
        error = np.abs(sol["y"][0].numpy() / np.array(problem.published) - 1.0).max()
        assert error < allowed


def test_tolerances_may_be_given_state_by_state():
    sol = tw.simulate(
        Robertson(), [0.0, 1e11], method="auto", keep="final",
        atol={"a": 1e-14, "b": 1e-19, "c": 1e-9},
    )  # fmt: skip
    found = [float(sol[name]) for name in "abc"]
    assert found == pytest.approx(ROBERTSON.published, rel=1e-3)


def test_auto_hands_over_the_stiff_row_only():
    mu = torch.tensor([1.0, 1000.0], dtype=torch.float64)
    t = torch.linspace(0.0, 20.0, 9, dtype=torch.float64)
    auto = tw.simulate(VanDerPol(), t, {"mu": mu}, rtol=1e-8, atol=1e-10)
    stiff = tw.simulate(VanDerPol(), t, {"mu": mu}, method="rodas5p", rtol=1e-8, atol=1e-10)
    assert auto.method.tolist() == ["tsit5", "rodas5p"]
    assert "rodas5p, tsit5" in auto.explain()
    assert torch.allclose(auto["x"], stiff["x"], rtol=1e-6, atol=1e-6)
    assert int(auto.steps[1]) < 1500


def test_the_hand_over_of_a_row_does_not_depend_on_the_others():
    alone = tw.simulate(VanDerPol(), [0.0, 5.0], {"mu": 1000.0})
    both = tw.simulate(VanDerPol(), [0.0, 5.0], {"mu": [1.0, 1000.0]})
    assert int(alone.steps) == int(both.steps[1])
    assert torch.allclose(alone["x"][0], both["x"][1], rtol=1e-12, atol=0)
    assert alone.method == "rodas5p"


def test_a_quantity_follows_the_path_through_the_hand_over():
    keep = {"peak": "max(x)", "crossing": "first_time(x < 1.9)", "area": "integral(x)"}
    auto = tw.simulate(VanDerPol(), [0.0, 30.0], {"mu": 100.0}, keep=keep)
    stiff = tw.simulate(VanDerPol(), [0.0, 30.0], {"mu": 100.0}, keep=keep, method="rodas5p")
    assert auto.method == "rodas5p"
    for name in keep:
        assert float(auto[name]) == pytest.approx(float(stiff[name]), rel=1e-4)
