"""Constraints between varied quantities: samples that break one are drawn again.

Rejection is exact: what is kept has the given distributions, conditioned on the constraints. Sample
i first tries its point of the design, then numbers of a counter-based stream keyed by (seed, i,
attempt), so it stays a pure function of (seed, design, i). Only the coordinates of the quantities
that a constraint ties together are drawn again; all others keep the design's points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.errors import ScenarioError
from twinml.expression import Binary, Comparison, Elementwise, Expression, check_numbers, parse

if TYPE_CHECKING:
    from torch import Tensor

    from twinml.scenario.factor import Factor

    Known = Callable[[Mapping[str, np.ndarray]], Mapping[str, Tensor | float]]
    Make = Callable[[np.ndarray], dict[str, np.ndarray]]

LEAST = 1e-3  # smallest share of accepted samples; below it drawing costs more than simulating
TRIALS = 2**14
_MOST_ATTEMPTS = 2**20  # with LEAST accepted, no sample in 10^400 comes here
_CHUNK = 2**16  # trial points at a time


def read_constraints(data: Any) -> tuple[Expression, ...]:
    """Conditions that every sample must meet, in the order written.

    Raises:
        ScenarioError: Not a list, or an entry that is no comparison.
        ExpressionError: An entry outside the language.
    """
    if isinstance(data, str) or not isinstance(data, list | tuple):
        raise ScenarioError(
            f"constraints is {data!r}; expected a list of comparisons, e.g. [low < high]."
        )
    found = []
    for number, source in enumerate(data, start=1):
        where = f"constraint {number}"
        entry = source
        if not isinstance(source, Expression):
            entry = parse(source, where=where, allow_functionals=False)
        check_numbers(entry, where)
        if not _is_condition(entry):
            raise ScenarioError(
                f"{where}: '{entry.text}' is a number, not a condition; compare it with another, "
                "e.g. low < high. Several conditions are several entries."
            )
        if not entry.names:
            raise ScenarioError(f"{where}: '{entry.text}' holds no name and cuts nothing. Drop it.")
        found.append(entry)
    return tuple(found)


def met(factor: Factor, values: Mapping[str, np.ndarray], known: Known) -> np.ndarray:
    """Which rows satisfy the conditions of a factor, (N,) bool; an undefined one is not met."""
    import torch

    tensors = known(values)
    rows = len(next(iter(values.values())))
    good = torch.ones(rows, dtype=torch.bool)
    for condition in factor.conditions:
        good = good & (condition.evaluate(tensors) > 0.5)
    return good.expand(rows).numpy()


def redraw(
    factor: Factor,
    values: dict[str, np.ndarray],
    make: Make,
    known: Known,
    seed: int,
    ids: np.ndarray,
) -> None:
    """Replace the rows that break a condition, in place.

    Args:
        factor: One with conditions.
        values: Its quantities, and the constants beside them, each (N,).
        make: From points (M, coordinates of the factor) to its quantities, each (M,).
        known: From quantities to everything that a condition may name.
        seed: Of the stream.
        ids: What a row's stream is keyed by, (N,) integers.

    Raises:
        ScenarioError: A row found no accepted sample.
    """
    left = np.flatnonzero(~met(factor, values, known))
    width, attempt = 2, 0
    constants = {name: column for name, column in values.items() if name not in factor.names}
    while len(left):
        if attempt >= _MOST_ATTEMPTS:
            raise ScenarioError(_too_few(factor, 0, attempt))
        width = max(1, min(2 * width, _CHUNK // len(left)))
        many = _CHUNK if width == 1 else len(left)
        kept = np.zeros(len(left), dtype=bool)
        for first in range(0, len(left), many):
            rows = left[first : first + many]
            points = stream(seed, factor, ids[rows], attempt, width)
            trial = make(points) | {n: np.repeat(c[rows], width) for n, c in constants.items()}
            good = met(factor, trial, known).reshape(len(rows), width)
            found = good.any(axis=1)
            place = (np.arange(len(rows)) * width + good.argmax(axis=1))[found]
            for name in factor.names:
                values[name][rows[found]] = trial[name][place]
            kept[first : first + many] = found
        left, attempt = left[~kept], attempt + width


def stream(seed: int, factor: Factor, ids: np.ndarray, attempt: int, width: int) -> np.ndarray:
    """Uniforms of ``width`` attempts of each row, (rows * width, coordinates), in (0, 1)."""
    import torch

    from twinml.engines.philox import WORD, philox4x32

    tag = int.from_bytes(b"constraint", "big")
    key = np.random.SeedSequence(seed, spawn_key=(tag, factor.dimensions[0]))
    low, high = (int(word) for word in key.generate_state(2, np.uint32))
    row = torch.as_tensor(ids.astype(np.int64))[:, None, None]
    attempts = torch.arange(attempt, attempt + width)[None, :, None]
    count = len(factor.dimensions)
    group = torch.arange(-(-count // 2))[None, None, :]  # one counter yields two numbers
    words = philox4x32((row & WORD, (row >> 32) & WORD, attempts, group), (low, high))
    shape = (len(ids), width, group.shape[-1])
    a, b, c, d = (word.expand(shape) for word in words)
    integers = torch.stack([(a << 20) | (b >> 12), (c << 20) | (d >> 12)], dim=-1)
    uniform = (integers.to(torch.float64) + 0.5) * 2.0**-52
    return uniform.reshape(len(ids) * width, -1)[:, :count].numpy()


def fingerprints(points: np.ndarray) -> np.ndarray:
    """A number for each point, (N,) int64, that depends on its coordinates alone.

    Equal points then find equal substitutes, whatever rows they stand in: a factor whose
    coordinates are frozen keeps its values, as Sobol indices need it.
    """
    mixed = np.zeros(len(points), dtype=np.uint64)
    for column in range(points.shape[1]):
        mixed ^= np.ascontiguousarray(points[:, column]).view(np.uint64)
        # splitmix64: Steele, Lea and Flood (2014), Proc. OOPSLA, 453-472
        mixed += np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return mixed.view(np.int64)


def check_acceptance(factor: Factor, accepted: float) -> None:
    """Refuse conditions that nearly no sample meets.

    Raises:
        ScenarioError: States the share of accepted samples.
    """
    if accepted < LEAST:
        raise ScenarioError(_too_few(factor, round(accepted * TRIALS), TRIALS))


def _too_few(factor: Factor, good: int, trials: int) -> str:
    listed = ", ".join(f"'{condition.text}'" for condition in factor.conditions)
    one = len(factor.conditions) == 1
    return (
        f"constraints: {listed} {'is' if one else 'are together'} met by {good:,} of {trials:,} "
        f"trial samples (acceptance {good / trials:.2g}); at least {LEAST:g} is needed, because "
        "every other sample is drawn again. Choose distributions of "
        f"{', '.join(factor.names)} that lie closer to what is allowed, or vary one quantity by "
        "the distance to another."
    )


def _is_condition(entry: Expression) -> bool:
    match entry:
        case Comparison():
            return True
        case Binary("*", left, right):
            return _is_condition(left) and _is_condition(right)
        case Elementwise("min" | "max", arguments):
            return all(map(_is_condition, arguments))
    return False
