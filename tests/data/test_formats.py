"""The same numbers from any file: text, Parquet, MAT, dataframes; one file or several."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from twinml.cli.common import BESIDE
from twinml.data.assemble import Request, assemble
from twinml.data.files.arrow import read_frame, read_parquet
from twinml.data.files.matlab import read_mat
from twinml.data.files.text import read_text
from twinml.data.files.text_options import TextOptions
from twinml.data.record import Record
from twinml.data.rules import Rules
from twinml.data.table import Table
from twinml.errors import ArgumentError, DataError

numbers = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False))


def as_parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(numbers, numbers), min_size=1, max_size=12),
    st.sampled_from([",", ";", "\t"]),
)
def test_the_digest_does_not_depend_on_how_the_numbers_are_stored(rows, delimiter):
    a, b = ([row[i] for row in rows] for i in (0, 1))
    times = [0.1 * i for i in range(len(rows))]
    decimal = "," if delimiter == ";" else "."

    def cell(value):
        return "" if value is None else repr(float(value)).replace(".", decimal)

    lines = [["t", "a", "b"], *([cell(v) for v in row] for row in zip(times, a, b, strict=True))]
    text = "\n".join(delimiter.join(line) for line in lines).encode()
    table = pa.table({"t": times, "a": pa.array(a, pa.float64()), "b": pa.array(b, pa.float64())})
    mat = io.BytesIO()
    full = {"t": times, "a": a, "b": b}
    savemat(mat, {n: np.array([np.nan if v is None else v for v in c]) for n, c in full.items()})
    options = TextOptions(delimiter=delimiter, decimal=decimal)
    found = [
        read_text(text, "text", "", options),
        read_parquet(as_parquet(table), "Parquet", ""),
        read_mat(mat.getvalue(), "MAT", ""),
        read_frame(table, "frame"),
    ]
    digests = {assemble(columns, Request(time="t"), Rules()).digest for columns in found}
    assert len(digests) == 1


def test_units_times_and_values_are_in_the_digest_and_the_file_beside_it(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t,x\n0,1\n1,2\n")
    plain = Record.read(path, time="t")
    others = [
        Record.read(path, time="t", units={"x": "m"}),
        Record.read(path, time="t", time_unit="h"),
        Record.read(path, time="t", kinds={"x": "hold"}),
        Record.read(path, time="t", columns={"y": "x"}),
    ]
    assert len({plain.digest, *(r.digest for r in others)}) == 5
    assert {r.source_digest for r in others} == {plain.source_digest}
    path.write_text("t;x\n0;1\n1;2\n")
    again = Record.read(path, time="t")
    assert again.digest == plain.digest and again.source_digest != plain.source_digest


def test_parquet_keeps_types_units_and_instants(tmp_path):
    stamps = pa.array([0, 1_500_000_000], pa.timestamp("ns", tz="Europe/Berlin"))
    table = pa.table(
        {
            "when": stamps,
            "flag": pa.array([True, False]),
            "count": pa.array([3, None], pa.int32()),
            "run": pa.array(["a", "a"]).dictionary_encode(),
            "text": pa.array(["1.5", "n/a"]),
            "list": pa.array([[1], [2]]),
            "x [bar]": pa.array([1.0, 2.0], pa.float32()),
        }
    )
    path = tmp_path / "a.parquet"
    pq.write_table(table, path)
    names = {"flag": "flag", "count": "count", "text": "text", "p": "x"}
    record = Record.read(path, time="when", columns=names, missing=["n/a"], experiments="run")
    assert record.time.tolist() == [0.0, 1.5] and record.start == "1970-01-01T00:00:00Z"
    assert record["flag"].tolist() == [1, 0] and record.units["p"] == "bar"
    assert np.isnan(record["count"]).tolist() == [False, True]
    assert np.isnan(record["text"]).tolist() == [False, True]
    assert record.experiments == ("a",)
    with pytest.raises(DataError, match=r"'list' is of type list"):
        Record.read(path, time="when", columns={"list": "list"})
    with pytest.raises(DataError, match=r"row 2, column 'text'.*'n/a'"):
        Record.read(path, time="when", columns={"text": "text"})
    local = table.set_column(0, "when", stamps.cast(pa.timestamp("ns")))
    pq.write_table(local, path)
    with pytest.raises(DataError, match="no time zone"):
        Record.read(path, time="when", columns=names)


def test_a_table_of_ours_is_a_record_with_its_units(tmp_path):
    path = tmp_path / "trajectory.parquet"
    units = {"time": "min", "T": "degC"}
    Table({"time": np.arange(3.0), "T": np.arange(3.0)}, units).write_parquet(path)
    record = Record.read(path, time="time")
    assert record.units == {"T": "degC"} and record.time_unit == "min"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"t,x\n0,1\n"])
def test_what_is_no_parquet_file_is_refused(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"a\.parquet"):
        Record.read(path, time="t")


def test_a_mat_file_gives_vectors_matrices_structs_and_texts(tmp_path):
    path = tmp_path / "a.mat"
    content = {
        "t": np.arange(4.0)[:, None], "y": np.arange(8.0).reshape(4, 2), "Ts": 4,
        "flag": np.array([True, False, True, False]), "log": {"u": np.arange(4, dtype=np.uint8)},
        "run": np.array(["a", "a", "b", "b"], dtype=object), "map": np.eye(3), "z": 1j * np.ones(4),
    }  # fmt: skip
    savemat(path, content)
    names = {"y2": "y(:,2)", "u": "log.u", "flag": "flag"}
    record = Record.from_mat(path, time="t", columns=names, experiments="run")
    assert record["y2"].tolist() == [1, 3, 5, 7] and record["u"].dtype == np.float64
    assert record.experiments == ("a", "b") and record.time.tolist() == [0, 1, 0, 1]
    for column, words in (
        ("Ts", r"single value \(4\)"), ("map(:,1)", "has 3 values where the others have 4"),
        ("z", "complex"), ("w", "no column 'w'"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            Record.read(path, time="t", columns={"x": column})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", ["7.3", "-v7"]),
        (b"\x89HDF\r\n\x1a\n", ["HDF5", "-v7"]),
        (b"t,x\n0,1\n", ["cannot be read as a MAT file"]),
        (b"", ["is empty"]),
    ],
)
def test_other_mat_files_are_refused_by_name(tmp_path, content, words):
    path = tmp_path / "a.mat"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Record.read(path, time="t")
    for word in [*words, "a.mat"]:
        assert word in str(caught.value)


def test_a_mat_file_without_vectors_is_refused(tmp_path):
    path = tmp_path / "a.mat"
    savemat(path, {"note": np.array([], dtype=float)})
    with pytest.raises(DataError, match="no vector of numbers"):
        Record.read(path, time="t")


def test_a_pandas_frame_brings_its_index_as_time():
    pandas = pytest.importorskip("pandas")
    index = pandas.date_range("2026-03-29 00:30", periods=3, freq="1h", tz="Europe/Berlin")
    frame = pandas.DataFrame({"x [m]": [1, None, 3], "label": ["a", "b", "c"]}, index=index)
    record = Record.from_frame(frame, columns={"x": "x"}, time_unit="h")
    assert record.time.tolist() == [0, 1, 2] and record.units == {"x": "m"}
    assert np.isnan(record["x"]).tolist() == [False, True, False]
    with pytest.raises(DataError, match="no time zone"):
        Record.from_frame(frame.tz_localize(None), columns={"x": "x"})
    plain = pandas.DataFrame({"t": [0.0, 1.0], "x": [1, "a"]})
    with pytest.raises(DataError, match="the dataframe, row 2, column 'x': 'a' is not a number"):
        Record.from_frame(plain, time="t")
    repeated = pandas.DataFrame([[0, 1, 2]], columns=["t", "x", "x"])
    with pytest.raises(DataError, match="twice"):
        Record.from_frame(repeated, time="t")


def test_any_frame_that_speaks_arrow_is_taken_and_nothing_else():
    class Polars:  # has no index and hands out an Arrow table, as polars frames do
        def to_arrow(self):
            return pa.table({"t": [0, 1], "x": [1.5, 2.5]})

    assert Record.from_frame(Polars(), time="t")["x"].tolist() == [1.5, 2.5]
    with pytest.raises(ArgumentError, match="given a dict"):
        Record.from_frame({"t": [0]}, time="t")
    with pytest.raises(DataError, match="no rows"):
        Record.from_frame(pa.table({"t": pa.array([], pa.float64())}), time="t")


RUNS = "t,x,run\n0,1,b\n0,10,a\n1,2,b\n5,20,a\n2,3,b\n"


def test_a_column_of_labels_cuts_a_file_into_experiments(tmp_path):
    path = tmp_path / "runs.csv"
    path.write_text(RUNS)
    record = Record.read(path, time="t", experiments="run")
    assert record.experiments == ("b", "a") and record.parts == {"b": 0, "a": 3}
    assert record.time.tolist() == [0, 1, 2, 0, 5]
    one = record.experiment("a")
    assert one["x"].tolist() == [10, 20] and len(one) == 2
    with pytest.raises(DataError, match=r"no experiment 'c'; it holds b, a"):
        record.experiment("c")
    alone = tmp_path / "alone.csv"
    alone.write_text("t,x\n0,10\n5,20\n")
    assert one.digest == Record.read(alone, time="t").digest
    path.write_text(RUNS.replace("2,3,b", "2,3,"))
    with pytest.raises(DataError, match="line 6, column 'run': the experiment is missing"):
        Record.read(path, time="t", experiments="run")
    path.write_text(RUNS.replace("5,20,a", "0,20,a"))
    with pytest.raises(DataError, match=r"line 5.*repeats"):
        Record.read(path, time="t", experiments="run")


def test_one_experiment_can_be_read_though_another_is_faulty(tmp_path):
    for name, text in (("x", RUNS), ("y", RUNS.replace("20,a", "bad,a"))):
        (tmp_path / f"{name}.csv").write_text(text)
    only: dict[str, Any] = {"time": "t", "experiments": "run"}
    record = Record.read(tmp_path / "y.csv", **only, experiment="b")
    assert record.experiments == ("b",) and record.time.tolist() == [0, 1, 2]
    assert record.digest == Record.read(tmp_path / "x.csv", **only).experiment("b").digest
    with pytest.raises(DataError, match="line 5, column 'x': 'bad'"):
        Record.read(tmp_path / "y.csv", **only, experiment="a")
    with pytest.raises(DataError, match="no experiment 'c'; it holds b, a"):
        Record.read(tmp_path / "y.csv", **only, experiment="c")
    with pytest.raises(DataError, match="nothing labels"):
        Record.read(tmp_path / "x.csv", time="t", columns={"x": "x"}, experiment="a")
    both = str(tmp_path / "*.csv")
    assert Record.read(both, **only, experiment="x").experiments == ("x/b", "x/a")
    assert Record.read(both, **only, experiment="y/b").experiments == ("y/b",)
    with pytest.raises(DataError, match="none of the files is experiment 'z'; they are x, y"):
        Record.read(both, **only, experiment="z")


def test_several_files_are_experiments_by_their_names(tmp_path):
    for name, text in (("hot", "t,x\n9,1\n10,2\n"), ("cold", "t,x\n4,5\n")):
        (tmp_path / f"{name}.csv").write_text(text)
    record = Record.read(str(tmp_path / "*.csv"), time="t")
    assert record.experiments == ("cold", "hot")
    assert record.experiment("hot").time.tolist() == [0, 1]
    given = Record.read([tmp_path / "hot.csv", tmp_path / "cold.csv"], time="t")
    assert given.experiments == ("hot", "cold") and given.digest != record.digest
    (tmp_path / "other.csv").write_text("t,y\n4,5\n")
    for files, words in (
        ([], "no file is named"), (str(tmp_path / "*.txt"), "no file matches"),
        ([tmp_path / "hot.csv", tmp_path / "hot.csv"], "named twice"),
        ([tmp_path / "hot.csv", tmp_path / "other.csv"], "same columns"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            Record.read(files, time="t")


DATA = Path(os.environ.get("TWINML_DATA") or BESIDE)
real = pytest.mark.skipif(not DATA.is_dir(), reason="the folder of measured records is absent")


@real
def test_the_tanks_are_the_same_in_both_files():
    names = {"u": "uEst", "y": "yEst"}
    text = Record.read(DATA / "cascaded_tanks/dataBenchmark.csv", period=4.0, columns=names)
    mat = Record.read(DATA / "cascaded_tanks/dataBenchmark.mat", period=4.0, columns=names)
    assert len(text) == len(mat) == 1024
    for name in names:  # the text is rounded to five digits
        np.testing.assert_allclose(text[name], mat[name], atol=5.1e-5)


REAL = [
    ("emps/DATA_EMPS.mat", {"time": "t"}, 24841, ["qm", "vir"]),
    ("emps/DATA_EMPS_PULSES.mat", {"time": "t"}, 24841, ["pulses_N"]),
    ("tclab/tclab_mimo.csv", {"time": "Time"}, 599, ["Temperature 1 (degC)"]),
    ("tclab/tclab_step_siso.csv", {"time": "t", "names": ["t", "Q", "T"]}, 571, ["T"]),
    ("skab/valve1/0.csv", {"time": "datetime", "zone": "UTC"}, 1147, ["Pressure"]),
    ("lynx_hare/lynx_hare_1900_1920.csv", {"time": "year"}, 21, ["lynx_thousands"]),
]


@real
@pytest.mark.parametrize(("file", "stated", "rows", "names"), REAL, ids=[r[0] for r in REAL])
def test_measured_records_are_read_in_place(file, stated, rows, names):
    record = Record.read(DATA / file, **stated)
    assert len(record) == rows and record.time[0] == 0
    for name in names:
        assert np.isfinite(record[name]).all()


@real
def test_measured_records_of_many_experiments_are_read_in_place():
    cells = Record.read(
        DATA / "nasa_battery/capacity_by_cycle_B0005_06_07_18.csv", time="Cycle", time_unit="1",
        columns={"capacity": "Capacity"}, experiments="SampleId",
    )  # fmt: skip
    assert cells.experiments == ("B0005", "B0006", "B0007", "B0018")
    assert len(cells.experiment("B0018")) == 132 and cells.units["capacity"] == "Ah"
    engines = Record.read(
        DATA / "cmapss_fd001/train_FD001.txt.gz", time="cycle", experiments="unit",
        names=["unit", "cycle", *(f"s{i}" for i in range(24))],
    )  # fmt: skip
    assert len(engines) == 20631 and len(engines.experiments) == 100
    pulses = DATA / "lgm50_battery/lgm50_pulses.csv"
    labels = ["temp_C", "soc_level", "cell"]
    with pytest.raises(DataError, match=r"line 4, column 'prog_time_s'.*repeats.*589 more like it"):
        Record.read(pulses, time="prog_time_s", experiments=labels)
    record = Record.read(pulses, time="prog_time_s", experiments=labels, duplicates="last")
    assert len(record.experiments) == 72 and len(record) + len(record.set_aside) == 8681
