"""Both kinds of surrogate, as fit returns them, become artifacts with the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from twinml.data.table import Table
from twinml.export.parity import TOLERANCE

INPUTS = ("beta", "gamma", "day")
TARGETS = ("peak_beds", "cases")


@pytest.fixture(scope="module")
def table() -> Table:
    """Rows whose first two inputs vary together, as calibrated parameters do."""
    n = 800
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, 3))
    z[:, 1] = -0.96 * z[:, 0] + 0.28 * z[:, 1]
    beta, gamma, day = 1.79 + 0.05 * z[:, 0], 0.456 + 0.02 * z[:, 1], 6 + 2 * z[:, 2]
    columns = {
        "sample": np.arange(n),
        "status": np.zeros(n, dtype=np.int64),
        "beta": beta,
        "gamma": gamma,
        "day": day,
        "peak_beds": 763 * (1 - np.exp(-beta / gamma / 4)) + 5 * day + rng.normal(size=n),
        "cases": 700 * np.tanh(day / 6) + rng.normal(size=n),
    }
    units = {**dict.fromkeys(columns, "1"), "beta": "1/day", "gamma": "1/day", "day": "day"}
    return Table(columns, units)


@pytest.mark.parametrize(
    ("kind", "options", "dtype"),
    [("gp", {"rows": 64}, "float64"), ("mlp", {"steps": 30, "width": 16, "depth": 2}, "float32")],
    ids=["gp", "mlp"],
)
def test_an_exported_surrogate_answers_as_it_does(tmp_path, table, kind, options, dtype):
    pytest.importorskip("gpytorch" if kind == "gp" else "lightning")
    surrogate = tw.fit(table, INPUTS, TARGETS, surrogate=kind, options=options, seed=3)
    art = tw.export(surrogate, tmp_path / "a")
    assert art.description.dtype == dtype and art.description.kind == kind
    assert art.description.seeds == {"fit": 3}
    assert 16 <= art.golden.in_domain.sum() < len(art.golden)
    assert tw.verify(art.path).dtype == dtype
    loaded = tw.load_artifact(art.path / "model.pt")
    rows = {name: table[name].astype(dtype).astype(float) for name in INPUTS}
    got, expected = loaded.predict(rows), surrogate.predict(rows)
    assert np.array_equal(got.in_domain, expected.in_domain)
    for output in ("mean", "lower", "upper", "std"):
        for target in TARGETS:
            want = getattr(expected, output)[target]
            difference = np.abs(getattr(got, output)[target] - want).max()
            assert difference <= TOLERANCE * np.abs(want).max()
