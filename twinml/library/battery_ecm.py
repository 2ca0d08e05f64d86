"""Lithium-ion cell as an equivalent circuit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from twinml import resources
from twinml.errors import ArgumentError, DataError
from twinml.physics import Input, Output, Parameter, Physics, State, interp

SHIPPED = "lgm50_ocv.csv"


class BatteryEcm(Physics):
    """Open-circuit voltage, a resistance and two RC pairs in series (2-RC Thevenin circuit).

    Source: Plett (2015), Battery Management Systems I, ch. 2, with i the discharge current::

        dsoc/dt = -i / (3600 capacity)           dv1/dt = i / c1 - v1 / (r1 c1), v2 likewise
        voltage = ocv(soc) - r0 i - v1 - v2

    Defaults are those of an LG M50 cell at 25 degC and half charge: open-circuit voltage of Chen
    et al. (2020), J. Electrochem. Soc. 167, 080534; nominal capacity; the circuit as fitted to
    the public 7.5 A pulses of 10 s, so ``c2`` says little about longer loads.

    Args:
        ocv: CSV file with a header line and two columns, state of charge from 0 to 1 and voltage
            in V; the LG M50's when None. Below and above the table its end values hold.
        discharge: Sign of a discharge current in the record: 1, or -1 where charging is positive.

    Raises:
        ArgumentError: another sign than 1 or -1.
        DataError: no such file, or a table that is not two columns of rising charge.
    """

    ocv_soc: Tensor
    ocv_voltage: Tensor
    soc = State("1", initial=0.9, low=0.0, high=1.0)
    v1 = State("V", initial=0.0)
    v2 = State("V", initial=0.0)
    current = Input("A", default=5.0)
    capacity = Parameter("A*h", default=5.0, low=0.05, high=500.0)
    r0 = Parameter("ohm", default=0.0312, low=1e-5, high=1.0)
    r1 = Parameter("ohm", default=0.0015, low=1e-4, high=1.0)
    c1 = Parameter("F", default=540.0, low=1.0, high=1e6)
    r2 = Parameter("ohm", default=0.0066, low=1e-4, high=1.0)
    c2 = Parameter("F", default=2600.0, low=1.0, high=1e7)
    voltage = Output("V")

    def __init__(self, ocv: str | Path | None = None, discharge: int = 1) -> None:
        super().__init__()
        if discharge not in (1, -1):
            raise ArgumentError(
                f"BatteryEcm has discharge={discharge!r}; expected 1 where a positive current "
                "discharges the cell, -1 where it charges."
            )
        table = read_curve(resources.data(SHIPPED) if ocv is None else Path(ocv))
        self.discharge = float(discharge)
        self.register_buffer("ocv_soc", torch.from_numpy(table[:, 0].copy()))
        self.register_buffer("ocv_voltage", torch.from_numpy(table[:, 1].copy()))

    def rhs(
        self, v1: Tensor, v2: Tensor, current: Tensor, capacity: Tensor, r1: Tensor, c1: Tensor,
        r2: Tensor, c2: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        drawn = self.discharge * current
        return {
            "soc": -drawn / (3600.0 * capacity),
            "v1": (drawn - v1 / r1) / c1,
            "v2": (drawn - v2 / r2) / c2,
        }

    def outputs(
        self, soc: Tensor, v1: Tensor, v2: Tensor, current: Tensor, r0: Tensor
    ) -> Mapping[str, Tensor]:
        rest = interp(soc, self.ocv_soc, self.ocv_voltage)
        return {"voltage": rest - r0 * self.discharge * current - v1 - v2}


def read_curve(path: Path) -> np.ndarray:
    """State of charge and voltage, (K, 2), from a CSV file with a header line.

    Raises:
        DataError: no such file, or one that is not two columns of numbers with rising charge.
    """
    expected = "expected a header line, then two columns, state of charge from 0 to 1 and voltage"
    try:
        lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        table = np.loadtxt(lines[1:], delimiter=",", ndmin=2) if lines[1:] else np.zeros((0, 2))
    except FileNotFoundError:
        raise DataError(f"The voltage curve {path} does not exist; {expected}.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"The voltage curve {path} cannot be read ({error}); {expected}.") from None
    if table.shape[1] != 2 or len(table) < 2 or not np.isfinite(table).all():
        raise DataError(f"The voltage curve {path} is a table of {table.shape}; {expected}.")
    charge = table[:, 0]
    if not (np.diff(charge) > 0).all() or charge[0] < 0 or charge[-1] > 1:
        raise DataError(
            f"The voltage curve {path} runs from charge {charge[0]:g} to {charge[-1]:g}; expected "
            "it to rise strictly within 0 to 1. Divide per cent by 100 and sort the rows."
        )
    return table
