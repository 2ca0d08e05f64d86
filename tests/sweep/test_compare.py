"""Two sweeps on common random numbers: paired differences against closed forms, and refusals."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.stats import norm

import twinml as tw
from tests.sweep.stored import store_sweep
from twinml.errors import ArgumentError
from twinml.sweep.compare import unpaired
from twinml.sweep.rows import CHUNK

N = 20_000
ASKED = {"exceedance": {"y": [1.5]}}


def draws(rows=N, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=rows), rng.normal(size=rows)


def stored(out, inputs, y, **options):
    scenario = {**ASKED, **options.pop("scenario", {})}
    return store_sweep(
        out, {**inputs, "y": y, **options.pop("more", {})}, list(inputs), {"y": "max(x)"},
        scenario=scenario, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    x, e = draws()
    a = stored(folder / "a", {"x": x}, x)
    b = stored(folder / "b", {"x": x, "effect": e}, x - 0.1 + 0.2 * e, cuts=(777,))
    return a, b


def test_paired_differences_are_those_of_the_closed_form(pair):
    a, b = pair
    found = tw.compare(a, b)
    y = found.quantities["y"]
    error = 0.2 / math.sqrt(N)
    assert y["difference"] == pytest.approx(-0.1, abs=3 * error)
    assert y["error"] == pytest.approx(error, rel=0.03)
    assert y["high"] - y["low"] == pytest.approx(2 * norm.ppf(0.95) * error, rel=0.03)
    assert y["better"]["probability"] == pytest.approx(norm.cdf(0.5), abs=0.01)
    assert y["quantiles"]["50"][1] <= -0.1 <= y["quantiles"]["50"][2]
    # var a = 1, var b = 1.04, var(b - a) = 0.04: 51 times fewer rows than unpaired
    assert y["variance_ratio"] == pytest.approx(51, rel=0.05)
    assert y["correlation"] == pytest.approx(1 / math.sqrt(1.04), abs=0.01)
    assert (found.paired, found.only_a, found.only_b) == (("x",), (), ("effect",))
    assert b.versus(a).quantities == found.quantities
    plain = unpaired(a, b)["y"]
    assert plain["error"] / y["error"] == pytest.approx(math.sqrt(51), rel=0.05)


def test_the_change_of_a_probability_is_paired_too(pair):
    over = tw.compare(*pair).quantities["y"]["over"][0]
    table = [sweep.table()["y"] > 1.5 for sweep in pair]
    assert over["only_a"] == (table[0] & ~table[1]).sum()
    assert over["difference"] == pytest.approx(table[1].mean() - table[0].mean())
    exact = norm.sf(1.6 / math.sqrt(1.04)) - norm.sf(1.5)
    assert over["low"] <= exact <= over["high"]
    assert over["high"] - over["low"] < 0.5 * 2 * 1.645 * math.sqrt(2 * 0.06 / N)


def test_the_result_is_the_same_for_any_cut_and_is_plain_data(tmp_path):
    x, e = draws(CHUNK + 500)
    content = [
        tw.compare(
            stored(tmp_path / f"a{i}", {"x": x}, x, cuts=cuts[0]),
            stored(tmp_path / f"b{i}", {"x": x}, x * e, cuts=cuts[1]),
        ).quantities
        for i, cuts in enumerate([((), ()), ((9, CHUNK + 1), (CHUNK,))])
    ]
    texts = [json.dumps(part, allow_nan=False) for part in content]
    assert texts[0] == texts[1]


def test_failed_infinite_and_unfinished_rows_are_counted_out(tmp_path):
    x = np.arange(100.0)
    first, second = x.copy(), x + 1.0
    statuses = np.zeros(100, dtype=np.int64), np.zeros(100, dtype=np.int64)
    statuses[0][:3] = 4
    statuses[1][2:6] = 4
    first[10], second[10] = math.inf, math.inf  # never, in both
    second[11] = math.inf  # the scenario prevents it
    first[12] = math.nan
    a = stored(tmp_path / "a", {"x": x}, first, more={"status": statuses[0]})
    b = stored(
        tmp_path / "b", {"x": x[:50]}, second[:50], more={"status": statuses[1][:50]}, samples=80
    )
    found = tw.compare(a, b, better={"y": "higher"})
    assert found.rows == 50 and found.samples == (100, 80)
    assert found.failed == {"only a": 2, "only b": 3, "both": 1}
    y = found.quantities["y"]
    assert (y["pairs"], y["infinite"], y["undefined"]) == (41, 2, 1)
    assert (y["difference"], y["sd"], y["error"]) == (1.0, 0.0, 0.0)
    assert (y["lower"]["count"], y["equal"]["count"], y["higher"]["count"]) == (0, 1, 42)
    assert y["better"]["is"] == "higher" and y["better"]["probability"] == 42 / 43
    json.dumps(found.to_mapping(), allow_nan=False)


def test_tilted_sweeps_are_weighted_and_must_be_tilted_alike(tmp_path):
    z, e = draws()
    x = z + 1.0
    weight = np.exp(-x + 0.5)
    a = stored(tmp_path / "a", {"x": x}, x, more={"weight": weight})
    b = stored(tmp_path / "b", {"x": x}, 0.5 * x + 0.1 * e, more={"weight": weight})
    y = tw.compare(a, b, level=0.99).quantities["y"]
    assert abs(y["difference"]) < 4 * y["error"]
    # E_g[w^2 d^2] of d = -0.5 x + 0.1 e
    error = math.sqrt(math.exp(1) * (0.25 * 2 + 0.01) / N)
    assert y["error"] == pytest.approx(error, rel=0.15)
    over = y["over"][0]
    exact = norm.sf(1.5 / math.sqrt(0.26)) - norm.sf(1.5)
    assert over["low"] <= exact <= over["high"]
    other = stored(tmp_path / "c", {"x": x}, x, more={"weight": 2 * weight})
    with pytest.raises(ArgumentError, match="'weight' is drawn differently"):
        tw.compare(a, other)
    with pytest.raises(ArgumentError, match="only one of them is tilted"):
        tw.compare(a, stored(tmp_path / "d", {"x": x}, x))


def test_what_does_not_pair_is_refused_by_name(pair, tmp_path):
    a, _ = pair
    x, e = draws()
    changed = x.copy()
    changed[17] += 1
    other = stored(tmp_path / "b", {"x": changed}, x)
    with pytest.raises(ArgumentError, match=r"'x' is drawn differently \(sample 17 has"):
        tw.compare(a, other)
    with pytest.raises(ArgumentError, match=r"no drawn input in common \(x and z\)"):
        tw.compare(a, stored(tmp_path / "c", {"z": e}, x))
    noise = {"noise": "philox4x32-10/1"}
    with pytest.raises(ArgumentError, match="their seeds differ"):
        tw.compare(
            stored(tmp_path / "d", {"x": x}, x, identity=noise),
            stored(tmp_path / "e", {"x": x}, x, identity={**noise, "seed": 1}),
        )
    with pytest.raises(ArgumentError, match="no quantity in common"):
        tw.compare(a, store_sweep(tmp_path / "f", {"x": x, "w": x}, ["x"], {"w": "min(x)"}))
    with pytest.raises(ArgumentError, match="Did you mean 'y'"):
        tw.compare(a, a, better={"yy": "lower"})


def test_a_fixed_input_is_a_setting_that_may_differ(tmp_path):
    x, _ = draws(50)
    sweeps = []
    for i, value in enumerate((0.0, 0.5)):
        vary = {"x": {"distribution": "normal", "mean": 0, "std": 1}, "effect": value}
        sweeps.append(
            stored(tmp_path / str(i), {"x": x, "effect": np.full(50, value)}, x * (1 - value),
                   scenario={"vary": vary})
        )  # fmt: skip
    found = tw.compare(*sweeps)
    assert found.paired == ("x",) and found.settings == {"effect": (0.0, 0.5)}
    assert list(found.identity) == ["scenario vary effect"]
