"""MAT files up to version 7: vectors as columns, matrices and structs by parts."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.header import bare_name
from twinml.errors import DataError


def read_mat(data: bytes, source: str, digest: str, wanted: Sequence[str] | None = None) -> Columns:
    """The vectors of one length that a MAT file holds.

    A matrix gives its columns as ``X(:,1)``, a struct its fields as ``s.x``. Where vectors have
    different lengths, those of the first ``wanted`` one's length are taken, else the most
    common length.

    Raises:
        DataError: not a MAT file of version 4 to 7, or one without vectors.
    """
    content = _load(data, source)
    vectors: dict[str, Any] = {}
    unread: dict[str, str] = {}
    for name, value in content.items():
        if not name.startswith("__"):
            for part, found in _parts(name, value):
                if isinstance(found, str):
                    unread[part] = found
                else:
                    vectors[part] = found
    scalars = {n: v for n, v in vectors.items() if len(v) == 1}
    long = {n: v for n, v in vectors.items() if len(v) > 1} or scalars
    if not long:
        raise DataError(
            f"{source} holds no vector of numbers; it holds {sorted(content) or 'nothing'}. Save "
            "each signal as a vector with one value per sample."
        )
    rows = _length(long, wanted)
    for name, value in vectors.items():
        if len(value) == 1 and rows != 1:
            unread[name] = f"is a single value ({_first(value)}), not one per sample"
        elif len(value) != rows:
            unread[name] = f"has {len(value)} values where the others have {rows}"
    columns = {
        n: Column(n, v if isinstance(v, list) else v.astype(np.float64))
        for n, v in long.items()
        if len(v) == rows
    }
    notes = [f"left out: {n} {why}" for n, why in unread.items()]
    return Columns(source, columns, rows, notes=tuple(notes), unread=unread, digest=digest)


def _load(data: bytes, source: str) -> Mapping[str, Any]:
    from scipy.io import loadmat

    newer = (
        f"{source} was saved as MATLAB 7.3 (HDF5), which is not read. Save it as version 7, in "
        "MATLAB: save('file.mat', '-v7')."
    )
    if data.startswith(b"MATLAB 7.3") or data.startswith(b"\x89HDF"):
        raise DataError(newer)
    try:
        return loadmat(io.BytesIO(data), chars_as_strings=True, struct_as_record=True)
    except NotImplementedError:
        raise DataError(newer) from None
    except Exception as error:  # scipy lets what it trips over through
        raise DataError(
            f"{source} cannot be read as a MAT file ({type(error).__name__}: {error}). It is "
            "damaged or of another format; save it again."
        ) from None


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Vectors inside one variable, or the reason why it gives none."""
    if type(value).__name__ == "MatlabOpaque":
        yield name, "is a MATLAB object (a datetime or table); save plain vectors"
        return
    if hasattr(value, "toarray"):
        value = value.toarray()
    value = np.asarray(value)
    if value.dtype.names is not None:
        if value.size != 1:
            yield name, f"is an array of {value.size} structs; save plain vectors"
            return
        for inner in value.dtype.names:
            yield from _parts(f"{name}.{inner}", value.reshape(-1)[0][inner])
        return
    if value.ndim > 2:
        yield name, f"has {value.ndim} dimensions; expected a vector or matrix"
    elif value.dtype.kind in "biuf":
        if value.size == 0:
            yield name, "is empty"
        elif value.ndim < 2 or 1 in value.shape:
            yield name, value.reshape(-1)
        else:
            for index in range(value.shape[1]):
                yield f"{name}(:,{index + 1})", value[:, index]
    elif value.dtype.kind in "US":
        yield name, [str(text) for text in value.reshape(-1)]
    elif value.dtype.kind == "O":
        cells = [np.asarray(cell) for cell in value.reshape(-1)]
        if all(cell.dtype.kind in "US" and cell.size <= 1 for cell in cells):
            yield name, ["".join(map(str, cell.reshape(-1))) for cell in cells]
        else:
            yield name, "is a cell array of more than texts"
    else:
        kind = "complex" if value.dtype.kind == "c" else str(value.dtype)
        yield name, f"is {kind}; expected real numbers"


def _length(long: Mapping[str, Any], wanted: Sequence[str] | None) -> int:
    for name in wanted or ():
        for full, value in long.items():
            if name in (full, bare_name(full)):
                return len(value)
    counts = Counter(len(value) for value in long.values())
    return max(counts, key=lambda length: (counts[length], length))


def _first(value: Any) -> str:
    return value[0] if isinstance(value, list) else f"{value[0]:g}"
