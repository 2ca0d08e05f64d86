"""Sweeps put on disk from given columns, without simulating anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from twinml.data import Table
from twinml.scenario import Scenario
from twinml.sweep import Sweep, open_sweep
from twinml.sweep.plan import Shard
from twinml.sweep.shard_file import write_shard
from twinml.sweep.store import ShardReport, Store

HORIZON = {"start": 0, "stop": 1}


def store_sweep(
    out: Path | str,
    columns: Mapping[str, Any],
    inputs: Sequence[str],
    quantities: Mapping[str, str],
    cuts: Sequence[int] = (),
    samples: int | None = None,
    units: Mapping[str, str] | None = None,
    identity: Mapping[str, Any] | None = None,
    scenario: Mapping[str, Any] | None = None,
) -> Sweep:
    """A finished sweep of the columns, cut into shards at ``cuts``.

    Args:
        columns: Inputs and quantities; ``status`` and ``weight`` where wanted.
        quantities: Name to expression.
    """
    rows = len(next(iter(columns.values())))
    every = {
        "sample": np.arange(rows),
        "status": np.zeros(rows, dtype=np.int64),
        **{name: np.asarray(values) for name, values in columns.items()},
    }
    table = Table(every, dict(units or {}))
    content = {
        "horizon": HORIZON,
        "vary": {name: {"distribution": "uniform", "low": 0, "high": 1} for name in inputs},
        "quantities": dict(quantities),
        **(scenario or {}),
    }
    store = Store(out)
    store.write_manifest(
        {
            "samples": samples or rows,
            "identity": {"seed": 0, "design": "sobol", **(identity or {})},
            "model": "tests.Model",
            "scenario": Scenario.from_mapping(content).to_mapping(),
            "posterior": None,
            "inputs": list(inputs),
            "twinml": "0",
        }
    )
    ends = [0, *cuts, rows]
    for start, stop in pairwise(ends):
        part = table.rows(slice(start, stop))
        failed = int(np.count_nonzero(part["status"] & 47))
        shard = Shard(start, stop)
        size, digest = write_shard(store, shard, [part.columns], part.units)
        store.record(ShardReport(start, stop, failed, size, digest))
    return open_sweep(out)
