"""Time axes: zones, changes of the clock, late rows and repeated times."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinml.data.order import arrange
from twinml.data.record import Record
from twinml.errors import DataError


def record_of(folder, stamps, **rules):
    path = folder / "plant.csv"
    path.write_text("when,x\n" + "".join(f"{s},{i}\n" for i, s in enumerate(stamps)))
    return Record.read(path, time="when", **rules)


DAY_FIRST = {"time_format": "%d.%m.%Y %H:%M"}
SAME = {
    "Z": (["2026-03-01T12:00:00Z", "2026-03-01T12:01:00Z"], {}),
    "offsets": (["2026-03-01T13:00:00+01:00", "2026-03-01T17:31:00+0530"], {}),
    "a blank": (["2026-03-01 12:00:00 Z", "2026-03-01 12:01:00+00:00"], {}),
    "fractions": (["2026-03-01T12:00:00.000000000Z", '"2026-03-01T12:01:00,0Z"'], {}),
    "a stated zone": (["2026-03-01T13:00:00", "2026-03-01T13:01"], {"zone": "Europe/Berlin"}),
    "a stated offset": (["2026-03-01T11:00:00", "2026-03-01T11:01:00"], {"zone": "-01:00"}),
    "a zone for some": (["2026-03-01T12:00:00Z", "2026-03-01T13:01:00"], {"zone": "+01:00"}),
    "a stated format": (["01.03.2026 12:00", "01.03.2026 12:01"], {"zone": "UTC", **DAY_FIRST}),
    "numbers": (["1772366400", "1772366460"], {}),
}  # fmt: skip


@pytest.mark.parametrize(("stamps", "rules"), SAME.values(), ids=SAME)
def test_a_minute_is_a_minute_however_it_is_written(tmp_path, stamps, rules):
    record = record_of(tmp_path, stamps, **rules)
    assert record.time.tolist() == [0.0, 60.0]
    if not stamps[0].isdigit():
        assert record.start == "2026-03-01T12:00:00Z"


def test_nanoseconds_survive(tmp_path):
    stamps = ["2026-03-01T12:00:00.000000001Z", "2026-03-01T12:00:00.000000004Z"]
    assert record_of(tmp_path, stamps).time[1] == pytest.approx(3e-9, rel=1e-12)


def test_a_clock_set_forward_leaves_no_hole_and_the_missing_hour_is_refused(tmp_path):
    stamps = ["2026-03-29T01:30:00", "2026-03-29T03:30:00"]
    assert record_of(tmp_path, stamps, zone="Europe/Berlin").time.tolist() == [0, 3600]
    with pytest.raises(DataError, match=r"line 2.*'2026-03-29T02:30:00'.*did not exist"):
        record_of(tmp_path, ["2026-03-29T02:30:00"], zone="Europe/Berlin")


def test_a_clock_set_back_is_followed_where_the_rows_step_back(tmp_path):
    day = "2026-10-25T"
    stamps = [day + clock for clock in ("01:30", "02:00", "02:30", "02:00", "02:30", "03:00")]
    record = record_of(tmp_path, stamps, zone="Europe/Berlin")
    assert np.diff(record.time).tolist() == [1800] * 5
    assert any("second pass" in note for note in record.notes)
    hourly = [day + clock for clock in ("01:00", "02:00", "02:00", "03:00")]
    assert np.diff(record_of(tmp_path, hourly, zone="Europe/Berlin").time).tolist() == [3600] * 3
    with pytest.raises(DataError, match=r"line 3.*occurred twice in Europe/Berlin.*Write the off"):
        record_of(tmp_path, [day + "01:30", day + "02:30", day + "03:30"], zone="Europe/Berlin")


def test_a_leap_second_counts_as_in_unix_time(tmp_path):
    stamps = ["2016-12-31T23:59:59Z", "2016-12-31T23:59:60.5Z", "2017-01-01T00:00:01Z"]
    record = record_of(tmp_path, stamps)
    assert record.time.tolist() == [0, 1.5, 2]
    assert any("leap second" in note for note in record.notes)


BAD = {
    "no zone": (["2026-03-01T12:00:00"], {}, ["line 2", "'when'", "no time zone", "zone: UTC"]),
    "one without": (["2026-03-01T12:00:00Z", "2026-03-01T12:01:00"], {}, ["line 3", "zone"]),
    "no such day": (["2026-02-30T12:00:00Z"], {}, ["line 2", "'2026-02-30T12:00:00Z'", "day"]),
    "another order": (["01.03.2026 12:00"], {"zone": "UTC"}, ["line 2", "ISO"]),
    "not the format": (["2026-03-01"], {"zone": "UTC", **DAY_FIRST}, ["line 2", "%d.%m.%Y"]),
    "a word": (["2026-03-01T12:00:00Z", "later"], {}, ["line 3", "'later'"]),
    "missing": (["2026-03-01T12:00:00Z", ""], {}, ["line 3", "time is missing"]),
    "far away": (["0026-03-01T12:00:00Z"], {}, ["line 2", "year 26"]),
    "a date among numbers": (["1", "2026-03-01T12:00:00Z"], {}, ["line 3", "is not a number"]),
}  # fmt: skip


@pytest.mark.parametrize(("stamps", "rules", "words"), BAD.values(), ids=BAD)
def test_a_time_in_doubt_is_refused(tmp_path, stamps, rules, words):
    with pytest.raises(DataError) as caught:
        record_of(tmp_path, stamps, **rules)
    for word in [*words, "plant.csv"]:
        assert word in str(caught.value)


LATE = ["0", "2", "1", "3", "3", "5", "4"]  # values 0 to 6


BOTH = {"line 5": "mean", "line 6": "mean"}
APART = {"line 4": "late", "line 5": "last", "line 8": "late"}


@pytest.mark.parametrize(
    ("late", "duplicates", "times", "values", "aside"),
    [
        ("sort", "first", [0, 1, 2, 3, 4, 5], [0, 2, 1, 3, 6, 5], {"line 6": "first"}),
        ("sort", "last", [0, 1, 2, 3, 4, 5], [0, 2, 1, 4, 6, 5], {"line 5": "last"}),
        ("sort", "mean", [0, 1, 2, 3, 4, 5], [0, 2, 1, 3.5, 6, 5], BOTH),
        ("set_aside", "last", [0, 2, 3, 5], [0, 1, 4, 5], APART),
    ],
)
def test_late_and_repeated_rows_follow_the_rule_and_none_is_lost(
    tmp_path, late, duplicates, times, values, aside
):
    record = record_of(tmp_path, LATE, late=late, duplicates=duplicates)
    assert record.time.tolist() == times
    assert record["x"].tolist() == values
    assert record.counts == {"late": 2, "repeated": 1, "set_aside": len(aside)}
    found = dict(zip(record.set_aside["place"], record.set_aside["reason"], strict=True))
    assert list(found) == list(aside)
    assert all(word in found[place] for place, word in aside.items())
    assert len(record.notes) == 2


def test_late_and_repeated_rows_are_refused_unless_a_rule_is_stated(tmp_path):
    with pytest.raises(DataError, match=r"line 4, column 'when'.*from 2 s to 1 s.*late: sort"):
        record_of(tmp_path, LATE)
    with pytest.raises(DataError, match=r"line 6.*repeats \(3 s\).*duplicates: first"):
        record_of(tmp_path, LATE, late="sort")
    with pytest.raises(DataError, match="repeats"):  # rows alike in every cell are no exception
        path = tmp_path / "alike.csv"
        path.write_text("t,x\n0,1\n1,2\n1,2\n")
        Record.read(path, time="t")


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=25),
    st.sampled_from(["sort", "set_aside"]),
    st.sampled_from(["first", "last", "mean"]),
)
def test_every_row_is_in_the_record_or_set_aside(ticks, late, duplicates):
    times = np.array(ticks, dtype=np.float64)
    order = arrange(times, late, duplicates)
    assert (np.diff(times[order.rows]) > 0).all()
    merged = {int(row) for rows in order.merged.values() for row in rows}
    kept = {int(row) for row in order.rows} - merged
    assert kept | set(order.aside) == set(range(len(ticks)))
    assert not kept & set(order.aside)
    assert len(order.rows) == len(set(ticks)) or late == "set_aside"
