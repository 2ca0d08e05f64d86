"""Nothing in a simulation waits for the device: what must be looked at is looked at later."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import twinml as tw
from tests.engines.engines import same_bits
from twinml import library
from twinml.engines.cuda.engine import CudaEngine
from twinml.engines.normalise import build_problem

pytestmark = pytest.mark.usefixtures("compiler")
# Operations that bring a number of the device to the host, or whose result's size hangs on one.
WAITING = ("_local_scalar_dense", "nonzero", "equal", "is_nonzero", "unique", "masked_select",
           "item", "_unique2", "repeat_interleave")  # fmt: skip


class Waits(TorchDispatchMode):
    """Notes operations that wait, and copies to the host."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.partition(".")[0]
        if name in WAITING:
            self.seen.append(name)
        return func(*args, **(kwargs or {}))


CASES = {
    "auto": (library.VanDerPol, {"parameters": {"mu": torch.linspace(1, 900, 30).double()},
             "keep": "final"}),
    "events": (library.BouncingBall, {"method": "tsit5", "keep": "all"}),
    "quantities": (library.CascadedTanks, {"method": "tsit5", "keep": {"top": "max(h2)"}}),
    "outputs": (library.Outbreak, {"method": "tsit5", "dt": 0.5, "keep": "all"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_run_waits_for_nothing(name, standin):
    make, given = CASES[name]
    model, times = make(), [0.0, 1.0, 3.0]
    problem = build_problem(model, times, device=torch.device("cpu"), **given)
    method = given.get("method", "auto")
    with Waits() as waits:
        outcome = CudaEngine().run(problem, method, "frozen")
    assert waits.seen == []
    assert outcome.status.shape == (problem.rows,)


def test_a_call_of_numbers_waits_for_nothing(standin, monkeypatch):
    """From the user's numbers to the solution; times are checked where they are given."""
    on_device = []

    class Fills(Waits):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            if func.__name__.startswith("_local_scalar_dense"):
                on_device.append(args[0].shape)
            return func(*args, **(kwargs or {}))

    with Fills():
        sol = tw.simulate(
            library.Lorenz(), [0.0, 1.0], engine="cuda", method="tsit5", keep="final",
            parameters={"rho": torch.linspace(1, 20, 7, dtype=torch.float64)},
        )  # fmt: skip
    # Only checks of the two times: finite, sorted, which way, first and last.
    assert len(on_device) <= 6 and sol.ok.all()


def test_what_is_found_later_is_found_once_and_can_be_kept(standin):
    given = {"parameters": {"mu": torch.linspace(1, 900, 30).double()}, "keep": "final"}
    sol = tw.simulate(library.VanDerPol(), [0.0, 3.0], engine="cuda", **given)
    copy = pickle.loads(pickle.dumps(sol))
    assert set(copy.method) == set(sol.method) == {"tsit5", "rodas5p"}
    assert copy.kernels[0].seconds == sol.kernels[0].seconds == 0.5
    assert sol.kernels[1].occupancy.registers == 90
    assert "registers a thread" in sol.explain() and "occupancy" in sol.explain()
    same_bits(sol, copy)
