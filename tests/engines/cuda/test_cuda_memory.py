"""Memory that does not hold all rows at once: parts, and where results lie."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.engines import same_bits
from twinml import library
from twinml.engines.cuda import engine
from twinml.engines.cuda.plan import bytes_of_results, bytes_of_work, rows_at_once
from twinml.engines.normalise import build_problem
from twinml.errors import OutOfMemoryError

pytestmark = pytest.mark.usefixtures("compiler")
T = [0.0, 0.4, 0.7, 1.0]
RHO = torch.linspace(1.0, 30.0, 90, dtype=torch.float64)
LORENZ: dict[str, Any] = {"parameters": {"rho": RHO}, "method": "tsit5"}


def row_bytes(keep: Any = "all") -> tuple[int, int]:
    problem = build_problem(library.Lorenz(), T, keep=keep, **LORENZ)
    return bytes_of_results(problem), bytes_of_work(problem)


def test_rows_beyond_the_memory_run_in_parts_with_the_same_bits(standin):
    results, work = row_bytes()
    standin.free = 60 * (results + work)
    found = tw.simulate(library.Lorenz(), T, engine="cuda", **LORENZ)
    starts = [launch for launch in standin.launches if launch[0] == "tw_run"]
    assert len(starts) > 1
    assert f"in {len(starts)} parts of at most" in found.reason
    assert found.reason in found.explain()
    same_bits(found, tw.simulate(library.Lorenz(), T, engine="native", **LORENZ))


def test_results_beyond_the_device_lie_in_the_memory_of_the_host(standin):
    results, _ = row_bytes()
    standin.free = 40 * results
    found = tw.simulate(library.Lorenz(), T, engine="cuda", **LORENZ)
    assert "too large for it and lie in the CPU's memory" in found.reason
    same_bits(found, tw.simulate(library.Lorenz(), T, engine="native", **LORENZ))


@pytest.mark.parametrize(
    "name", [pytest.param("BouncingBall", marks=pytest.mark.slow), "BrownianParticle"]
)
def test_events_and_noise_survive_being_parted(name, standin):
    model = getattr(library, name)()
    state = next(iter(model.declared.states))
    first = torch.linspace(0.3, 1.0, 21, dtype=torch.float64)
    given: dict[str, Any] = {"initial": {state: first}, "t": T, "method": "auto"}
    if model.has_noise:
        given |= {"dt": 0.125, "seed": 3}
    standin.free = 2_000
    found = tw.simulate(model, engine="cuda", **given)
    assert "parts" in found.reason
    want = tw.simulate(model, engine="native", **given)
    same_bits(found, want)
    for event in model.declared.events:
        assert torch.equal(found.events[event].first, want.events[event].first)
    if model.has_noise:
        assert torch.equal(found.state.path.cell, want.state.path.cell)


def test_memory_that_runs_out_on_the_way_halves_the_rows(standin, monkeypatch):
    given, failures = engine._run, []

    def run(problem, method, gpu):
        if problem.rows > 30:
            failures.append(problem.rows)
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return given(problem, method, gpu)

    monkeypatch.setattr(engine, "_run", run)
    found = tw.simulate(library.Lorenz(), T, engine="cuda", **LORENZ)
    assert failures == [90, 45]
    assert "parts of at most 22 rows, since the device's memory ran out" in found.reason
    same_bits(found, tw.simulate(library.Lorenz(), T, engine="native", **LORENZ))


def test_no_room_for_a_single_row_is_said(standin, monkeypatch):
    def run(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(engine, "_run", run)
    with pytest.raises(OutOfMemoryError, match="has no memory left for this run, not even"):
        tw.simulate(library.Lorenz(), T, engine="cuda", **LORENZ)


@pytest.mark.parametrize("keep", ["all", "final", {"top": "max(x)"}])
def test_a_plan_stays_below_what_is_free(keep):
    problem = build_problem(library.Lorenz(), T, keep=keep, **LORENZ)
    results, work = bytes_of_results(problem), bytes_of_work(problem)
    for free in (10, 5_000, 20_000, 10**9):
        rows, here = rows_at_once(problem, free)
        assert 1 <= rows <= problem.rows
        taken = rows * (results + work) + (problem.rows * results if here and rows < 90 else 0)
        assert taken <= free or rows == 1
