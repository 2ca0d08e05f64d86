"""Records: what a file must hold, and how it is refused in the user's words."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from twinml import resources
from twinml.data.record import Record
from twinml.errors import DataError, ShapeError, UnitError

GOOD = "t,level,valve\n0,1.0,0.2\n4,1.5,0.4\n8,,0.4\n"


def write(folder, text, name="record.csv"):
    path = folder / name
    path.write_text(text)
    return path


def test_the_shipped_record_starts_at_zero_with_763_boys_at_school():
    record = Record.from_csv(
        resources.data("influenza_1978.csv"), time="day", time_unit="day",
        columns={"in_bed": "in_bed"}, units={"in_bed": "1"},
    )  # fmt: skip
    assert len(record) == 14
    assert record.time.tolist() == list(range(14))
    assert record["in_bed"].max() == 298 and record["in_bed"].sum() == 1559


def test_an_empty_cell_is_a_missing_sample(tmp_path):
    record = Record.from_csv(write(tmp_path, GOOD), time="t", units={"level": "cm"})
    assert np.isnan(record["level"][2]) and record["valve"][2] == 0.4
    assert record.values_in("level", "m")[1] == pytest.approx(0.015)


def test_iso_datetimes_with_zones_become_time_since_the_first_row(tmp_path):
    text = "when,x\n2026-03-29T01:30:00+01:00,1\n2026-03-29T03:30:00+02:00,2\n"
    record = Record.from_csv(write(tmp_path, text), time="when", time_unit="h")
    assert record.time.tolist() == [0.0, 1.0]  # the clocks went forward in between


def test_a_period_stands_in_for_a_time_column(tmp_path):
    record = Record.from_csv(write(tmp_path, "x\n1\n2\n3\n"), period=4.0)
    assert record.time.tolist() == [0.0, 4.0, 8.0]


def test_equal_content_has_an_equal_digest_and_any_change_another(tmp_path):
    a = Record.from_csv(write(tmp_path, GOOD), time="t")
    b = Record.from_csv(write(tmp_path, GOOD, "copy.csv"), time="t")
    c = Record.from_csv(write(tmp_path, GOOD.replace("1.5", "1.6")), time="t")
    assert a.digest == b.digest != c.digest


BAD = [
    ("", {"time": "t"}, ["is empty", "header line"]),
    ("t,x\n", {"time": "t"}, ["header and no rows"]),
    ("t,x\n0,1\n1,abc\n", {"time": "t"}, ["line 3", "column 'x'", "'abc' is not a number"]),
    ("t,x\n0,1\n0,2\n", {"time": "t"}, ["line 3", "column 't'", "repeats", "duplicates:"]),
    ("t,x\n5,1\n2,2\n", {"time": "t"}, ["line 3", "runs backwards", "5 s to 2 s", "late:"]),
    ("t,x\n0,1\n,2\n", {"time": "t"}, ["line 3", "time is missing"]),
    ("t,x\n0,1\n1,2\n", {"time": "tt"}, ["no column 'tt'", "Did you mean 't'"]),
    ("t,x,x\n0,1,2\n", {"time": "t"}, ["'x'", "twice"]),
    ("t,x\n2026-01-01T00:00:00,1\n", {"time": "t"}, ["no time zone"]),
    ("t,x\nsoon,1\n", {"time": "t"}, ["neither a number nor an ISO datetime"]),
    ("t,x\n0,1\n1,2,3\n", {"time": "t"}, ["line 3", "3 cells", "2 columns"]),
    ("t,x\n0,1\n", {}, ["time=", "period="]),
    ("t,x\n0,1\n", {"time": "t", "columns": {"y": "z"}}, ["no column 'z'"]),
    ("t,x\n0,1\n", {"time": "t", "units": {"y": "cm"}}, ["'y'", "not read"]),
]


@pytest.mark.parametrize(("text", "arguments", "words"), BAD)
def test_a_file_that_cannot_be_used_is_refused_with_its_place(tmp_path, text, arguments, words):
    with pytest.raises(DataError) as caught:
        Record.from_csv(write(tmp_path, text), **arguments)
    for word in [*words, "record.csv"]:
        assert word in str(caught.value)


def test_other_refusals(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Record.from_csv(tmp_path / "none.csv", time="t")
    with pytest.raises(UnitError, match="does not parse"):
        Record.from_csv(write(tmp_path, GOOD), time="t", units={"level": "cmm2x"})
    record = Record.from_csv(write(tmp_path, GOOD), time="t", units={"level": "cm"})
    with pytest.raises(UnitError, match="dimensions differ"):
        record.values_in("level", "kg")
    with pytest.raises(ShapeError, match="one value per time"):
        Record(np.arange(3.0), {"x": np.arange(2.0)}, {"x": "1"})


def test_a_part_of_a_record_begins_at_zero_and_keeps_its_experiments():
    whole = Record(
        np.array([0.0, 1.0, 2.0, 3.0, 0.0, 2.0, 4.0]),
        {"x": np.arange(7.0)},
        {"x": "m"},
        parts={"a": 0, "b": 4},
    )
    part = whole.between(1.0, 3.0)
    assert part["x"].tolist() == [1.0, 2.0, 3.0, 5.0]
    assert part.time.tolist() == [0.0, 1.0, 2.0, 0.0] and part.parts == {"a": 0, "b": 3}
    assert whole.between().digest == whole.digest
    with pytest.raises(DataError, match=r"experiment 'a'.*0 to 3"):
        whole.between(3.5)


def test_a_record_drives_a_model_in_the_models_units():
    class Tank(tw.Physics):
        level = tw.State("m", initial=0.0)
        inflow = tw.Input("m/s", default=0.0)

        def rhs(self, inflow):
            return {"level": inflow}

    record = Record(
        np.array([0.0, 1.0, 2.0]),
        {"inflow": np.array([60.0, 0.0, 0.0]), "other": np.zeros(3)},
        {"inflow": "m/min", "other": "1"},
        "min",
    )
    found = record.inputs(Tank())
    assert list(found) == ["inflow"] and found["inflow"].kind == "hold"
    assert found["inflow"].times.tolist() == [0.0, 60.0, 120.0]
    sol = tw.simulate(Tank(), record.time_in("s"), inputs=found)
    assert float(sol["level"][0, -1]) == pytest.approx(60.0, rel=1e-12)
