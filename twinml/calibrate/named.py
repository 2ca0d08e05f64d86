"""Arrays whose first axis answers to names as well as to numbers."""

from __future__ import annotations

from typing import Any, final

import numpy as np

from twinml.errors import ArgumentError, nearest


@final
class NamedArray(np.ndarray):
    """An array with a name per entry of its first axis: ``a[0]`` and ``a["beta"]``."""

    names: tuple[str, ...]

    def __new__(cls, values: Any, names: tuple[str, ...]) -> NamedArray:
        array = np.asarray(values, dtype=np.float64).view(cls)
        array.names = tuple(names)
        return array

    def __array_finalize__(self, other: Any) -> None:
        self.names = getattr(other, "names", ())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, str):
            if index not in self.names:
                raise ArgumentError(
                    f"'{index}' was not fitted; names are {list(self.names)}."
                    + nearest(index, self.names)
                )
            return np.asarray(self)[self.names.index(index)]
        return np.asarray(self)[index]
