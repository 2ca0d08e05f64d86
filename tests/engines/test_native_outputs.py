"""Outputs come from the kernel: networks inside, at jumps, and the same bits for a row alone."""

from __future__ import annotations

import pytest
import torch

import twinml as tw

pytestmark = pytest.mark.usefixtures("compiler")

T = torch.linspace(0.0, 4.0, 41, dtype=torch.float64)
RATES = torch.linspace(0.1, 3.0, 11, dtype=torch.float64)
DRIVE = tw.Signal(torch.linspace(0.0, 4.0, 9, dtype=torch.float64), torch.arange(9.0), "linear")


class Observed(tw.Physics):
    """Two outputs, one of them learned and one of the time."""

    x = tw.State("1", initial=1.0)
    rate = tw.Parameter("1", default=1.0)
    drive = tw.Input("1", default=0.0)
    learned = tw.Output("1")
    clock = tw.Output("1")

    def __init__(self):
        super().__init__()
        self.net = tw.nn.mlp(2, 2, (5, 5), zero=False)

    def rhs(self, x, rate, drive):
        return {"x": drive - rate * x}

    def outputs(self, x, rate, drive, t):
        return {"learned": self.net(x, rate)[0] + drive, "clock": t * x * rate}


def observed(engine: str, rates=RATES, **options) -> tw.Solution:
    rows = rates.shape[0]
    late = torch.linspace(0.5, 3.5, 11, dtype=torch.float64)[:rows]
    changes = [
        tw.Change(late, "multiply", "rate", 0.5, until=3.7),
        tw.Change(2.0, "add", "drive", 0.3),
    ]
    options = {"inputs": {"drive": DRIVE}, "changes": changes, **options}
    with torch.no_grad():
        return tw.simulate(Observed(), T, {"rate": rates}, engine=engine, **options)


@pytest.mark.parametrize("keep", ["all", "final"])
def test_they_are_those_of_torch_also_at_jumps(keep):
    ours, theirs = observed("native", keep=keep), observed("eager", keep=keep)
    for name in ("learned", "clock"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-9, atol=1e-9)


def test_a_row_has_the_same_outputs_alone():
    every = observed("native", changes=[])
    some = observed("native", RATES[[1, 3, 5, 9]], changes=[])
    for name in every.names:
        assert torch.equal(every[name][[1, 3, 5, 9]], some[name]), name
