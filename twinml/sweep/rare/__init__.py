"""Rare events: probabilities of 1e-3 and far below, by subset simulation and tilted samples."""

from twinml.sweep.rare.propose import TiltProposal
from twinml.sweep.rare.subset import Level, SubsetSimulation, subset_simulation
from twinml.sweep.rare.verb import (
    RareEvent,
    check_rare_event,
    estimate_rare_event,
    propose_tilt,
    rare_event,
)
from twinml.sweep.rare.weighted import (
    WeightedProbability,
    effective_size,
    weighted_probability,
)

__all__ = [
    "Level",
    "RareEvent",
    "SubsetSimulation",
    "TiltProposal",
    "WeightedProbability",
    "check_rare_event",
    "effective_size",
    "estimate_rare_event",
    "propose_tilt",
    "rare_event",
    "subset_simulation",
    "weighted_probability",
]
