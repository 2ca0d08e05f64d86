from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import twinml as tw
from tests.sweep.models import BlowUp, Deadly, Decay, Stiff
from twinml.errors import ArgumentError, DataError, IntegrityError, ScenarioError, SweepError
from twinml.sweep.plan import Shard, missing_shards, shard_rows

SCENARIO = {
    "horizon": {"start": 0, "stop": 2},
    "vary": {
        "rate": {"distribution": "uniform", "low": 0.5, "high": 2},
        "initial.x": {"distribution": "triangular", "low": 1, "mode": 2, "high": 4},
        "when": {"distribution": "uniform", "low": 0, "high": 3},
    },
    "changes": [{"at": "when", "multiply": {"rate": 0.5}}],
    "quantities": {"end": "final(x)", "half": "first_time(x < initial.x / 2)"},
}
N, BLOCK = 150, 32

# torch compiles its decompositions with torch.jit at the first forward-mode derivative
first_dual = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def swept(out, samples=N, model=None, scenario=None, **options):
    options = {"workers": 1, "block_size": BLOCK, "seed": 3, **options}
    scenario = tw.Scenario.from_mapping({**SCENARIO, **(scenario or {})})
    return tw.sweep(model or Decay(), scenario, samples=samples, out=out, **options)


def bits(sweep):
    table = sweep.table()
    return {name: table[name].tobytes() for name in table.names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("whole") / "a")


def test_rows_are_the_scenarios_they_name(whole):
    table = whole.table()
    assert table.names == ("sample", "status", "rung", "rate", "initial.x", "when", "end", "half")
    assert table.units["end"] == "cm" and table.units["half"] == "s"
    assert table["sample"].tolist() == list(range(N))
    rate, start, when = table["rate"], table["initial.x"], np.minimum(table["when"], 2)
    exact = start * np.exp(-rate * when - 0.5 * rate * (2 - when))
    np.testing.assert_allclose(table["end"], exact, rtol=1e-5)
    half = np.log(2) / rate
    half = np.where(half > table["when"], 2 * half - table["when"], half)
    np.testing.assert_allclose(table["half"], np.where(half > 2, np.inf, half), rtol=1e-5)
    assert (whole.samples, whole.done, whole.failed, whole.complete) == (N, N, 0, True)


@pytest.mark.parametrize("shard_size", [32, 1000])
def test_the_table_does_not_depend_on_the_shard_size(whole, tmp_path, shard_size):
    assert bits(swept(tmp_path / "b", shard_size=shard_size)) == bits(whole)


def test_an_interrupted_sweep_resumes_to_the_same_bits(whole, tmp_path):
    def interrupt(done, total, failed):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        swept(tmp_path / "b", workers=2, shard_size=32, progress=interrupt)
    part = tw.open_sweep(tmp_path / "b")
    assert part.samples == N and len(part.reports) == 1
    with open(tmp_path / "b" / "ledger.jsonl", "a") as ledger:
        ledger.write('{"start": 64, "st')  # killed inside a line
    again = swept(tmp_path / "b", shard_size=64, resume=True)
    assert again.complete and bits(again) == bits(whole)
    assert len(set(r.start for r in again.reports)) == len(again.reports)


def test_samples_grow_on_resume_and_a_finished_shard_is_not_run_again(whole, tmp_path):
    few = swept(tmp_path / "b", samples=70, shard_size=32)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "b" / "shards").iterdir()}
    grown = swept(tmp_path / "b", resume=True)
    assert few.done == 70 and bits(grown) == bits(whole)
    assert all(p.stat().st_mtime_ns == t for p, t in files.items())
    with pytest.raises(ArgumentError, match="cannot shrink to 70"):
        swept(tmp_path / "b", samples=70, resume=True)


def test_two_workers_give_the_same_bits_even_when_one_is_killed(whole, tmp_path):
    model = Deadly(tmp_path / "flag", os.getpid())
    survived = swept(tmp_path / "b", model=model, workers=2, shard_size=64)
    assert (tmp_path / "flag").exists()
    assert bits(survived) == bits(whole)


