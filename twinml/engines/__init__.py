"""Executors of one meaning: eager torch now, generated kernels beside it later."""

from twinml.engines.choice import ENGINES
from twinml.engines.simulation import simulate

__all__ = ["ENGINES", "simulate"]
