"""One pass over the rows: the same bits for any cut, bounded, and right."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats

from tests.sweep.stored import store_sweep
from twinml.errors import ArgumentError, IntegrityError
from twinml.sweep.intervals import binomial_quantile, curve_half_width, quantile_ranks
from twinml.sweep.moments import Moments
from twinml.sweep.rows import CHUNK
from twinml.sweep.sketch import QuantileSketch

N = 2 * CHUNK + 1234


def columns(rows=N):
    rng = np.random.default_rng(1)
    a, b = rng.random(rows), rng.random(rows)
    peak = rng.lognormal(size=rows) + a
    first = np.where(b < 0.25, math.inf, a)
    status = np.where(a > 0.98, 4, np.where(b > 0.99, 16, 0))
    peak[status == 4] = math.nan
    first[status == 4] = math.nan
    return {"status": status, "a": a, "b": b, "peak": peak, "first": first}


QUANTITIES = {"peak": "max(x)", "first": "first_time(x > 1)"}
ASKED = {"exceedance": {"peak": [2.0, 5.0]}}


def stored(out, data=None, **options):
    return store_sweep(out, data or columns(), ["a", "b"], QUANTITIES, scenario=ASKED, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("stream") / "whole")


@pytest.mark.parametrize("cuts", [(1,), (CHUNK,), (7, 5000, CHUNK + 1, 2 * CHUNK + 3)])
def test_the_summary_is_the_same_bits_for_any_cut(whole, tmp_path, cuts):
    other = stored(tmp_path / "cut", cuts=cuts)
    assert json.dumps(other.summary) == json.dumps(whole.summary)
    whole.write_parquet(tmp_path / "whole.parquet")
    other.write_parquet(tmp_path / "other.parquet")
    both = [(tmp_path / name).read_bytes() for name in ("whole.parquet", "other.parquet")]
    assert both[0] == both[1]


def test_the_summary_says_what_numpy_says(whole):
    data = columns()
    good = data["status"] != 4
    summary, peak = whole.summary, data["peak"][good]
    found = summary["quantities"]["peak"]
    assert (summary["done"], summary["failed"]) == (N, int((~good).sum()))
    assert summary["failures"]["NOT_FINITE"]["count"] == (~good).sum()
    assert found["mean"] == pytest.approx(peak.mean(), rel=1e-14)
    assert found["sd"] == pytest.approx(peak.std(ddof=1), rel=1e-12)
    assert (found["min"], found["max"]) == (peak.min(), peak.max())
    for percent, value in found["quantiles"].items():
        assert value == np.quantile(peak, float(percent) / 100)
    over = summary["exceedance"]["peak"][0]
    assert over["over"] == (peak > 2).sum() and over["count"] == good.sum()
    lowest, highest = over["if_failed"]
    assert lowest == pytest.approx((peak > 2).sum() / N) and highest > over["probability"] > lowest
    never = ~np.isfinite(data["first"][good])
    assert summary["quantities"]["first"]["infinite"] == never.sum()
    assert summary["reached"]["first"]["probability"] == pytest.approx(1 - never.mean())
    # a curve counts what never came as later than any time
    assert summary["curves"]["first"]["probability"][-1] == pytest.approx(never.mean(), rel=1e-12)


def test_a_curve_is_the_share_of_rows_above_with_both_bands(whole):
    data, curve = columns(), whole.summary["curves"]["peak"]
    peak = data["peak"][data["status"] != 4]
    exact = [(peak > x).mean() for x in curve["x"]]
    np.testing.assert_allclose(curve["probability"], exact, atol=1e-12)
    low, high, p = (np.array(curve[key]) for key in ("low", "high", "probability"))
    assert (low <= p).all() and (p <= high).all() and (np.diff(p) <= 0).all()
    assert curve["half_width"] == pytest.approx(math.sqrt(math.log(20) / 2 / len(peak)))


def test_failures_are_found_where_they_lie(whole):
    where = whole.summary["where"]
    assert list(where) == ["a", "b"] and where["a"]["notable"] and not where["b"]["notable"]
    last = where["a"]["bins"][-1]
    assert last["failed"] == whole.failed and where["a"]["distance"] > 0.97
    assert sum(bin["failed"] for bin in where["b"]["bins"]) == pytest.approx(whole.failed, abs=2)


def test_an_input_of_few_values_has_a_bin_for_each(tmp_path):
    data = {"a": np.array([1.0, 2.0] * 50), "peak": np.ones(100), "first": np.ones(100)}
    data["status"] = np.where(np.arange(100) % 2, 8, 0)
    found = store_sweep(tmp_path / "s", data, ["a"], QUANTITIES).summary["where"]["a"]
    assert [(b["from"], b["to"], b["rows"], b["failed"]) for b in found["bins"]] == [
        (1.0, 1.0, 50, 0), (2.0, 2.0, 50, 50),
    ]  # fmt: skip
    assert found["distance"] == 1.0


def test_a_stored_summary_is_read_only_where_it_is_of_these_rows(tmp_path):
    part = stored(tmp_path / "s", cuts=(40,), samples=2 * N)
    text = json.dumps({**part.summary, "treatment": "from the file"})
    (part.path / "summary.json").write_text(text)
    from twinml.sweep import open_sweep

    assert open_sweep(part.path).summary["treatment"] == "from the file"
    (part.path / "ledger.jsonl").write_text(
        (part.path / "ledger.jsonl").read_text().splitlines()[0] + "\n"
    )
    fewer = open_sweep(part.path).summary
    assert fewer["done"] == 40 and fewer["samples"] == 2 * N
    assert fewer["treatment"] != "from the file"


def test_a_changed_shard_is_noticed_while_it_is_read(tmp_path):
    sweep = stored(tmp_path / "s", cuts=(100,))
    path = tmp_path / "s" / "shards" / "000000000100.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert len(sweep.rows(0, 100)) == 100
    with pytest.raises(IntegrityError, match=r"000000000100\.parquet is not what"):
        _ = sweep.summary


def test_merged_moments_lose_no_digits_beside_a_large_mean():
    values = 1e9 + np.random.default_rng(0).normal(size=100_000)
    moments = Moments()
    for start in range(0, len(values), 777):
        moments.add(values[start : start + 777])
    assert moments.deviation == pytest.approx((values - 1e9).std(ddof=1), rel=1e-9)
    assert moments.error == pytest.approx(moments.deviation / math.sqrt(1e5), rel=1e-12)


ORDERS = {
    "random": lambda x: x,
    "rising": np.sort,
    "falling": lambda x: np.sort(x)[::-1],
    "alternating": lambda x: np.stack([np.sort(x)[: len(x) // 2], np.sort(x)[::-1][: len(x) // 2]],
                                      axis=1).ravel(),
    "ties": lambda x: np.round(x, 1),
}  # fmt: skip


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_no_rank_is_wrong_by_more_than_the_sketch_says(order, weighted):
    room, part = 512, 700
    values = ORDERS[order](np.random.default_rng(2).normal(size=100_000))
    weights = np.exp(0.5 * values) if weighted else np.ones(len(values))
    sketch = QuantileSketch(room, weighted)
    for start in range(0, len(values), part):
        cut = slice(start, start + part)
        sketch.add(values[cut], weights[cut] if weighted else None)
    found = sketch.ordered()
    # memory: a few levels of ``room`` values
    assert len(found.values) < room * (2 + 0.6 * math.log2(len(values) / room))
    places = np.linspace(-4, 4, 999)
    index = np.argsort(values, kind="stable")
    exact = np.append(0, np.cumsum(weights[index]))[
        np.searchsorted(values[index], places, side="right")
    ]
    told = np.append(0, np.cumsum(found.weights))[
        np.searchsorted(found.values, places, side="right")
    ]
    slack = 1e-9 * weights.sum()
    assert (told - exact).max() <= found.over + slack
    assert (exact - told).max() <= found.under + slack
    assert found.weights.sum() == pytest.approx(weights.sum(), rel=1e-12)
    if not weighted:
        bound = len(values) / room * math.log2(len(values) / room) / 2 + len(values) / room
        assert 0 < found.rank_error <= bound


def test_what_fits_is_exact():
    sketch = QuantileSketch(1000)
    values = np.random.default_rng(3).normal(size=1000)
    sketch.add(values[:300])
    sketch.add(values[300:])
    found = sketch.ordered()
    np.testing.assert_array_equal(found.values, np.sort(values))
    assert found.rank_error == 0 and found.count == 1000


@pytest.mark.parametrize("count", [1, 7, 100, 12_345, 10_000_000])
@pytest.mark.parametrize("share", [0.001, 0.05, 0.5, 0.95])
def test_ranks_are_those_of_the_binomial(count, share):
    for probability in (0.005, 0.05, 0.5, 0.975):
        k = binomial_quantile(probability, count, share)
        below, upto = stats.binom.cdf([k - 1, k], count, share)
        assert below < probability + 1e-12 and upto > probability - 1e-12


def test_bands_of_quantiles_hold_as_often_as_they_say(tmp_path):
    # 58 values are the fewest whose range encloses the 5 % quantile with 90 %
    assert quantile_ranks(0.05, 57)[0] == 0 and quantile_ranks(0.05, 59)[0] == 1
    from twinml.sweep.estimate import Rows, quantiles
    from twinml.sweep.moments import Sums

    rng, held = np.random.default_rng(4), np.zeros(3)
    asked = (0.05, 0.5, 0.95)
    true = stats.lognorm.ppf(asked, 1.0)
    rows = Rows(200, Sums(200, 200, 200), Sums(), weighted=False)
    for _ in range(400):
        sketch = QuantileSketch(1000)
        sketch.add(rng.lognormal(size=200))
        for i, (_, low, high) in enumerate(quantiles(sketch.ordered(), rows, asked, 0.9)):
            held[i] += low <= true[i] <= high
    assert (held / 400 > 0.87).all() and (held / 400 < 0.97).all()


def test_the_band_of_a_whole_curve_is_massarts():
    assert curve_half_width(100, 0.95) == pytest.approx(0.13581, abs=1e-5)
    with pytest.raises(ArgumentError, match="level"):
        curve_half_width(100, 95)
