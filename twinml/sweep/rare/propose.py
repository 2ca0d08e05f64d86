"""Where to tilt: the shift that serves an event best, from a pilot run of subset simulation.

Of all shifts of a standard normal, the mean of the coordinates given the event minimises the
Kullback-Leibler divergence from the ideal density (the cross-entropy solution: de Boer,
Kroese, Mannor and Rubinstein 2005, Annals of Operations Research 134, 19-67, eq. 21). The
pilot's samples are drawn from that very density, so their mean is the shift.

One shift serves an event that lies in one region. How nearly it does is read from the length
of the shift: no event of probability P = Phi(-b) has a longer mean than phi(b) / P, which a
half-space has; two regions on opposite sides have none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import final

import numpy as np

from twinml.errors import SweepError
from twinml.scenario.distribution import Choice, Tabled
from twinml.scenario.tilt import bind_tilt, name_shifts
from twinml.sweep.rare.rows import EventRows
from twinml.sweep.rare.subset import SubsetSimulation

LEAST_CONCENTRATION = 0.8
NOISE = 3.0  # standard errors below which a coordinate is left where it is


@final
@dataclass(frozen=True, eq=False)
class TiltProposal:
    """A tilt for an event.

    Args:
        tilt: Name to shift in s.d. of its normal score, as the key ``tilt`` of a scenario takes.
        concentration: Length of the shift by that of a half-space with the same probability; 1
            for one flat region, near 0 for regions on opposite sides.
        pilot: The run it comes from, with a first estimate of the probability.
        reliable: Whether tilting by it can be expected to work.
        diagnosis: Why not, and what to do; "" where it can.
    """

    tilt: Mapping[str, float]
    concentration: float
    pilot: SubsetSimulation
    reliable: bool
    diagnosis: str


def propose(rows: EventRows, samples: int = 1000) -> TiltProposal:
    """The tilt for an event from ``samples`` pilot rows per level.

    Raises:
        SweepError: The pilot met no event.
    """
    from scipy.special import ndtri

    pilot = rows.subset(samples)
    count = len(pilot.points)
    if count == 0:
        raise SweepError(f"No tilt can be proposed for '{rows.event.text}': {pilot.diagnosis}")
    mean = pilot.points.mean(axis=0)
    spread = pilot.points.std(axis=0) if count > 1 else np.ones_like(mean)
    worth = max(count / (1.0 + pilot.levels[-1].correlation), 1.0)
    shift = np.where(np.abs(mean) > NOISE * spread / math.sqrt(worth), mean, 0.0)
    whole = float(np.linalg.norm(shift))
    tilt = _by_name(rows, shift)
    shift = _coordinates(rows, tilt)  # of what can be tilted
    beta = -float(ndtri(min(pilot.probability, 0.5)))
    longest = math.exp(-0.5 * beta * beta) / math.sqrt(2 * math.pi) / min(pilot.probability, 0.5)
    concentration = float(np.linalg.norm(shift)) / longest
    diagnosis = pilot.diagnosis
    first = f"Use subset simulation, which gave {pilot.probability:.2g} in the pilot."
    if not diagnosis and concentration < LEAST_CONCENTRATION <= whole / longest:
        fixed = ", ".join(name for name in _untilted(rows) if name not in tilt)
        diagnosis = (
            f"the event comes about by {fixed}, which no tilt can move: a constraint ties them, or "
            f"they are listed values or the rows of a table. {first}"
        )
    if not diagnosis and (concentration < LEAST_CONCENTRATION or not tilt):
        diagnosis = (
            f"the event's samples do not lie in one direction (their mean is {concentration:.2f} "
            "of what one flat region would have): a single shift would miss part of them, and the "
            f"weights would not show it. {first}"
        )
    return TiltProposal(tilt, concentration, pilot, not diagnosis, diagnosis)


def _by_name(rows: EventRows, shift: np.ndarray) -> dict[str, float]:
    """Shifts of the quantities that can be tilted, to three digits."""
    found = name_shifts(shift, rows.task.scenario, rows.task.posterior)
    fixed = _untilted(rows)
    return {n: float(f"{x:.3g}") for n, x in found.items() if n not in fixed}


def _untilted(rows: EventRows) -> tuple[str, ...]:
    """Quantities that have no likelihood ratio, or no normal score."""
    tied = [name for f in rows.task.bound.factors if f.conditions for name in f.names]
    steps = [
        name
        for name, varied in rows.task.scenario.vary.items()
        if isinstance(varied.distribution, Choice | Tabled)
    ]
    return tuple(dict.fromkeys([*tied, *steps]))


def _coordinates(rows: EventRows, tilt: Mapping[str, float]) -> np.ndarray:
    bound = bind_tilt(replace(rows.task.scenario, tilt=tilt), rows.task.posterior)
    return np.zeros(rows.dimensions) if bound is None else bound.shift
