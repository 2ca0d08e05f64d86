"""Executors of one meaning: eager torch, and generated kernels."""

from twinml.engines.choice import ENGINES
from twinml.engines.simulation import simulate

__all__ = ["ENGINES", "simulate"]
