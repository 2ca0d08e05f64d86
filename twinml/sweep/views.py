"""A sweep's rows as other packages hold them: lazily in polars and pyarrow, labelled in xarray."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twinml.errors import MissingDependencyError, SweepError

if TYPE_CHECKING:
    from twinml.sweep.result import Sweep


def lazy_frame(sweep: Sweep) -> Any:
    """A ``polars.LazyFrame`` over the finished shards; see ``Sweep.scan``."""
    try:
        import polars
    except ImportError as error:
        raise MissingDependencyError(
            "scan needs the package polars; install it with 'pip install twinml[polars]', or use "
            ".dataset() (pyarrow)."
        ) from error
    paths = shard_paths(sweep)
    if all("://" not in path for path in paths):
        return polars.scan_parquet(paths, glob=False, hive_partitioning=False)
    return polars.scan_pyarrow_dataset(dataset(sweep))


def dataset(sweep: Sweep) -> Any:
    """A ``pyarrow.dataset.Dataset`` over the finished shards; see ``Sweep.dataset``."""
    import pyarrow.dataset

    paths = shard_paths(sweep)
    if "://" not in paths[0]:
        return pyarrow.dataset.dataset(paths, format="parquet")
    import fsspec

    system, _ = fsspec.url_to_fs(paths[0])
    inside = [fsspec.url_to_fs(path)[1] for path in paths]
    return pyarrow.dataset.dataset(inside, format="parquet", filesystem=system)


def to_xarray(sweep: Sweep) -> Any:
    """An ``xarray.Dataset`` of all finished rows; see ``Sweep.to_xarray``."""
    try:
        import xarray
    except ImportError as error:
        raise MissingDependencyError(
            "to_xarray needs the package xarray; install it with 'pip install xarray'."
        ) from error
    table = sweep.table()

    def column(name: str) -> Any:
        return ("sample", table[name], {"units": table.units[name]})

    quantities = set(sweep.quantities)
    return xarray.Dataset(
        {name: column(name) for name in table.names if name in quantities},
        {name: column(name) for name in table.names if name not in quantities},
        {
            "model": sweep.manifest["model"],
            "samples": sweep.samples,
            "done": sweep.done,
            "design": sweep.scenario.design,
            "seed": sweep.manifest["identity"]["seed"],
        },
    )


def shard_paths(sweep: Sweep) -> list[str]:
    """Files of the finished part, in sample order.

    Raises:
        SweepError: No shard is finished.
    """
    check_done(sweep)
    return [str(sweep.store.shard_path(report.shard)) for report in sweep.prefix]


def check_done(sweep: Sweep) -> None:
    """Refuses a sweep without rows.

    Raises:
        SweepError: No shard is finished.
    """
    if not sweep.prefix:
        raise SweepError(
            f"{sweep.path} has no finished rows (0 of {sweep.samples:,}): it was stopped early, "
            "or its shards were cut or removed. Compute them with twinml sweep "
            f"resume={sweep.path}."
        )
