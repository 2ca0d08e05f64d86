"""Correlated quantities by a Gaussian copula: a pure map of a design's points.

A coefficient is the correlation of two quantities' normal scores. It leaves every marginal as it
is, and gives Spearman's rank correlation 6 / pi * arcsin(rho / 2). Source: Nelsen (2006), An
Introduction to Copulas, sec. 2.3 and 5.1; Kruskal (1958), J. Am. Stat. Assoc. 53, 814-861, for
the rank correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.distribution import Calibrated, Choice, Distribution, Fixed, Tabled
from twinml.scenario.keys import check_number

if TYPE_CHECKING:
    from twinml.scenario.scenario import Varied

Correlation = Mapping[str, Mapping[str, float]]
SINGULAR = 1e-10  # an eigenvalue below it: some quantity would be a function of the others
EDGE = 2.0**-53


@final
@dataclass(frozen=True)
class CorrelatedSet:
    """Quantities tied to each other, in the order of ``vary``.

    Args:
        names: k of them.
        lower: Lower Cholesky factor of their correlation, k rows of k.
    """

    names: tuple[str, ...]
    lower: tuple[tuple[float, ...], ...]

    def mix(self, points: np.ndarray) -> np.ndarray:
        """Correlated uniforms of independent ones, shape (N, k) both.

        The first quantity keeps its points. Sums run left to right, so that a row does not depend
        on the rows beside it.
        """
        from scipy.special import ndtr, ndtri

        result = np.empty_like(points)
        result[:, 0] = points[:, 0]
        scores = self.mix_scores(ndtri(points))
        result[:, 1:] = np.clip(ndtr(scores[:, 1:]), EDGE, 1.0 - EDGE)
        return result

    def mix_scores(self, normals: np.ndarray) -> np.ndarray:
        """Correlated standard normals of independent ones, shape (N, k) both."""
        columns = [np.ascontiguousarray(normals[:, j]) for j in range(len(self.names))]
        result = np.empty_like(normals)
        result[:, 0] = columns[0]
        for i in range(1, len(self.names)):
            total = self.lower[i][0] * columns[0]
            for j in range(1, i + 1):
                total = total + self.lower[i][j] * columns[j]
            result[:, i] = total
        return result


def read_correlation(data: Any, vary: Mapping[str, Varied]) -> dict[str, dict[str, float]]:
    """Coefficients as written, each pair once, under the name that ``vary`` has first.

    Raises:
        ScenarioError: A name that is not varied or cannot be correlated, a coefficient that is
            none, a pair given twice with two numbers, or a set that contradicts itself.
    """
    if not isinstance(data, Mapping) or not all(isinstance(row, Mapping) for row in data.values()):
        raise ScenarioError(
            f"correlation is {data!r}; expected pairs of varied names with a coefficient, e.g. "
            "{flow: {pressure: 0.6}}."
        )
    place = {name: position for position, name in enumerate(vary)}
    found: dict[str, dict[str, float]] = {}
    for one, row in data.items():
        for other, value in row.items():
            for name in (one, other):
                _check_name(name, vary)
            where = f"correlation of {one} and {other}"
            rho = check_number(value, where)
            if one == other:
                raise ScenarioError(f"{where}: a quantity cannot be paired with itself. Drop it.")
            if not -1.0 < rho < 1.0:
                raise ScenarioError(
                    f"{where} is {rho:g}; expected a number between -1 and 1, both excluded. Where "
                    f"one follows from the other, vary only '{one}' and write '{other}' in terms "
                    "of it in a change."
                )
            first, second = sorted((one, other), key=place.__getitem__)
            if found.setdefault(first, {}).setdefault(second, rho) != rho:
                raise ScenarioError(
                    f"{where} is given twice, as {found[first][second]:g} and {rho:g}. Keep one."
                )
    ordered = {
        first: {second: found[first][second] for second in sorted(found[first], key=place.get)}  # type: ignore[arg-type]
        for first in sorted(found, key=place.__getitem__)
    }
    correlated_sets(ordered, vary)
    return ordered


def correlated_sets(correlation: Correlation, vary: Iterable[str]) -> tuple[CorrelatedSet, ...]:
    """The sets of quantities that pairs tie together, each with its Cholesky factor.

    Raises:
        ScenarioError: A set's matrix is not positive definite.
    """
    joined: dict[str, set[str]] = {}
    for first, row in correlation.items():
        for second in row:
            union = joined.get(first, {first}) | joined.get(second, {second})
            joined.update(dict.fromkeys(union, union))
    result, seen = [], set[str]()
    for name in vary:
        if name in joined and name not in seen:
            seen |= joined[name]
            names = tuple(other for other in vary if other in joined[name])
            matrix = _matrix(correlation, names)
            _check_definite(matrix, names)
            lower = np.linalg.cholesky(matrix)
            result.append(CorrelatedSet(names, tuple(map(tuple, lower.tolist()))))
    return tuple(result)


def _check_name(name: str, vary: Mapping[str, Varied]) -> None:
    if name not in vary:
        raise ScenarioError(
            f"correlation names '{name}', which is not varied.{nearest(str(name), vary)} "
            f"Varied are {', '.join(vary) or 'none'}."
        )
    reason = _uncorrelated(vary[name].distribution)
    if reason:
        raise ScenarioError(f"correlation names '{name}', {reason}")


def _uncorrelated(entry: Distribution) -> str | None:
    """Why a quantity of this distribution cannot be correlated, or None."""
    match entry:
        case Fixed():
            return "which is fixed: a constant has no correlation. Drop the pair."
        case Calibrated():
            return (
                "which is drawn from the calibration together with its own correlations. Drop the "
                "pair, or give the quantity a distribution of its own."
            )
        case Tabled(path=path):
            return (
                f"which is drawn by whole rows of {path}: what belongs together stands in one "
                "row. Put the other quantity into the table too, or drop the pair."
            )
        case Choice(values=values) if list(values) != sorted(values):
            return (
                f"whose choices {', '.join(f'{x:g}' for x in values)} are not in rising order: "
                "correlation is between small and large, and takes the order as it is written. "
                "Write them from the smallest to the largest."
            )
    return None


def _matrix(correlation: Correlation, names: tuple[str, ...]) -> np.ndarray:
    matrix = np.eye(len(names))
    for i, j in combinations(range(len(names)), 2):
        matrix[i, j] = matrix[j, i] = correlation.get(names[i], {}).get(names[j], 0.0)
    return matrix


def _check_definite(matrix: np.ndarray, names: tuple[str, ...]) -> None:
    if np.linalg.eigvalsh(matrix)[0] > SINGULAR:
        return
    found = tuple(range(len(names)))
    # the smallest part that contradicts itself says more; few quantities are ever correlated
    for size in range(3, min(len(names), 6)):
        parts = (part for part in combinations(range(len(names)), size))
        bad = next(
            (p for p in parts if np.linalg.eigvalsh(matrix[np.ix_(p, p)])[0] <= SINGULAR), None
        )
        if bad is not None:
            found = bad
            break
    listed = ", ".join(names[i] for i in found)
    advice = "Bring the coefficients closer to 0."
    if len(found) == 3:
        i, j, k = found
        a, b = matrix[i, j], matrix[i, k]
        middle, width = a * b, np.sqrt((1 - a * a) * (1 - b * b))
        advice = (
            f"With {names[i]}-{names[j]} at {a:g} and {names[i]}-{names[k]} at {b:g}, that of "
            f"{names[j]} and {names[k]} must lie between {middle - width:.3g} and "
            f"{middle + width:.3g}, and it is {matrix[j, k]:g}."
        )
    raise ScenarioError(
        f"correlation: the coefficients of {listed} contradict each other (their matrix is not "
        f"positive definite; a pair that is not written counts as 0). {advice}"
    )
