"""A scenario executed over many samples and stored: ``twinml.sweep(...)`` is callable."""

from twinml.callable_module import make_callable
from twinml.sweep.compare import Comparison, compare
from twinml.sweep.morris import MorrisEffects, morris_effects
from twinml.sweep.plan import Plan, Shard
from twinml.sweep.result import Sweep, open_sweep
from twinml.sweep.sensitivity import SobolIndices, sobol_indices
from twinml.sweep.summary import exceedance_by, summarise
from twinml.sweep.tornado import Tornado
from twinml.sweep.trajectories import Trajectories
from twinml.sweep.verb import sweep

__all__ = [
    "Comparison",
    "MorrisEffects",
    "Plan",
    "Shard",
    "SobolIndices",
    "Sweep",
    "Tornado",
    "Trajectories",
    "compare",
    "exceedance_by",
    "morris_effects",
    "open_sweep",
    "sobol_indices",
    "summarise",
    "sweep",
]

make_callable(__name__, "sweep")
