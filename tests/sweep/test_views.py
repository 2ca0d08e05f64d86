"""A sweep's rows as tables, lazy frames, datasets and trajectories."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from tests.sweep.models import Decay
from twinml.errors import ArgumentError, SweepError

SCENARIO = {
    "horizon": {"start": 0, "stop": 120, "unit": "s"},
    "vary": {
        "rate": {"distribution": "uniform", "low": 0.01, "high": 0.05},
        "initial.x": {"distribution": "uniform", "low": 1, "high": 2},
        "when": {"distribution": "uniform", "low": 30, "high": 200},
    },
    "changes": [{"at": "when", "multiply": {"rate": 0.5}}],
    "quantities": {"end": "final(x)", "low": "min(x)"},
}
N = 150


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    out = tmp_path_factory.mktemp("views") / "s"
    scenario = tw.Scenario.from_mapping(SCENARIO)
    return tw.sweep(
        Decay(), scenario, samples=N, out=out, workers=1, block_size=32, shard_size=64, seed=3
    )


def test_parts_put_together_are_the_table(sweep):
    table = tw.open_sweep(sweep.path).table()
    parts = list(sweep.chunks(40))
    assert [len(part) for part in parts] == [40, 40, 40, 30]
    for name in table.names:
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), table[name])
        np.testing.assert_array_equal(sweep.rows(60, 70)[name], table[name][60:70])
    assert len(sweep.rows(5, 5)) == 0 and sweep.rows(5, 5).names == table.names
    assert table.units["end"] == "cm"
    with pytest.raises(ArgumentError, match=r"rows\(140, 151\) reaches beyond"):
        sweep.rows(140, 151)
    with pytest.raises(ArgumentError, match=r"rows\(4, 2\) is no range"):
        sweep.rows(4, 2)
    with pytest.raises(ArgumentError, match="size is 0"):
        sweep.chunks(0)


def test_a_lazy_frame_reads_the_same_rows_in_order(sweep):
    polars = pytest.importorskip("polars")
    table, frame = sweep.table(), sweep.scan()
    assert frame.collect_schema().names() == list(table.names)
    found = frame.filter(polars.col("rate") > 0.03).select("sample", "end").collect()
    keep = table["rate"] > 0.03
    np.testing.assert_array_equal(found["sample"].to_numpy(), table["sample"][keep])
    np.testing.assert_array_equal(found["end"].to_numpy(), table["end"][keep])
    stored = sweep.dataset().to_table(columns=["end"])
    np.testing.assert_array_equal(stored["end"].to_numpy(), table["end"])


def test_xarray_has_labels_and_units(sweep):
    pytest.importorskip("xarray")
    found = sweep.to_xarray()
    assert found["end"].dims == ("sample",) and found["end"].attrs["units"] == "cm"
    assert set(found.data_vars) == {"end", "low"} and "initial.x" in found.coords
    assert found.attrs["done"] == N
    np.testing.assert_array_equal(found["end"], sweep.table()["end"])


def test_a_sweep_without_rows_says_so(sweep, tmp_path):
    empty = tw.sweep(
        Decay(), sweep.scenario, samples=9, out=tmp_path / "none", dry_run=True, workers=1
    )
    for view in (empty.scan, empty.dataset, empty.table, empty.to_xarray):
        with pytest.raises(SweepError, match=r"no finished rows \(0 of 9\)"):
            view()


def test_trajectories_end_where_the_rows_say(sweep):
    chosen = [140, 3, 70]
    paths = tw.open_sweep(sweep.path).trajectories(chosen, t=[0, 60, 120], model=Decay())
    table = sweep.table()
    assert paths.samples.tolist() == chosen and paths.time_unit == "s"
    for name in ("rate", "initial.x", "when"):
        np.testing.assert_array_equal(paths.table[name], table[name][chosen])
    np.testing.assert_allclose(paths["x"][:, -1], table["end"][chosen], rtol=1e-5)
    np.testing.assert_array_equal(paths["x"][:, 0], table["initial.x"][chosen])
    rate, when = table["rate"][chosen], np.minimum(table["when"][chosen], 60)
    exact = table["initial.x"][chosen] * np.exp(-rate * when - 0.5 * rate * (60 - when))
    np.testing.assert_allclose(paths["x"][:, 1], exact, rtol=1e-5)
    assert paths.units["x"] == "cm" and (paths.status == 0).all()


def test_how_many_takes_the_first_of_a_nested_design(sweep):
    paths = sweep.trajectories(20, t=5)
    assert paths.samples.tolist() == list(range(20)) and paths["x"].shape == (20, 5)
    band = paths.band("x", (0.25, 0.5, 0.75))
    assert band.shape == (3, 5) and (np.diff(band, axis=0) >= 0).all()
    np.testing.assert_allclose(band[1], np.median(paths["x"], axis=0), rtol=0.02)
    pytest.importorskip("xarray")
    found = paths.to_xarray()
    assert found["x"].dims == ("sample", "time") and found["time"].attrs["units"] == "s"
    # times that begin later keep the run's beginning
    late = sweep.trajectories([0], t=[60.0, 120.0])
    np.testing.assert_allclose(late["x"][0], sweep.trajectories([0], t=[0, 60, 120])["x"][0, 1:])


@pytest.mark.parametrize(
    ("samples", "t", "message"),
    [
        ([150], None, "Sample 150 is not among the finished ones, 0 to 149 of 150"),
        ([0, 0], None, "names a sample twice"),
        ([0.5], None, "expected sample numbers"),
        (0, None, "at least one"),
        ([0], [0, 130], "t runs from 0 to 130"),
        ([0], [1, 0], "increasing times"),
        ([0], 1, "at least 2 times"),
    ],
)
def test_what_cannot_be_simulated_again_is_refused(sweep, samples, t, message):
    with pytest.raises(ArgumentError, match=message):
        sweep.trajectories(samples, t)
