"""What a contestant is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from problems import BATCHES, Problem

Run = Callable[[], np.ndarray]  # one call: end values, (states, rows)


class Skipped(Exception):
    """This contestant does not run this problem; the text says why."""


class AbstractContestant(ABC):
    """One way to compute an ensemble.

    Attributes:
        name: Name in the tables.
        batches: Numbers of rows to try; the fastest per row is measured.
        counters: What the last call told about itself, such as steps; may stay empty.
    """

    name: str
    batches: tuple[int, ...] = BATCHES

    def __init__(self, cores: int) -> None:
        self.cores = cores
        self.counters: dict[str, float] = {}

    @abstractmethod
    def method(self, problem: Problem) -> str:
        """Name of the method that ``prepare`` will use."""

    @abstractmethod
    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        """Make everything that a second call would find ready.

        Raises:
            Skipped: the contestant has nothing for this problem, or is not installed.
        """


def need(module: str) -> None:
    """Raise ``Skipped`` when a package is not installed."""
    import importlib

    try:
        importlib.import_module(module)
    except ImportError as error:
        raise Skipped(f"{module} is not installed ({error})") from error