def test_a_prefix_is_a_valid_smaller_sweep(whole, tmp_path):
    sweep = swept(tmp_path / "b", shard_size=32)
    (tmp_path / "b" / "shards" / Shard(64, 96).name).unlink()
    with pytest.warns(UserWarning, match=r"000000000064\.parquet is gone"):
        part = tw.open_sweep(tmp_path / "b")
    assert (part.done, part.samples, part.complete) == (64, N, False)
    assert part.table()["end"].tobytes() == whole.table()["end"][:64].tobytes()
    assert part.summary["done"] == 64 and "64 of 150" in repr(part)
    assert bits(swept(tmp_path / "b", resume=True)) == bits(sweep)


def test_a_damaged_shard_is_refused_and_a_truncated_one_recomputed(whole, tmp_path):
    sweep = swept(tmp_path / "b", shard_size=64)
    path = tmp_path / "b" / "shards" / Shard(64, 128).name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(IntegrityError, match=r"000000000064\.parquet is not what"):
        sweep.table()
    path.write_bytes(content[:-9])
    with pytest.warns(UserWarning, match="finished rows are lost"):
        assert tw.open_sweep(tmp_path / "b").done == 64
    assert bits(swept(tmp_path / "b", resume=True)) == bits(whole)


def test_a_taken_directory_is_refused_and_resume_named(whole):
    with pytest.raises(ArgumentError, match=r"already holds a sweep \(150 of 150.*resume=true"):
        swept(whole.path)
    assert swept(whole.path, resume=True).done == N


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"seed": 4}, "seed"),
        ({"rtol": 1e-5}, "rtol"),
        ({"method": "dopri5"}, "method"),
        ({"block_size": 16}, "block_size"),
        ({"model": Decay().set_defaults(rate=2.0)}, "parameter values"),
        ({"model": Deadly(Path("/"), 0)}, "model source"),
        ({"inputs": {"u": 1.0}}, "inputs"),
        ({"scenario": {"horizon": {"start": 0, "stop": 3}}}, "scenario"),
        ({"scenario": {"design": "random"}}, "scenario"),
    ],
)
def test_resume_refuses_every_difference_by_name(whole, options, name):
    with pytest.raises(ArgumentError, match=f"cannot be resumed: {name} differs"):
        swept(whole.path, resume=True, **options)


def test_designs_that_depend_on_the_total_do_not_grow(tmp_path):
    swept(tmp_path / "b", samples=40, scenario={"design": "latin"})
    with pytest.raises(ArgumentError, match="samples differs"):
        swept(tmp_path / "b", samples=50, scenario={"design": "latin"}, resume=True)
    grid = swept(tmp_path / "c", samples=64, scenario={"design": "grid"})
    assert len(np.unique(grid.table()["rate"])) == 4
    with pytest.raises(ScenarioError, match=r"64 \(4 levels\) or 125"):
        swept(tmp_path / "d", samples=100, scenario={"design": "grid"})


@first_dual
def test_failed_rows_stay_with_their_reason(tmp_path):
    scenario = {
        "vary": {"initial.x": {"distribution": "uniform", "low": 0.1, "high": 1.0}},
        "changes": [],
        "quantities": {"end": "final(x)", "large": "final(x) > 2", "over": "time_above(x, 1)"},
    }
    sweep = swept(tmp_path / "b", samples=32, model=BlowUp(), scenario=scenario, max_steps=100)
    table = sweep.table()
    failed = table["status"] != 0
    assert (failed == (table["initial.x"] >= 0.5)).all() and 0 < failed.sum() < 32
    for name in ("end", "large", "over"):
        assert np.isnan(table[name][failed]).all() and np.isfinite(table[name][~failed]).all()
    start = table["initial.x"][~failed]
    np.testing.assert_allclose(table["end"][~failed], start / (1 - 2 * start), rtol=1e-3)
    summary = sweep.summary
    assert summary["failed"] == sweep.failed == failed.sum()
    assert summary["quantities"]["end"]["count"] == 32 - failed.sum()
    assert summary["failures"] and all(f["reason"] for f in summary["failures"].values())
    assert summary["exceedance"]["over"][0]["count"] == 32 - failed.sum()
    assert json.loads((sweep.path / "summary.json").read_text())["failed"] == failed.sum()


