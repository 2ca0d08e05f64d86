"""Rows, names and options that cannot be used are refused before any work."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import yaml

from tests.surrogate.conftest import INPUTS, SMALL, TARGETS, bench
from twinml.data.table import Table
from twinml.errors import (
    ArgumentError,
    ConfigError,
    DataError,
    MissingDependencyError,
    SurrogateError,
)
from twinml.surrogate import fit
from twinml.surrogate.options import KINDS, parse_options
from twinml.surrogate.rows import prepare_rows

CONFIGS = Path(__file__).parents[2] / "configs" / "surrogate"


def test_failed_and_non_finite_rows_are_dropped_and_counted():
    table = bench(200)
    columns = {name: values.copy() for name, values in table.columns.items()}
    columns["status"][:10] = 4
    columns["status"][10:15] = 16  # ended by an event, as it should
    columns["heat"][12:20] = np.inf
    columns["heat"][0] = np.nan
    rows = prepare_rows(Table(columns), INPUTS, ["heat"])
    assert rows.dropped == {"failed": 10, "not_finite": 8} and rows.worst == "heat"
    assert sum(len(part) for part in rows.parts.values()) == 182
    columns["heat"][:] = np.nan
    with pytest.raises(SurrogateError, match=r"None of the 200 rows.*10 failed, 190.*'heat'"):
        prepare_rows(Table(columns), INPUTS, ["heat"])


def test_a_sweep_is_taken_by_its_table_and_parts_do_not_overlap():
    class Sweep:
        def table(self):
            return bench(100)

    rows = prepare_rows(Sweep(), INPUTS, TARGETS, {"train": 60, "calibration": 20, "test": 20})
    loads = np.concatenate([rows.parts[part]["load"] for part in ("train", "calibration", "test")])
    assert len(np.unique(loads)) == 100 and len(rows.parts["selection"]) == 0


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"inputs": ["laod"]}, ArgumentError, r"no column 'laod' to use as input.*mean 'load'"),
        ({"targets": ["heats"]}, ArgumentError, r"'heats' to use as target.*mean 'heat'"),
        ({"targets": ["load"]}, ArgumentError, "both an input and a target"),
        ({"targets": ["heat", "heat"]}, ArgumentError, "named twice"),
        ({"inputs": []}, ArgumentError, "No inputs are given"),
        ({"inputs": ["status"]}, ArgumentError, "no column 'status'"),
        ({"source": {"load": [1.0]}}, ArgumentError, "The source is a dict"),
        ({"level": 0.99}, ArgumentError, r"10 calibration rows.*0.99 need at least 99"),
        ({"level": 1.5}, ArgumentError, "level is 1.5"),
        ({"split": {"train": 0.5, "tset": 0.5}}, ArgumentError, r"no part 'tset'.*mean 'test'"),
        ({"split": {"train": 0.5}}, ArgumentError, "calibration part has 0 of 100"),
        ({"split": {"train": 90, "calibration": 20}}, ArgumentError, "need 110 rows"),
        ({"surrogate": "gpr"}, ConfigError, r"kind is 'gpr'.*mean 'gp'"),
        ({"surrogate": {"kind": "mlp", "widht": 8}}, ConfigError, r"'widht'.*mean 'width'"),
        ({"options": {"rows": "many"}}, ConfigError, r"gp.rows is 'many'.*expected int"),
        ({"options": {"rows": 0}}, ConfigError, r"gp.rows is 0"),
        ({"options": {"rows": True}}, ConfigError, r"gp.rows is True"),
        ({"surrogate": {"kind": "mlp", "device": "tpu"}}, ConfigError, "cpu or cuda"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(change, error, words):
    given = {"source": bench(100), "inputs": INPUTS, "targets": TARGETS, **change}
    with pytest.raises(error, match=words):
        fit(**given)


def test_text_columns_are_refused():
    columns = {**bench(20).columns, "wear": np.array(["a"] * 20)}
    with pytest.raises(DataError, match="'wear' has type <U1; expected numbers"):
        fit(Table(columns), INPUTS, TARGETS)


@pytest.mark.parametrize(
    ("kind", "package", "extra"), [("gp", "gpytorch", "gp"), ("mlp", "lightning", "train")]
)
def test_a_missing_package_is_named_with_its_extra(kind, package, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf'pip install "twinml\[{extra}\]"'):
        fit(bench(200), INPUTS, TARGETS, kind, options=SMALL[kind])


def test_a_cuda_device_that_is_not_there_is_refused(monkeypatch):
    pytest.importorskip("lightning")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="torch sees no CUDA device"):
        fit(bench(200), INPUTS, TARGETS, {"kind": "mlp", "device": "cuda"})


def test_importing_surrogates_loads_neither_lightning_nor_gpytorch():
    code = (
        "import sys, twinml.surrogate as s; s.fit, s.Surrogate, s.load_surrogate; "
        "bad = {'lightning', 'gpytorch', 'scipy', 'pyarrow'} & set(sys.modules); "
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_the_configuration_states_the_defaults(kind):
    written = yaml.safe_load((CONFIGS / f"{kind}.yaml").read_text())
    assert written == {"kind": kind, **asdict(KINDS[kind]())}
    assert parse_options(written, None) == (kind, KINDS[kind]())
