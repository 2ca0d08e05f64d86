"""What a record is worth: every fault put into a good record is found, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinml.cli.common import BESIDE
from twinml.data.assemble import Request, assemble
from twinml.data.files.open import read_columns
from twinml.data.files.text import read_text
from twinml.data.files.text_options import TextOptions
from twinml.data.quality.clock import read_clock
from twinml.data.quality.column import read_values
from twinml.data.quality.doubts import doubts
from twinml.data.quality.examine import examine
from twinml.data.quality.report import Report
from twinml.data.record import Record
from twinml.data.rules import Rules
from twinml.errors import DataError, TwinmlError

ROWS = 600


def sensor(seed: int = 0, digits: int = 3) -> np.ndarray:
    random = np.random.default_rng(seed)
    wave = 20 + 5 * np.sin(np.arange(ROWS) / 60) + random.normal(0, 0.05, ROWS)
    return np.round(wave, digits)


def look(values: np.ndarray):
    return read_values(values, [np.arange(len(values))])


def test_a_stuck_sensor_is_told_from_a_held_input():
    plain = sensor()
    assert look(plain).behaviour == "varies"
    stuck = plain.copy()
    stuck[300:330] = stuck[300]
    found = look(stuck)
    assert (found.behaviour, found.run, found.run_row) == ("stuck", 30, 300)
    held = np.repeat(np.random.default_rng(1).integers(0, 5, 12), 50).astype(float)
    assert look(held).behaviour == "held"
    once = np.where(np.arange(ROWS) < 400, 23.0, 25.0)
    assert look(once).behaviour == "held"
    assert look(np.full(ROWS, 3.0)).behaviour == "constant"
    assert look(np.full(ROWS, np.nan)).behaviour == "empty"


@pytest.mark.parametrize("digits", [0, 1, 2])
def test_a_coarse_sensor_repeats_without_being_stuck(digits):
    assert look(sensor(digits=digits)).behaviour in ("varies", "held")


def test_pulses_of_one_height_are_a_habit_and_no_fault():
    noise = np.random.default_rng(2).normal(0, 1, (6, 20))
    pulses = np.concatenate([np.concatenate([row, np.full(100, -7.5)]) for row in noise])
    assert look(pulses).behaviour != "stuck"


def test_spikes_leave_both_neighbours_and_steps_do_not():
    values = sensor()
    values[100], values[400:] = 60.0, values[400:] + 30
    assert look(values).spikes == (100,)
    coarse = np.random.default_rng(3).integers(30, 33, ROWS).astype(float)
    assert look(coarse).spikes == ()


def test_missing_samples_are_counted_in_stretches():
    values = sensor()
    values[[0, 10, 11, 12, 599]] = np.nan
    found = look(values)
    assert found.missing == 5 and found.gaps == ((0, 1), (10, 3), (599, 1))
    assert found.behaviour == "varies"


def jittered(seed: int = 0) -> np.ndarray:
    return np.arange(ROWS) * 10.0 + np.random.default_rng(seed).normal(0, 0.1, ROWS)


def test_a_good_clock_has_nothing_to_report():
    for time in (jittered(), np.arange(50.0), np.array([3.0]), np.arange(400) * 1.0013):
        found = read_clock(time)
        assert not (found.gaps or found.repeated or found.backward or found.jumps)
    random = np.cumsum(np.random.default_rng(0).exponential(1, 300))
    assert read_clock(random).jumps == () and read_clock(random).irregular > 0.5


def test_gaps_jumps_repeats_and_late_rows_are_told_apart():
    gap = jittered()
    gap[200:] += 90.0
    found = read_clock(gap)
    assert [(e.row, round(e.size)) for e in found.gaps] == [(200, 100)]
    assert found.absent == 9 and not found.jumps  # whole periods are absent: the grid stays
    shifted = jittered()
    shifted[420:] += 4.0
    found = read_clock(shifted)
    assert [(e.row, round(e.size)) for e in found.jumps] == [(420, 4)] and not found.gaps
    single = jittered()
    single[300] += 4.0
    assert read_clock(single).jumps == ()  # one late stamp is no jump of the clock
    late = jittered()
    late[[100, 101]] = late[[101, 100]]
    late[50] = late[49]
    found = read_clock(late)
    assert [e.row for e in found.backward] == [101] and found.repeated == (50,)
    assert found.backward[0].size == pytest.approx(10, abs=1)


def report_of(folder: Path, text: str, **stated) -> Report:
    path = folder / "plant.csv"
    path.write_text(text)
    names = ("time", "period", "units", "time_unit")
    request = Request(**{k: v for k, v in stated.items() if k in names})
    rules = Rules(**{k: v for k, v in stated.items() if k not in names})
    return examine(read_columns(path), request, rules)


BAD = (
    "when,T [degC],valve,note\n"
    "2026-03-01T12:00:00,20,1,good\n"
    "2026-03-01T12:00:10,NA,1,good\n"
    "2026-03-01T12:00:20,21,1\n"
    "2026-03-01T12:00:15,inf,1,good\n"
    "yesterday,22,1,good\n"
    "2026-03-01T12:00:40,23,1,good\n"
    "2026-03-01T12:00:40,24,x1,good\n"
)


def test_all_problems_of_a_file_are_reported_at_once_with_their_lines(tmp_path):
    report = report_of(tmp_path, BAD)
    found = {(p.kind, p.place.partition(",")[0], p.column) for p in report.problems}
    assert found == {
        ("zone", "column 'when'", "when"),
        ("number", "line 3", "T [degC]"),
        ("cells", "line 4", ""),
        ("late", "line 5", "when"),
        ("infinite", "line 5", "T [degC]"),
        ("time", "line 6", "when"),
        ("repeated", "line 8", "when"),
        ("number", "line 8", "valve"),
    }
    assert not report.usable
    types = {c.name: (c.type, c.unit) for c in report.columns}
    assert types == {
        "T [degC]": ("number", "degC"), "valve": ("number", None), "note": ("text", None)
    }  # fmt: skip


def test_what_the_rules_settle_is_a_finding_and_no_problem(tmp_path):
    text = "t,x\n0,1\n2,NA\n1,3\n2,4\n"
    assert len(report_of(tmp_path, text).problems) == 3
    report = report_of(tmp_path, text, late="sort", duplicates="last", missing=["NA"])
    assert report.usable
    assert {f.kind for f in report.findings} == {"late", "repeated", "missing"}


def test_the_report_is_plain_json_with_lines_as_places(tmp_path):
    text = "# rig\nt,x\n" + "".join(f"{i},{v}\n" for i, v in enumerate(sensor()))
    text = text.replace("\n100,", "\n100.4,").replace("\n50,", "\n50,9")
    plain = json.loads(json.dumps(report_of(tmp_path, text).to_json(), allow_nan=False))
    assert plain["schema"] == "data_report/1" and plain["places"] == "lines"
    assert plain["columns"]["x"]["values"]["spikes"] == [53]
    assert plain["columns"]["x"]["bounds"] == [None, None]
    bad = report_of(tmp_path, BAD).to_json()
    assert [p["row"] for p in bad["problems"] if p["kind"] == "late"] == [5]
    assert bad["problem_counts"]["number:valve"] == 1


def test_the_time_column_is_found_by_name_or_content(tmp_path):
    for text, name in (
        ("x,Time (min)\n1,0\n2,1\n", "Time (min)"),
        ("x,stamp\n1,2026-03-01T12:00:00Z\n2,2026-03-01T12:00:01Z\n", "stamp"),
        ("x,y\n1,0\n2,1\n", ""),
    ):
        report = report_of(tmp_path, text)
        assert report.time == name and any(n.startswith("time:") for n in report.notes)
    assert report_of(tmp_path, "x,y\n1,0\n2,1\n", period=4.0).end == "4 s"


def test_a_stated_unit_against_the_header_is_one_of_the_problems(tmp_path):
    report = report_of(tmp_path, "t [min],T [degC]\n0,1\n1,2\n", units={"T [degC]": "K"},
                       time_unit="s")  # fmt: skip
    assert [p.kind for p in report.problems] == ["unit", "unit"]
    assert report.columns[0].unit == "degC" and report.time_unit == "min"


DATA = Path(os.environ.get("TWINML_DATA") or BESIDE)


@pytest.mark.skipif(not DATA.is_dir(), reason="the folder of measured records is absent")
def test_the_known_faults_of_measured_records_are_found():
    path = DATA / "skab/valve1/2.csv"
    report = examine(read_columns(path), Request(), Rules(zone="UTC"))
    (clock,) = report.clocks.values()
    assert [gap.size for gap in clock.gaps] == [76.0] and not clock.jumps
    assert {c.values.behaviour for c in report.columns if c.name == "anomaly" and c.values} == {
        "held"
    }
    path = DATA / "cascaded_tanks/dataBenchmark.csv"
    report = examine(read_columns(path), Request(period=4.0), Rules())
    stuck = {f.column: f.text for f in report.findings if f.kind == "stuck"}
    assert set(stuck) == {"yEst", "yVal"} and "largest value" in stuck["yEst"]  # the overflow


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.text("t;,x12.5-eNA \"\n\t'é", max_size=14), min_size=1, max_size=6
    ),
    st.sampled_from(["refuse", "sort", "set_aside"]),
    st.sampled_from(["refuse", "mean", "last"]),
)  # fmt: skip
def test_the_report_and_the_record_agree_whatever_the_file_holds(lines, late, duplicates):
    rules = Rules(zone="UTC", late=late, duplicates=duplicates)
    try:
        found = read_text("\n".join(["t,x", *lines]).encode(), "plant.csv", "", TextOptions())
    except DataError:
        return
    report = examine(found, Request(), rules)
    json.dumps(report.to_json(), allow_nan=False)
    numbers = {c.name: c.name for c in report.columns if c.type == "number"}
    if not numbers:
        return
    request = Request(time=report.time or None, columns=numbers)
    if not report.time:
        return
    if report.usable:
        assert len(assemble(found, request, rules)) > 0
    else:
        with pytest.raises(TwinmlError):
            assemble(found, request, rules)


def test_a_fit_is_told_of_a_stuck_sensor_and_of_inputs_over_a_gap():
    time, gauge = np.arange(ROWS) * 0.25, sensor()
    drive = np.repeat(np.random.default_rng(1).integers(0, 5, ROWS // 50), 50).astype(float)
    columns, units = {"gauge": gauge, "drive": drive}, {"gauge": "degC"}
    held = {"kinds": {"drive": "hold"}, "units": units, "time_unit": "h"}
    assert doubts(Record(time, columns, **held)) == []
    gauge[300:330] = gauge[300]
    (stuck,) = doubts(Record(time, columns, **held))
    assert f"'gauge' stands at {gauge[300]:.6g} degC for 30 rows, 75 to 82.25 h" in stuck
    gauge[301:330] = np.nan  # as the sentence says
    rows = np.r_[0:100, 120:ROWS]
    kept = {name: values[rows] for name, values in columns.items()}
    (gap,) = doubts(Record(time[rows], kept, **held))
    assert gap.startswith("no rows for 5.25 h from 24.75 h on") and "drive (hold)" in gap
    assert doubts(Record(time[rows], {"gauge": kept["gauge"]}, units, "h")) == []
