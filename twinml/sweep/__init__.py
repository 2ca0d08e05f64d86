"""A scenario executed over many samples and stored: ``twinml.sweep(...)`` is callable."""

from twinml.callable_module import make_callable
from twinml.sweep.plan import Plan, Shard
from twinml.sweep.result import Sweep, open_sweep
from twinml.sweep.sensitivity import SobolIndices, sobol_indices
from twinml.sweep.summary import exceedance_by, summarise
from twinml.sweep.verb import sweep

__all__ = [
    "Plan",
    "Shard",
    "SobolIndices",
    "Sweep",
    "exceedance_by",
    "open_sweep",
    "sobol_indices",
    "summarise",
    "sweep",
]

make_callable(__name__, "sweep")