@first_dual
def test_the_ladder_saves_rows_that_the_method_cannot_solve(tmp_path):
    scenario = {
        "vary": {"rate": {"distribution": "choice", "values": [1.0, 1e6]}},
        "changes": [],
        "quantities": {"end": "final(x)"},
    }
    sweep = swept(
        tmp_path / "b", samples=20, model=Stiff(), scenario=scenario, method="tsit5",
        max_steps=300, atol={"x": 1e-9},
    )  # fmt: skip
    table = sweep.table()
    assert sweep.failed == 0 and len(set(table["rate"])) == 2
    np.testing.assert_allclose(table["end"], 1 - np.exp(-2 * table["rate"]), rtol=1e-4)


def test_a_change_without_a_usable_span_spoils_no_other_row(tmp_path):
    scenario = {
        "vary": {"last": {"distribution": "choice", "values": [-1.0, 0.5, 1.0]}},
        "changes": [{"from": 0.5, "until": "log(last)", "set": {"rate": 0}}],
        "quantities": {"end": "final(x)", "gone": "first_time(x < 0.05)"},
    }
    sweep = swept(tmp_path / "b", samples=60, scenario=scenario)
    table = sweep.table()
    undefined = table["last"] < 0
    assert ((table["status"] != 0) == undefined).all() and 0 < undefined.sum() < 60
    np.testing.assert_allclose(table["end"][~undefined], math.exp(-2), rtol=1e-5)
    assert sweep.summary["reached"]["gone"]["probability"] == 0


def test_given_inputs_serve_all_samples(tmp_path):
    signal = tw.Signal([0.0, 1.0], [1.0, 0.0], kind="hold")
    scenario = {"vary": {"rate": 1.0}, "changes": [], "quantities": {"end": "final(x)"}}
    table = swept(tmp_path / "b", samples=3, scenario=scenario, inputs={"u": signal}).table()
    np.testing.assert_allclose(table["end"], [math.exp(-1.0)] * 3, rtol=1e-5)
    with pytest.raises(ArgumentError, match="given by inputs= and varied"):
        swept(tmp_path / "c", scenario={**scenario, "vary": {"u": 1.0}}, inputs={"u": signal})


def test_a_dry_run_writes_nothing(tmp_path):
    sweep = swept(tmp_path / "b", shard_size=40, workers=2, dry_run=True)
    plan = sweep.plan
    assert (sweep.done, sweep.samples) == (0, 150)
    assert plan.shards == (Shard(0, 64), Shard(64, 128), Shard(128, 150))
    assert re.match(r"3 shards x 64 samples, kernel [0-9a-f]{6} on native, about \d+ s;", plan.text)
    assert not (tmp_path / "b").exists()


