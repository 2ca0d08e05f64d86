"""The pages of a sweep and of two sweeps side by side."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from tests.sweep.models import Decay
from tests.sweep.stored import store_sweep
from twinml.cli.tasks.sweep_outcome import sensitivity_metrics
from twinml.report.curves import failures_figure, stepped
from twinml.report.influence import morris_figure, tornado_figure
from twinml.report.risk import factor_label, sensitivity_figure
from twinml.report.sweep import left_out, where_in_words, write_sweep
from twinml.report.versus import write_comparison
from twinml.sweep import SobolIndices, Tornado

SCENARIO = {
    "horizon": {"start": 0, "stop": 2},
    "vary": {
        "rate": {"distribution": "uniform", "low": 0.5, "high": 2},
        "initial.x": {"distribution": "uniform", "low": 1, "high": 2},
    },
    "quantities": {"end": "final(x)", "half": "first_time(x < 0.3)"},
    "exceedance": {"end": [0.2]},
}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    out = tmp_path_factory.mktemp("page") / "s"
    scenario = tw.Scenario.from_mapping(SCENARIO)
    return tw.sweep(Decay(), scenario, samples=128, out=out, workers=1, block_size=32)


def test_a_sweeps_page_has_every_section_it_was_given(sweep, tmp_path):
    page = write_sweep(
        tmp_path, sweep, indices=sweep.sensitivity(16), bars=sweep.tornado(),
        effects=sweep.morris(4), paths=sweep.trajectories(16, t=9),
    ).read_text()  # fmt: skip
    for text in ("What comes out", "How likely more", "Over time", "What drives it", "Level 90 %"):
        assert text in page
    assert page.count("<img") == 6 and "What failed" not in page
    assert morris_figure(tmp_path / "m.png", sweep.morris(4)).stat().st_size > 5000


def test_failed_rows_are_placed_in_words_and_drawn(tmp_path):
    a = np.linspace(0, 1, 500)
    data = {
        "a": a, "b": np.random.default_rng(0).random(500), "y": np.where(a > 0.95, np.nan, a),
        "status": np.where(a > 0.95, 4, 0),
    }  # fmt: skip
    stored = store_sweep(tmp_path / "s", data, ["a", "b"], {"y": "max(x)"}, samples=900)
    words = where_in_words(stored.summary)
    assert "most along a: 100 % of them have it at 0.8998 to 1" in words
    failures_figure(tmp_path / "f.png", stored.summary, {"a": "kg"})
    page = write_sweep(tmp_path, stored).read_text()
    assert "500 of 900 samples finished" in page and "What failed" in page and words in page


def test_the_line_of_a_curve_is_a_step_where_one_row_makes_it():
    p = [0.5, 0.1, 0.05, 0.0]
    curve = {"x": [1.0, 2.0, 3.0, 9.0], "probability": p, "low": p, "high": p}
    x, probability, *_ = stepped(curve, 20)
    assert x.tolist() == [1.0, 2.0, 3.0, 3.0, 9.0, 9.0]
    assert probability.tolist() == [0.5, 0.1, 0.1, 0.05, 0.05, 0.0]
    assert stepped(curve, None)[1].tolist() == p


def test_what_has_no_number_is_said_in_the_figures_without_a_warning(tmp_path):
    nan = np.full((2, 2), np.nan)
    ends = np.array([[1.0, np.inf], [2.0, np.inf]])
    bars = Tornado(
        ("a", "constrained(b,c)"), ("y", "when"), np.array([1.5, np.inf]), ends, ends + 1,
        np.array([False, True]), ({}, {}), 0.9,
    )  # fmt: skip
    some = np.array([[0.4, np.nan], [0.6, np.nan]])
    indices = SobolIndices(
        ("a", "constrained(b,c)"), ("y", "when"), some, some, some, some, nan, some, 8,
        np.array([8, 0]), 0.9,
    )  # fmt: skip
    for path in (
        tornado_figure(tmp_path / "t.png", bars, {}),
        sensitivity_figure(tmp_path / "s.png", indices),
    ):
        assert path.stat().st_size > 5000
    assert left_out("Base samples", indices.quantities, indices.used, 8) == (
        "Base samples that failed or have no finite value somewhere are left out: when has 0 of 8."
    )
    assert left_out("Base samples", ("y",), np.array([8]), 8) == ""
    assert factor_label("constrained(b,c)") == "constrained:\nb, c"
    assert factor_label("table(/data/rows.csv)") == "table:\nrows.csv"


def test_groups_of_one_kind_have_keys_of_their_own():
    factors = ("correlated(a,b)", "correlated(c,initial.x)", "constrained(d,e)", "f")
    values = np.arange(4.0)[:, None]
    indices = SobolIndices(
        factors, ("y",), values, values, values, values, values, values, 8, np.array([8]), 0.9
    )
    found = sensitivity_metrics(indices)
    keys = ("correlated_a_b", "correlated_c_initial_x", "constrained", "f")
    assert [found[f"sensitivity.y.{key}.first"] for key in keys] == [0.0, 1.0, 2.0, 3.0]
    assert len(found) == 24


def test_a_comparisons_page_says_what_differs(sweep, tmp_path):
    found = tw.compare(sweep, tw.open_sweep(sweep.path))
    text = write_comparison(tmp_path / "c.html", found).read_text()
    assert "both draw the same rate, initial.x" in text and "What differs" not in text
