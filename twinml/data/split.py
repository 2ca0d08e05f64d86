"""Parts of a data set, chosen by a hash of the sample ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twinml.errors import ArgumentError, ShapeError

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MASK = (1 << 64) - 1


def splitmix64(value: np.ndarray) -> np.ndarray:
    """Scramble 64-bit integers one to one.

    Args:
        value: Shape (N,), uint64.

    Returns:
        Shape (N,), uint64.

    Source: Steele, Lea, Flood (2014), Fast splittable pseudorandom number generators, fig. 16,
    with the constants of variant 13 by D. Stafford.
    """
    z = value + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def hash_order(ids: np.ndarray, seed: int) -> np.ndarray:
    """Positions of ``ids`` in the order of a hash of (seed, id), shape (N,).

    The ids met in this order do not depend on the order in which they are given.

    Raises:
        ShapeError: ``ids`` is not one-dimensional.
        ArgumentError: ``ids`` are not integers, or one occurs twice.
    """
    ids = np.asarray(ids)
    if ids.ndim != 1:
        raise ShapeError(f"ids have shape {ids.shape}; expected (N,), one integer per row.")
    if ids.dtype.kind not in "iu":
        raise ArgumentError(
            f"ids have type {ids.dtype}; expected integers, because a row is recognised by its id."
        )
    values, counts = np.unique(ids, return_counts=True)
    if len(values) < len(ids):
        raise ArgumentError(
            f"{len(ids) - len(values)} ids occur more than once (for example "
            f"{values[counts > 1][0]}); expected each once, because a row in two parts would make "
            "the test optimistic. Drop the repeated rows or number the rows anew."
        )
    key = splitmix64(np.array([seed & _MASK], dtype=np.uint64))
    # one to one for a fixed seed, so distinct ids never tie
    return np.argsort(splitmix64(ids.astype(np.uint64) ^ key), kind="stable")


def split_rows(
    ids: np.ndarray, sizes: Mapping[str, int | float], seed: int = 0
) -> dict[str, np.ndarray]:
    """Cut rows into disjoint parts by a hash of their ids.

    Args:
        ids: Sample ids, shape (N,), integers, each once.
        sizes: Part to its number of rows (int) or its fraction of N (float), in cutting order.
        seed: Another seed gives another, unrelated cut.

    Returns:
        Part to positions into ``ids``, in hash order: a prefix of a part is itself a random
        subset. Rows beyond the last part are in none.

    Raises:
        ArgumentError: A size is negative or a fraction above 1, or the parts need more than N rows.
    """
    order = hash_order(ids, seed)
    n, fraction, counts = len(order), 0.0, {}
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
            raise ArgumentError(
                f"The size of part '{name}' is {size!r}; expected a number of rows or a fraction."
            )
        whole = isinstance(size, int | np.integer)
        if not size >= 0 or (not whole and size > 1):
            raise ArgumentError(
                f"The size of part '{name}' is {size}; expected a number of rows (an integer, "
                "0 or more) or a fraction of them (0.0 to 1.0)."
            )
        if whole:
            counts[name] = int(size)
        else:  # rounding the running sum keeps the total right
            counts[name] = round((fraction + size) * n) - round(fraction * n)
            fraction += size
    total = sum(counts.values())
    if total > n:
        parts = ", ".join(f"{name} {count}" for name, count in counts.items())
        raise ArgumentError(
            f"The parts need {total} rows ({parts}) and there are {n}; the parts are disjoint. "
            "Ask for fewer rows or give more samples."
        )
    ends = np.cumsum(list(counts.values()), dtype=np.int64)
    return {
        name: order[end - count : end]
        for (name, count), end in zip(counts.items(), ends, strict=True)
    }
