"""Everyone who takes part."""

from __future__ import annotations

from contestants.base import AbstractContestant
from contestants.jax_batch import Diffrax, Jax
from contestants.numba_hand import Numba
from contestants.reference import AVX512, KERNELS, NO_BLOCKS, NO_REFILL, RODAS4, Reference
from contestants.scipy_loop import Scipy
from contestants.torchdiffeq_batch import TorchDiffEq
from contestants.torchode_batch import Torchode
from contestants.twinml_engine import Eager, Native


def everyone(cores: int) -> list[AbstractContestant]:
    """One of each, in the order of the tables."""
    return [
        Native(cores),
        Reference(cores, "reference (C++)", KERNELS),
        Reference(cores, "reference, AVX-512", KERNELS, AVX512),
        Reference(cores, "reference, no blocks", NO_BLOCKS),
        Reference(cores, "reference, no refill", NO_REFILL),
        Reference(cores, "reference, rodas4", RODAS4),
        Numba(cores),
        Jax(cores),
        Diffrax(cores),
        Torchode(cores),
        TorchDiffEq(cores),
        Scipy(cores),
        Eager(cores),
    ]
