"""Misleading right-hand sides, one for each row of a batch."""

from __future__ import annotations

import torch
from torch import Tensor

import twinml as tw
from twinml import Status

FAILURE = (Status.NOT_FINITE, Status.STEP_TOO_SMALL, Status.SOLVER_FAILED)

# What a row's ``case`` is, by place; the most attempted steps; how it may end; when it fails.
CASES: dict[str, tuple[int, tuple[Status, ...], float | None]] = {
    "a good one": (60, (Status.OK,), None),
    "nan everywhere": (1, (Status.NOT_FINITE,), 0.0),
    "inf everywhere": (1, (Status.NOT_FINITE,), 0.0),
    "nan after the start": (20, (Status.NOT_FINITE,), 0.0),
    "a division by zero": (1, (Status.NOT_FINITE,), 0.0),
    "a wall of nan at t = 1": (200, (Status.NOT_FINITE,), 1.0),
    "a blow-up at t = 1": (2000, FAILURE, 1.0),
    "a pole at t = 1": (3000, FAILURE, 1.0),
    "a jump at t = 1/3": (200, (Status.OK,), None),
    "a root below zero": (200, (Status.NOT_FINITE,), None),
    "a huge slope": (500, (Status.OK, *FAILURE), None),
    "nan that limits swallow": (200, (Status.NOT_FINITE,), 0.5),
    "another good one": (60, (Status.OK,), None),
}
ROW = {name: row for row, name in enumerate(CASES)}


class Adversary(tw.Physics):
    """y' as ``case`` says."""

    y = tw.State("1", initial=1.0)
    case = tw.Parameter("1", default=0.0)

    def rhs(self, t: Tensor, y: Tensor, case: Tensor) -> dict[str, Tensor]:
        limited = torch.relu(torch.clamp(torch.sqrt(0.5 - t), 0.0, 1.0))
        slopes = {
            "nan everywhere": y * torch.nan,
            "inf everywhere": y * torch.inf,
            "nan after the start": torch.where(t > 0.0, torch.nan, -y),
            "a division by zero": y / (y - y),
            "a wall of nan at t = 1": torch.where(t > 1.0, torch.nan, -y),
            "a blow-up at t = 1": y * y,
            "a pole at t = 1": 1.0 / (1.0 - t),
            "a jump at t = 1/3": torch.where(t < 1 / 3, 1.0, -2.0),
            "a root below zero": -torch.sqrt(y) - 1.0,
            "a huge slope": 1e200 * torch.ones_like(y),
            "nan that limits swallow": torch.minimum(
                torch.maximum(limited, torch.zeros_like(y)), torch.ones_like(y)
            ),
        }
        found = -y
        for name, slope in slopes.items():
            found = torch.where(case == ROW[name], slope, found)
        return {"y": found}
