"""A failed row climbs the ladder to the rung that it needs, alone or in any cut."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from tests.sweep.models import Follow
from twinml.sweep.ladder import RUNGS

# What each group of rows needs: a small step, a stiff method, a range that float32 lacks, both.
NEEDS = {
    "first": (1.0, 1.0),
    "tighter": (900.0, 1.0),
    "stiff": (1e5, 1.0),
    "float64": (1.0, 1e39),
    "float64 stiff": (1e5, 1e39),
}
N = 200


@pytest.fixture
def scenario(tmp_path):
    rows = [f"{rate!r},{size!r}" for rate, size in NEEDS.values()]
    (tmp_path / "needs.csv").write_text("\n".join(["rate,size", *rows]) + "\n")
    path = str(tmp_path / "needs.csv")
    return tw.Scenario(
        horizon={"start": 0, "stop": 1},
        vary={
            name: {"distribution": "table", "path": path, "column": name}
            for name in ("rate", "size")
        },
        quantities={"end": "final(x)"},
    )


@pytest.mark.filterwarnings("ignore:.*rtol")
def test_every_rung_saves_the_rows_that_need_it_and_no_cut_changes_their_bits(tmp_path, scenario):
    found = {}
    for cut in (64, 192, 1000):
        sweep = tw.sweep(
            Follow(), scenario, N, out=tmp_path / str(cut), engine="native", dtype="float32",
            method="tsit5", rtol=1e-4, atol=1e-4, max_steps=150, workers=1, seed=2,
            block_size=128, shard_size=cut,
        )  # fmt: skip
        found[cut] = sweep.table()
    table = found[1000]
    needs = {pair: RUNGS.index(name) for name, pair in NEEDS.items()}
    pairs = zip(table["rate"].tolist(), table["size"].tolist(), strict=True)
    assert table["rung"].tolist() == [needs[pair] for pair in pairs]
    assert set(table["rung"]) == set(range(len(RUNGS)))
    rate, size = table["rate"], table["size"]
    swing = rate * np.cos(1.0) + np.sin(1.0) - rate * np.exp(-rate)
    np.testing.assert_allclose(table["end"], size * rate * swing / (rate**2 + 1), rtol=1e-2)
    for other in found.values():
        assert all(other[n].tobytes() == table[n].tobytes() for n in table.names)
