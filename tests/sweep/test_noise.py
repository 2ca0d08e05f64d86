"""A sweep of a model with noise: the sample is the row of the noise, however the work is cut."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError
from twinml.library import GeneExpression

SCENARIO = {
    "horizon": {"start": 0, "stop": 20, "unit": "min"},
    "vary": {
        "transcription": {"distribution": "uniform", "low": 0.3, "high": 1.2},
        "onset": {"distribution": "uniform", "low": 1.0, "high": 5.0},
    },
    "changes": [{"from": 0, "until": "onset", "set": {"transcription": 0}}],
    "quantities": {"copies": "final(protein)", "peak": "max(mrna)"},
}


def swept(out, samples=150, scenario=SCENARIO, **options) -> tw.Table:
    options = {"dt": 0.5, "workers": 1, "block_size": 64, "seed": 11, **options}
    found = tw.sweep(
        GeneExpression(), tw.Scenario.from_mapping(scenario), samples, out=out, **options
    )
    return found.table()


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> tw.Table:
    return swept(tmp_path_factory.mktemp("noise") / "a")


def same(one: tw.Table, other: tw.Table) -> None:
    assert one.names == other.names
    for name in one.names:
        assert np.array_equal(one[name], other[name]), name


@pytest.mark.parametrize(
    "options",
    [{"workers": 2, "shard_size": 64}, {"block_size": 48}, {"block_size": 1000}],
    ids=str,
)
def test_workers_shards_and_blocks_change_no_bit(tmp_path, table, options):
    same(swept(tmp_path / "b", **options), table)


def test_a_resumed_and_grown_sweep_has_the_same_rows(tmp_path, table):
    swept(tmp_path / "b", samples=70)
    same(swept(tmp_path / "b", resume=True), table)
    for options, text in (({"dt": 0.25}, "dt differs"), ({"seed": 12}, "seed differs")):
        with pytest.raises(ArgumentError, match=text):
            swept(tmp_path / "b", resume=True, **options)


def test_a_sample_is_the_simulation_with_its_number_as_id(table):
    rows = [3, 149]
    onset = torch.as_tensor(table["onset"][rows])
    rate = torch.as_tensor(table["transcription"][rows])
    sol = tw.simulate(
        GeneExpression(), [0.0, 20.0], {"transcription": rate}, dt=0.5, ids=rows, seed=11,
        keep={"copies": "final(protein)"},
        changes=[tw.Change(0.0, "set", "transcription", 0.0, until=onset)],
    )  # fmt: skip
    assert sol["copies"].tolist() == table["copies"][rows].tolist()


def test_noise_alone_makes_replicates(tmp_path):
    still = {**SCENARIO, "vary": {}, "changes": []}
    found = swept(tmp_path / "a", scenario=still)
    assert len(np.unique(found["copies"])) == 150
    other = swept(tmp_path / "b", scenario=still, seed=12)
    assert not np.intersect1d(found["copies"], other["copies"]).size


def test_without_dt_nothing_is_written(tmp_path):
    with pytest.raises(ArgumentError, match=r"GeneExpression has noise\(\) and no dt was given"):
        swept(tmp_path / "a", dt=None)
    assert not (tmp_path / "a").exists()


def test_the_noise_is_a_factor_that_sensitivity_leaves_alone(tmp_path):
    """A quantity that only the noise moves has no index; each explains at most the whole."""
    idle = {
        **SCENARIO,
        "vary": {"onset": SCENARIO["vary"]["onset"]},
        "changes": [],
        "quantities": {"copies": "final(protein)", "known": "onset"},
    }
    found = tw.sweep(
        GeneExpression(), tw.Scenario.from_mapping(idle), 64, out=tmp_path / "a", dt=1.0,
        block_size=64, workers=1,
    )  # fmt: skip
    indices = found.sensitivity(64)
    copies, known = indices.total[0]
    assert copies == 0.0 and known > 0.8
    assert abs(float(indices.first[0, 0])) < 1e-12