def test_shards_cover_exactly_what_is_missing():
    assert missing_shards(100, [], 40) == (Shard(0, 40), Shard(40, 80), Shard(80, 100))
    done = [Shard(80, 90), Shard(10, 40)]
    assert missing_shards(100, done, 40) == (Shard(0, 10), Shard(40, 80), Shard(90, 100))
    assert missing_shards(100, [Shard(0, 100)], 40) == ()
    assert shard_rows(10**9, 12, 4096, None) % 4096 == 0
    with pytest.raises(ArgumentError, match="shard_size is 0"):
        shard_rows(10, 3, 8, 0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"samples": 0}, ScenarioError, "samples is 0"),
        ({"samples": 2.5}, ScenarioError, "samples is 2.5"),
        ({"seed": -1}, ScenarioError, "seed is -1"),
        ({"workers": 0}, ArgumentError, "workers is 0"),
        ({"executor": "rai"}, ArgumentError, "Known are local"),
        ({"engine": "cudaa"}, ArgumentError, "engine"),
        ({"method": "tsit6"}, ArgumentError, "tsit5"),
        ({"dtype": "float16"}, ArgumentError, "float16"),
        ({"calibration": 3}, ArgumentError, "calibration is int"),
        (
            {"scenario": {"vary": {"rte": 1.0}, "changes": [], "quantities": {"end": "max(x)"}}},
            ScenarioError,
            "Did you mean 'rate'",
        ),
    ],
)
def test_bad_arguments_are_met_before_anything_is_written(tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        swept(tmp_path / "b", **options)
    assert not (tmp_path / "b").exists()


def test_open_sweep_names_what_is_wrong_with_a_folder(tmp_path):
    with pytest.raises(DataError, match=r"no manifest\.json"):
        tw.open_sweep(tmp_path)
    (tmp_path / "manifest.json").write_text('{"schema": "sweep/9"}')
    with pytest.raises(DataError, match="reads 'sweep/2'"):
        tw.open_sweep(tmp_path)


SCRIPT = """
import sys
import twinml as tw
from tests.sweep.models import Decay

class Own(Decay):
    pass

scenario = tw.Scenario(horizon={"start": 0, "stop": 1}, vary={"rate": {
    "distribution": "uniform", "low": 1, "high": 2}}, quantities={"end": "final(x)"})
print(tw.sweep(Decay(), scenario, samples=40, out=sys.argv[1], workers=2, block_size=16,
               shard_size=16))
print(tw.sweep(Own(), scenario, samples=40, out=sys.argv[1] + "2", block_size=16, shard_size=16))
try:
    tw.sweep(Own(), scenario, samples=40, out=sys.argv[1] + "3", workers=2, block_size=16,
             shard_size=16)
except tw.errors.ArgumentError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_plain_script_without_a_main_guard_can_sweep(tmp_path):
    script = tmp_path / "study.py"
    script.write_text(SCRIPT)
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "s")],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("40 of 40 samples done") == 2
    assert "Own is defined in the script itself" in done.stdout


def test_a_sweeps_sensitivity_groups_what_is_calibrated(whole):
    indices = whole.sensitivity(samples=64)
    assert indices.factors == ("rate", "initial.x", "when")
    first = indices.to_mapping()["end"]["initial.x"]
    assert first["first_low"] <= first["first"] <= first["first_high"]
    assert 0.05 < first["total"] < 1.1
    again = tw.open_sweep(whole.path)
    np.testing.assert_array_equal(again.sensitivity(64, model=Decay()).total, indices.total)
    with pytest.raises(SweepError, match="without its model"):
        again.sensitivity(64)
    with pytest.raises(SweepError, match="other parameter values"):
        again.sensitivity(64, model=Decay().set_defaults(rate=2.0))
    with pytest.raises(SweepError, match="other inputs"):
        again.sensitivity(64, model=Decay(), inputs={"u": 1.0})


def test_a_row_may_have_as_many_events_as_are_allowed(tmp_path):
    scenario = tw.Scenario(
        horizon={"start": 0.0, "stop": 2.0},
        vary={"restitution": {"distribution": "uniform", "low": 0.6, "high": 0.8}},
        quantities={"end": "final(height)"},
    )
    ball, options = tw.library.BouncingBall(), {"samples": 4, "workers": 1, "block_size": 8}
    few = tw.sweep(ball, scenario, out=tmp_path / "few", max_events=1, **options)
    assert few.failed == 4
    assert tw.sweep(ball, scenario, out=tmp_path / "many", max_step=0.1, **options).failed == 0
    with pytest.raises(ArgumentError, match="max_events"):
        tw.sweep(ball, scenario, out=tmp_path / "none", max_events=0, **options)
