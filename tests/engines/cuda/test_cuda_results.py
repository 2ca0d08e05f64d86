"""What the cuda engine gives is what the native one gives: launches, queue, tables, lists."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.cuda.standin import standing_in
from tests.engines.engines import same_bits
from tests.engines.test_native_hybrid import Learned
from tests.engines.test_native_library import KEEPS, NOISY, scenario
from tests.kernel_physics.models import TwinLorenz
from twinml import library

pytestmark = pytest.mark.usefixtures("compiler")
F64 = torch.float64
T = [0.0, 0.25, 0.3, 1.0]


def spread(low: float, high: float, rows: int = 150) -> torch.Tensor:
    return torch.linspace(low, high, rows, dtype=F64)


def tanks() -> dict[str, Any]:
    """A linear input in rows of its own, a change that ends, and times of each row."""
    rows = 40
    values = torch.rand((rows, 3), generator=torch.Generator().manual_seed(3), dtype=F64)
    ends = [(0.0, 0.1), (0.4, 0.5), (0.9, 1.9)]
    return {
        "t": torch.stack([spread(low, high, rows) for low, high in ends], 1),
        "inputs": {"u": tw.Signal([0.0, 0.45, 2.0], 1.0 + values, "linear")},
        "changes": [tw.Change(spread(0.2, 1.2, rows), "multiply", "k1", 2.0, until=1.5)],
    }


CASES: dict[str, tuple[Any, dict[str, Any]]] = {
    "fixed": (library.Lorenz, {"t": T, "parameters": {"rho": spread(1, 30)}, "dt": 0.01,
              "method": "tsit5"}),
    "float32": (library.Lorenz, {"t": T, "parameters": {"rho": spread(1, 30)}, "dt": 0.01,
                "method": "rk4", "dtype": torch.float32, "keep": "final"}),
    "queue": (library.Lorenz, {"t": T, "parameters": {"rho": spread(1, 30, 700)},
              "method": "tsit5", "keep": "final"}),
    "handed over": (library.VanDerPol, {"t": [0.0, 0.5, 3.0],
                    "parameters": {"mu": spread(1, 900, 90)}, "keep": {"top": "max(x)"}}),
    "tanks": (library.CascadedTanks, {**tanks(), "method": "dopri5"}),
    "events": (library.BouncingBall, {"t": T, "initial": {"height": spread(0.05, 1.0, 60)},
               "method": "tsit5", "keep": {"low": "first_time(height < 0.1)"}}),
    "noise": (library.BrownianParticle, {"t": T, "dt": 0.07, "seed": 5,
              "ids": torch.arange(100, 180)}),
    "network": (Learned, {"t": T, "dt": 0.05, "initial": {"x": spread(-1, 1, 40)}}),
    "header": (TwinLorenz, {"t": T, "parameters": {"rho": spread(1, 30, 40)}}),
    "backward": (library.Lorenz, {"t": [1.0, 0.4, 0.0], "parameters": {"rho": spread(1, 9, 40)},
                 "method": "rodas5p"}),
    "failing": (library.PredatorPrey, {"t": [0.0, 20.0], "max_steps": 84, "method": "tsit5",
                "initial": {"prey": spread(1, 60, 70)}}),
}  # fmt: skip
QUICK = ("fixed", "handed over", "events", "tanks")


@pytest.mark.parametrize(
    "name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in CASES]
)
def test_a_run_means_what_it_means_natively(name, agree):
    make, given = CASES[name]
    model = make()
    with torch.no_grad():
        found = tw.simulate(model, engine="cuda", **given)
        want = tw.simulate(model, engine="native", **given)
    agree(found, want)
    assert list(found.method) == list(want.method)
    if name == "handed over":
        assert set(want.method) == {"tsit5", "rodas5p"}
    if name == "failing":
        assert 0 < int(want.ok.sum()) < want.ok.shape[0]


@pytest.mark.parametrize("warp", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_rows_do_not_hang_on_how_threads_share_them(warp):
    """Fewer threads than rows, in warps of another size: every row is taken once."""
    given = {"parameters": {"rho": spread(1, 30, 333)}, "method": "tsit5", "keep": "final"}
    with standing_in(warp=warp, processors=1, resident=1) as standin:
        found = tw.simulate(library.Lorenz(), T, engine="cuda", **given)
        ((_, blocks, threads),) = standin.launches
        assert blocks * threads < 333
    same_bits(found, tw.simulate(library.Lorenz(), T, engine="native", **given))


@pytest.mark.slow
def test_going_on_is_going_on(standin):
    """A solution of one call goes on in the next: sides of guards, steps and noise with it."""
    model = library.BouncingBall()
    given = {"initial": {"height": spread(0.2, 1.0, 5)}, "method": "tsit5"}
    solutions = {}
    for engine in ("cuda", "native"):
        half = tw.simulate(model, [0.0, 0.6], engine=engine, **given)
        solutions[engine] = tw.simulate(
            model, [0.6, 1.3], engine=engine, start=half.state, method="tsit5"
        )
    same_bits(solutions["cuda"], solutions["native"])


WAYS = [("tsit5", True), ("tsit5", False), ("vern7", False), ("rodas5p", False), ("auto", False)]
LIBRARY = [
    (name, *way, keep)
    for name in library.__all__
    for way in (NOISY if getattr(library, name)().has_noise else WAYS)
    for keep in KEEPS
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "method", "fixed", "keep"), LIBRARY)
def test_the_library_has_the_same_bits_as_natively(name, method, fixed, keep, standin):
    model = getattr(library, name)()
    given = scenario(model)
    given["method"] = method
    if fixed:
        given["dt"] = given["t"][-1] / 50
    state = next(iter(model.declared.states))
    given["keep"] = {"top": f"max({state})", "mean": f"mean({state})"} if keep == KEEPS[2] else keep
    found, want = (tw.simulate(model, engine=e, **given) for e in ("cuda", "native"))
    same_bits(found, want)
