"""Timing: contestants take turns, so that a slow minute of the machine meets all of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from contestants.base import AbstractContestant, Run, Skipped
from machine import Clock, Seconds
from problems import Problem
from truth import Error, error

PATIENCE = 4.0  # seconds that one call may be expected to take


@dataclass(eq=False)
class Entry:
    """A contestant made ready for one problem."""

    contestant: AbstractContestant
    problem: Problem
    rows: int
    tolerance: float
    run: Run
    error: Error
    counters: dict[str, float]
    label: str = ""
    taken: list[Seconds] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Median CPU seconds of a call."""
        return statistics.median(one.cpu for one in self.taken)

    @property
    def wall(self) -> float:
        """Median seconds of a call on the wall."""
        return statistics.median(one.wall for one in self.taken)

    @property
    def spread(self) -> float:
        """(largest - smallest) / median of the CPU seconds."""
        cpu = [one.cpu for one in self.taken]
        return (max(cpu) - min(cpu)) / self.cpu if self.cpu else 0.0

    @property
    def rate(self) -> float:
        """Rows per CPU second."""
        return self.rows / self.cpu if self.cpu else float("inf")


def timed(run: Run) -> float:
    """CPU seconds of one call."""
    clock = Clock()
    run()
    return clock.read().cpu


def enter(
    contestant: AbstractContestant,
    problem: Problem,
    truth: object,
    tolerance: float,
    batches: Sequence[int] | None = None,
) -> Entry:
    """Make ready at the batch size with the best rate.

    Raises:
        Skipped: the contestant does not take part.
    """
    best: Entry | None = None
    best_rate = 0.0
    predicted = 0.0
    for rows in batches or contestant.batches:
        if best is not None and predicted * rows / best.rows > PATIENCE:
            break
        run = contestant.prepare(problem, rows, tolerance)
        found = run()  # compiles
        seconds = max(timed(run), 1e-6)
        predicted = seconds
        if rows / seconds > best_rate:
            best_rate = rows / seconds
            best = Entry(
                contestant, problem, rows, tolerance, run, error(found, truth),  # type: ignore[arg-type]
                dict(contestant.counters),
            )  # fmt: skip
    if best is None:
        raise Skipped("no batch size was tried")
    return best


def take_turns(entries: Sequence[Entry], rounds: int) -> None:
    """Measure all entries, one call each in every round."""
    for number in range(rounds):
        order = entries if number % 2 == 0 else list(reversed(entries))
        for entry in order:
            clock = Clock()
            entry.run()
            entry.taken.append(clock.read())
            entry.counters.update(entry.contestant.counters)
