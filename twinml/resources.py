"""Where the files that ship with the package lie: configs, kernels, batch scripts, package data.

A wheel carries ``configs/`` as ``twinml/_configs``, and ``kernels/`` and ``slurm/`` likewise.
In a checkout, and in an editable install of one, they stand beside the package.
"""

from __future__ import annotations

from pathlib import Path

from twinml.errors import DataError, nearest

PACKAGE = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    packed = PACKAGE / f"_{name}"
    return packed if packed.is_dir() else PACKAGE.parent / name


def configs() -> Path:
    """The folder with the package's own configuration files."""
    return _shipped("configs")


def kernels() -> Path:
    """The folder with the reviewed C++/CUDA headers."""
    return _shipped("kernels")


def slurm() -> Path:
    """The folder with batch scripts for Slurm."""
    return _shipped("slurm")


def data(name: str) -> Path:
    """The path of a record or calibration shipped with the library.

    Raises:
        DataError: no file of that name is shipped.
    """
    folder = PACKAGE / "library" / "data"
    path = folder / name
    if not path.is_file():
        known = sorted(p.name for p in folder.glob("*.*"))
        raise DataError(
            f"No file '{name}' ships with twinml.{nearest(name, known)} "
            f"Shipped: {', '.join(known) or 'none'}."
        )
    return path
