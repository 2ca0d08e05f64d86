"""Everyone who takes part."""

from __future__ import annotations

from contestants.base import AbstractContestant
from contestants.jax_batch import Diffrax, Jax
from contestants.numba_hand import Numba
from contestants.reference import FOURTH_ORDER, KERNELS, WITHOUT_REFILL, Reference
from contestants.scipy_loop import Scipy
from contestants.torchdiffeq_batch import TorchDiffEq
from contestants.torchode_batch import Torchode
from contestants.twinml_engine import Eager, Native


def everyone(cores: int) -> list[AbstractContestant]:
    """One of each, in the order of the tables."""
    return [
        Native(cores),
        Reference(cores, "reference (C++)", KERNELS),
        Reference(cores, "reference, no refill", WITHOUT_REFILL),
        Reference(cores, "reference, rodas4", FOURTH_ORDER),
        Numba(cores),
        Jax(cores),
        Diffrax(cores),
        Torchode(cores),
        TorchDiffEq(cores),
        Scipy(cores),
        Eager(cores),
    ]
