"""A signal delayed row by row is, in each row, the signal with its knots moved."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError, ShapeError
from twinml.physics import Signal

TIMES = torch.tensor([0.0, 0.7, 1.1, 2.0, 3.3, 6.0], dtype=torch.float64)
VALUES = torch.tensor([1.0, 3.0, -2.0, 0.5, 4.0, 1.0], dtype=torch.float64)
DELAYS = torch.tensor([0.0, 0.1, 0.3, 0.61, 1.3, 2.7, 9.0], dtype=torch.float64)
KEEP = {"peak": "max(x)", "end": "final(x)", "area": "integral(u)"}


class Leak(tw.Physics):
    x = tw.State("1", initial=0.2)
    u = tw.Input("1", default=0.0)
    k = tw.Parameter("1/s", default=0.8)

    def rhs(self, x, u, k):
        return {"x": u - k * x * x * x}


def rows(signal: Signal, engine: str, **options):
    return tw.simulate(
        Leak(), [0.0, 5.0], inputs={"u": signal}, engine=engine, keep=KEEP, **options
    )


@pytest.mark.parametrize("kind", ["hold", "linear"])
@pytest.mark.parametrize("engine", ["eager", "native"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["f64", "f32"])
def test_each_row_sees_its_own_knots(kind, engine, dtype):
    found = rows(Signal(TIMES, VALUES, kind, DELAYS), engine, dtype=dtype)
    bound = 1e-12 if dtype == torch.float64 else 1e-5
    if (kind, engine, dtype) == ("hold", "native", torch.float64):
        bound = 0.0  # the same sums: the same bits
    for row, delay in enumerate(DELAYS.tolist()):
        # before the first knot its value holds, which a record of its own has to say
        times, values = TIMES + delay, VALUES
        if delay > 0:
            times = torch.cat([torch.zeros(1, dtype=torch.float64), times])
            values = torch.cat([VALUES[:1], values])
        alone = rows(Signal(times, values, kind), engine, dtype=dtype)
        for name in KEEP:
            one, other = found[name][row], alone[name].reshape(-1)[0]
            assert float((one - other).abs()) <= bound * max(1.0, abs(float(other))), (name, row)


def test_engines_agree_and_a_change_acts_on_the_delayed_signal():
    change = tw.Change(0.0, "multiply", "u", torch.linspace(0.5, 2.0, 7, dtype=torch.float64))
    later = tw.Change(torch.linspace(0.3, 4.5, 7, dtype=torch.float64), "add", "u", 0.5)
    signal = Signal(TIMES, VALUES, "linear", DELAYS)
    options = {"changes": [change, later], "rtol": 1e-9, "atol": 1e-11}
    eager, native = (rows(signal, engine, **options) for engine in ("eager", "native"))
    for name in KEEP:
        torch.testing.assert_close(native[name], eager[name], rtol=1e-7, atol=1e-8)


def test_gradients_by_the_values_see_the_delay():
    def loss(engine, values):
        found = tw.simulate(
            Leak(), [0.0, 2.5, 5.0], inputs={"u": Signal(TIMES, values, "linear", DELAYS)},
            engine=engine, method="tsit5", dt=0.05,
        )  # fmt: skip
        return (found["x"] ** 2).sum()

    slopes = []
    for engine in ("eager", "native"):
        values = VALUES.clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(engine, values), values)
        slopes.append(slope)
    torch.testing.assert_close(slopes[1], slopes[0], rtol=1e-9, atol=1e-10)
    for knot in (0, 3):
        moved = [VALUES.clone() for _ in range(2)]
        moved[0][knot] += 1e-5
        moved[1][knot] -= 1e-5
        with torch.no_grad():
            central = (loss("native", moved[0]) - loss("native", moved[1])) / 2e-5
        assert float(slopes[0][knot]) == pytest.approx(float(central), rel=1e-6)


def test_a_bad_delay_is_refused():
    with pytest.raises(ArgumentError, match="asks for a gradient"):
        Signal(TIMES, VALUES, "hold", DELAYS.clone().requires_grad_())
    with pytest.raises(ShapeError, match="delay of shape"):
        Signal(TIMES, VALUES, "hold", DELAYS.reshape(1, -1))
    with pytest.raises(ArgumentError, match="delays that are nan"):
        Signal(TIMES, VALUES, "hold", DELAYS / 0.0)
    with pytest.raises(ShapeError, match="rows"):
        tw.simulate(
            Leak(), [0.0, 5.0], inputs={"u": Signal(TIMES, VALUES, "hold", DELAYS)},
            parameters={"k": torch.ones(3, dtype=torch.float64)},
        )  # fmt: skip
    with pytest.raises(ArgumentError, match="known from"):
        rows(Signal(TIMES, VALUES, "linear", torch.tensor([-1.5])), "eager")
