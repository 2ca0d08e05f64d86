"""Executors of one meaning: eager torch now, generated kernels beside it later."""

from twinml.engines.simulation import ENGINES, simulate

__all__ = ["ENGINES", "simulate"]
