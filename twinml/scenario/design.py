"""Designs: where in the unit cube sample i lies.

Point i is a function of (seed, design, i), and of the total for ``latin`` and ``grid``; any
range of points can be asked for and any split gives the same bits. The others are nested: a
longer sweep begins with the shorter one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import ClassVar, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.sobol import sobol_points


class Design(ABC):
    """A rule that places N points in the open unit cube."""

    name: ClassVar[str]
    source: ClassVar[str]
    nested: ClassVar[bool] = True

    def points(self, start: int, stop: int, n_total: int, dimensions: int, seed: int) -> np.ndarray:
        """Points of samples ``start`` to ``stop``.

        Args:
            start, stop: Range of sample indices. A nested design continues beyond ``n_total``.
            n_total: Number of samples of the whole sweep.
            dimensions: Number of coordinates; dimension j is the same whatever follows it.
            seed: Zero or more.

        Returns:
            Shape (stop - start, dimensions), float64, strictly inside (0, 1).

        Raises:
            ScenarioError: The range, total or seed cannot be used.
        """
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ScenarioError(f"The seed is {seed!r}; expected a whole number, zero or more.")
        if not 0 <= start <= stop or (stop > n_total and not self.nested):
            raise ScenarioError(
                f"Samples {start} to {stop} were asked of a {self.name} design of {n_total}."
            )
        if dimensions == 0 or start == stop:
            return np.empty((stop - start, dimensions))
        return self._points(start, stop, n_total, dimensions, seed)

    @abstractmethod
    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray: ...


@final
class Sobol(Design):
    name = "sobol"
    source = "Joe and Kuo (2008); scrambled after Matousek (1998)"

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        return sobol_points(start, stop, dimensions, seed)


@final
class Halton(Design):
    name = "halton"
    source = "Halton (1960); digits permuted at random after Owen (2017), arXiv:1706.02808"

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        from scipy.stats import qmc

        key = np.random.SeedSequence(seed, spawn_key=(_tag(self.name),))
        sequence = qmc.Halton(dimensions, scramble=True, rng=np.random.default_rng(key))
        # where the sequence goes on; its own fast_forward computes every point before
        sequence.num_generated = start
        return np.clip(sequence.random(stop - start), 2.0**-53, 1.0 - 2.0**-53)


@final
class Random(Design):
    name = "random"
    source = "Philox4x64-10: Salmon et al. (2011), Proc. SC11"

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        return philox_points(start, stop, dimensions, seed, self.name)


@final
class Latin(Design):
    name = "latin"
    source = "McKay, Beckman and Conover (1979), Technometrics 21(2), 239-245"
    nested = False

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        inside = philox_points(start, stop, dimensions, seed, "latin inside")
        points = np.empty_like(inside)
        for dimension in range(dimensions):
            strata = _permutation(n_total, seed, dimension)[start:stop]
            points[:, dimension] = (strata + inside[:, dimension]) / n_total
        return np.clip(points, 2.0**-53, 1.0 - 2.0**-53)


@final
class Grid(Design):
    """Every combination of m mid-points per dimension, so N = m ** dimensions.

    The last dimension runs fastest.
    """

    name = "grid"
    source = "full factorial, mid-point of each of m equal cells"
    nested = False

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        levels = self.levels(n_total, dimensions)
        index = np.arange(start, stop, dtype=np.int64)
        points = np.empty((len(index), dimensions))
        for dimension in reversed(range(dimensions)):
            index, cell = np.divmod(index, levels)
            points[:, dimension] = (cell + 0.5) / levels
        return points

    @staticmethod
    def levels(n_total: int, dimensions: int) -> int:
        """Levels per dimension.

        Raises:
            ScenarioError: ``n_total`` is not a power of whole levels; names the nearest ones.
        """
        guess = max(1, round(n_total ** (1.0 / dimensions)))
        if guess**dimensions == n_total:
            return guess
        below = guess if guess**dimensions < n_total else guess - 1
        options = [f"{m**dimensions:,} ({m} levels)" for m in (below, below + 1) if m > 0]
        raise ScenarioError(
            f"A grid over {dimensions} varied quantities takes m ** {dimensions} samples; got "
            f"{n_total:,}. Use samples={' or '.join(options)}, or design: sobol."
        )


@final
class TableDesign(Design):
    """Sample i is row i of the table; quantities without a table take Sobol points."""

    name = "table"
    source = "the rows of a file, in order"

    def _points(
        self, start: int, stop: int, n_total: int, dimensions: int, seed: int
    ) -> np.ndarray:
        return sobol_points(start, stop, dimensions, seed)


DESIGNS: dict[str, Design] = {
    design.name: design for design in (Sobol(), Halton(), Random(), Latin(), Grid(), TableDesign())
}


def find_design(name: object) -> Design:
    """A design by its name.

    Raises:
        ScenarioError: Unknown name; lists the known ones.
    """
    if name not in DESIGNS:
        raise ScenarioError(
            f"design is {name!r}, which is unknown.{nearest(str(name), DESIGNS)} "
            f"Known are {', '.join(DESIGNS)}."
        )
    return DESIGNS[str(name)]


def philox_points(start: int, stop: int, dimensions: int, seed: int, purpose: str) -> np.ndarray:
    """Independent uniforms by counter: dimension j of sample i is one fixed number.

    Returns:
        Shape (stop - start, dimensions), strictly inside (0, 1).
    """
    sequence = np.random.SeedSequence(seed, spawn_key=(_tag(purpose),))
    key = sequence.generate_state(2, np.uint64)
    points = np.empty((stop - start, dimensions))
    for group in range(0, dimensions, 4):  # one counter yields four words
        counter = np.array([start, group // 4, 0, 0], dtype=np.uint64)
        words = np.random.Philox(key=key, counter=counter).random_raw(4 * (stop - start))
        uniform = ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52
        width = min(4, dimensions - group)
        points[:, group : group + width] = uniform.reshape(-1, 4)[:, :width]
    return points


@lru_cache(maxsize=16)
def _permutation(n_total: int, seed: int, dimension: int) -> np.ndarray:
    key = np.random.SeedSequence(seed, spawn_key=(_tag("latin"), dimension))
    return np.random.default_rng(key).permutation(n_total)


def _tag(purpose: str) -> int:
    return int.from_bytes(purpose.encode(), "big")
