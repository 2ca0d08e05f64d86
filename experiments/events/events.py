"""Three models with events against their closed forms; see README.md."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import torch
from torch import Tensor

import twinml as tw
from twinml.library import BouncingBall
from twinml.report.style import BLUE, INK, MUTED, ORANGE, figure, save


class Room(tw.Physics):
    """A room with a thermostat: heating goes on below ``low`` and off above ``high``."""

    time_unit = "h"
    temperature = tw.State("K", initial=293.0)
    heating = tw.State("1", initial=0.0)
    outdoor = tw.Input("K", default=278.0)
    inertia = tw.Parameter("h", default=8.0)
    rise = tw.Parameter("K", default=30.0)  # above outdoors, if the heating stayed on
    low = tw.Parameter("K", default=291.0)
    high = tw.Parameter("K", default=294.0)

    def rhs(self, temperature, heating, outdoor, inertia, rise):
        aim = outdoor + heating * rise
        return {"temperature": (aim - temperature) / inertia, "heating": torch.zeros_like(heating)}

    @tw.event(direction=-1)
    def cold(self, temperature, low):
        return temperature - low

    @cold.reset
    def switch_on(self, heating):
        return {"heating": torch.ones_like(heating)}

    @tw.event(direction=1)
    def warm(self, temperature, high):
        return temperature - high

    @warm.reset
    def switch_off(self, heating):
        return {"heating": torch.zeros_like(heating)}


class Cell(tw.Physics):
    """A cell under constant load, until its voltage falls to the cut-off."""

    time_unit = "h"
    charge = tw.State("1", initial=1.0)
    current = tw.Parameter("A", default=2.5)
    capacity = tw.Parameter("A*h", default=5.0)
    empty = tw.Parameter("V", default=2.9)
    swing = tw.Parameter("V", default=1.2)
    resistance = tw.Parameter("ohm", default=0.04)
    cut_off = tw.Parameter("V", default=3.0)
    voltage = tw.Output("V")

    def rhs(self, current, capacity):
        return {"charge": -current / capacity}

    def outputs(self, charge, current, empty, swing, resistance):
        return {"voltage": empty + swing * charge - resistance * current}

    @tw.event(direction=-1, terminal=True)
    def discharged(self, charge, current, empty, swing, resistance, cut_off):
        return empty + swing * charge - resistance * current - cut_off


def line(what: str, found: float, exact: float) -> None:
    print(f"  {what:<34} {found:14.9f}  exact {exact:14.9f}  gap {found - exact:9.1e}")


def ball() -> tuple[tw.Record, tw.Solution, float]:
    """Calibrate the restitution of a ball."""
    truth, height = 0.62, 1.1
    t = torch.linspace(0.0, 1.8, 91, dtype=torch.float64)
    options = {"rtol": 1e-10, "atol": 1e-12}
    real = tw.simulate(BouncingBall(), t, {"restitution": truth}, {"height": height}, **options)
    first = math.sqrt(2 * height / 9.81)
    print("ball")
    for number in range(3):
        late = sum(2 * truth**k for k in range(1, number + 1))
        line(f"impact {number + 1} [s]", float(real.events["impact"].time[0, number]),
             first * (1 + late))  # fmt: skip
    noise = 2e-3 * torch.randn(91, generator=torch.Generator().manual_seed(7)).double()
    seen = (real["height"][0] + noise).numpy()
    record = tw.Record(t.numpy(), {"altitude": seen}, {"altitude": "m"})
    model = BouncingBall()
    cal = tw.calibrate(
        model, record, fit=["restitution"], fit_initial=["height"], starts=8, seed=0
    )  # fmt: skip
    for name, value, std, want in zip(cal.names, cal.values, cal.std, (truth, height), strict=True):
        print(f"  {name:<34} {value:9.5f} +- {std:.5f}, made with {want}")
    fitted = dict(zip(cal.names, map(float, cal.values), strict=True))
    best = tw.simulate(
        model, torch.linspace(0.0, 1.8, 901, dtype=torch.float64),
        {"restitution": fitted["restitution"]}, {"height": fitted["initial.height"]},
    )  # fmt: skip
    return record, best, fitted["restitution"]


def room() -> tw.Solution:
    """The cycle of a thermostat."""
    t = torch.linspace(0.0, 12.0, 1201, dtype=torch.float64)
    sol = tw.simulate(Room(), t, rtol=1e-11, atol=1e-12)
    cold, warm = sol.events["cold"].time[0], sol.events["warm"].time[0]
    on = 8.0 * math.log((308.0 - 291.0) / (308.0 - 294.0))
    off = 8.0 * math.log((294.0 - 278.0) / (291.0 - 278.0))
    print("thermostat")
    line("heating for [h]", float(warm[1] - cold[1]), on)
    line("and off for [h]", float(cold[1] - warm[0]), off)
    share = tw.simulate(
        Room(), [float(cold[0]), float(cold[3])], keep={"on": "mean(heating)"},
        initial={"temperature": 291.0, "heating": 1.0}, rtol=1e-11, atol=1e-12,
    )  # fmt: skip
    line("share of time on", float(share["on"]), on / (on + off))
    return sol


def cell() -> tuple[tw.Solution, Tensor]:
    """The end of a discharge, and how it moves with the load."""
    current = torch.tensor([1.0, 2.5, 5.0], dtype=torch.float64, requires_grad=True)
    t = torch.linspace(0.0, 6.0, 601, dtype=torch.float64)
    sol = tw.simulate(Cell(), t, {"current": current})
    end = sol.events["discharged"].first
    (slope,) = torch.autograd.grad(end.sum(), current)
    print("discharge (status", sol.status.tolist(), "is EVENT_STOP)")
    for load, found, moved in zip(current.tolist(), end.tolist(), slope.tolist(), strict=True):
        left = (3.0 - 2.9 + 0.04 * load) / 1.2
        line(f"end at {load} A [h]", found, 5.0 * (1 - left) / load)
        # d/dI of 5 (1 - 0.1/1.2) / I - 5 * 0.04 / 1.2
        line("  its slope by the load [h/A]", moved, -5.0 * (1 - 0.1 / 1.2) / load**2)
    return sol, end.detach()


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    folder.mkdir(parents=True, exist_ok=True)
    record, best, restitution = ball()
    warm = room()
    discharged, end = cell()
    with figure(8.0, 8.5) as made:
        top, middle, low = made.subplots(3, 1)
        top.plot(record.time, record.columns["altitude"], ".", ms=4, color=INK, label="record")
        top.plot(best.t, best["altitude"][0], color=BLUE, label=f"restitution {restitution:.3f}")
        top.set(ylabel="altitude [m]", xlabel="time [s]", title="A ball, calibrated")
        top.legend(loc="upper right")
        middle.plot(warm.t, warm["temperature"][0], color=BLUE)
        middle.fill_between(
            warm.t, 291.0, 294.0, where=warm["heating"][0].numpy() > 0.5, color=ORANGE, alpha=0.25,
            lw=0, label="heating on", step="post",
        )  # fmt: skip
        middle.set(ylabel="temperature [K]", xlabel="time [h]", title="A thermostat")
        middle.set_ylim(290.8, 295.0)
        middle.legend(loc="upper right")
        for row, load in enumerate((1.0, 2.5, 5.0)):
            volts = discharged["voltage"][row].detach()
            low.plot(discharged.t, volts, color=(BLUE, ORANGE, INK)[row], label=f"{load:g} A")
            low.plot(float(end[row]), 3.0, "o", color=(BLUE, ORANGE, INK)[row])
        low.axhline(3.0, color=MUTED, lw=0.8, ls="--")
        low.set(ylabel="voltage [V]", xlabel="time [h]", title="A cell, until its cut-off")
        low.legend(loc="upper right")
        print("wrote", save(made, folder / "events.png"))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python experiments/events/events.py FOLDER")
    main(Path(sys.argv[1]))
