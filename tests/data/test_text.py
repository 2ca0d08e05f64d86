"""Text files as the world writes them: found out and said, or refused with the place."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from twinml.data.record import Record
from twinml.errors import ArgumentError, DataError, UnitError


def put(folder, content, name="plant.csv"):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


READ = {
    "semicolons": ("t;x\n0;1.5\n1;2.5\n", "plant.csv", {}, ["semicolon"]),
    "decimal commas": ("t;x\n0,0;1,5\n1,0;2,5\n", "plant.csv", {}, ["decimal mark ','"]),
    "decimal commas alike": ("t;x\n0;1,500\n1;2,500\n", "plant.csv", {}, ["as in 1,500"]),
    "tabs": ("t\tx\n0\t1.5\n1\t2.5\n", "plant.tsv", {}, ["tab"]),
    "bars": ("t|x\n0|1.5\n1|2.5\n", "plant.csv", {}, ["bar"]),
    "blanks": ("t   x\n0   1.5\n1   2.5\n", "plant.txt", {}, ["space"]),
    "tabs and decimal commas": ("t\tx\n0,0\t1,5\n1,0\t2,5\n", "plant.dat", {}, ["tab", "','"]),
    "quoted decimal commas": ('t,x\n"0,0","1,5"\n"1,0","2,5"\n', "plant.csv", {}, ["','"]),
    "a byte order mark": ("\ufefft,x\n0,1.5\n1,2.5\n", "plant.csv", {}, []),
    "UTF-16": ("t,x\n0,1.5\n1,2.5\n".encode("utf-16"), "plant.csv", {}, ["utf-16"]),
    "latin-1": ("# Größe\nt,x\n0,1.5\n1,2.5\n".encode("latin-1"), "plant.csv", {}, ["latin-1"]),
    "line ends of Windows": ("t,x\r\n0,1.5\r\n1,2.5\r\n", "plant.csv", {}, []),
    "blank lines": ("\n\nt,x\n\n0,1.5\n\n1,2.5\n\n", "plant.csv", {}, []),
    "remarks above": ("# rig 7\n# 2026\nt,x\n0,1.5\n1,2.5\n", "plant.csv", {}, []),
    "a delimiter at the end": ("t,x,\n0,1.5,\n1,2.5,\n", "plant.csv", {}, []),
    "a header ending in a delimiter": ("t,x,\n0,1.5\n1,2.5\n", "plant.csv", {}, []),
    "a line break in quotes": ('t,"x\n"\n0,1.5\n1,2.5\n', "plant.csv", {}, []),
    "gzip": (gzip.compress(b"t,x\n0,1.5\n1,2.5\n"), "plant.csv.gz", {}, []),
    "no header": ("0 1.5\n1 2.5\n", "plant.txt", {"names": ["t", "x"]}, ["space"]),
    "another ending": ("t,x\n0,1.5\n1,2.5\n", "plant.log", {"format": "csv"}, []),
    "stated": ("t;x\n0;1,5\n1;2,5\n", "plant.csv", {"delimiter": "semicolon", "decimal": ","}, []),
}  # fmt: skip


@pytest.mark.parametrize(("content", "name", "stated", "notes"), READ.values(), ids=READ)
def test_what_can_be_found_out_is_read_and_said(tmp_path, content, name, stated, notes):
    record = Record.read(put(tmp_path, content, name), time="t", **stated)
    assert record.time.tolist() == [0, 1]
    assert record["x"].tolist() == [1.5, 2.5]
    for word in notes:
        assert word in " ".join(record.notes)


REFUSED = {
    "nothing but blanks": ("\n \n", {}, ["is empty"]),
    "one column that might be two": ("a;b,c\nu;v,w\n", {}, ["comma", "semicolon", "both"]),
    "thousands or decimals": ("t\tx\n0\t1,500\n1\t2,500\n", {}, ["1,500", "thousands", "decimal:"]),
    "thousands": ("t;x\n0;1.234,5\n1;2,5\n", {"decimal": ","}, ["line 2", "'x'", "'1.234,5'"]),
    "many thousands": ("t;x\n0;1,500,000\n1;2,5\n", {}, ["line 2", "'1,500,000'", "thousands"]),
    "points where commas are": ("t;x\n0;1,5\n1;2.5\n", {}, ["line 2", "decimal"]),
    "NA": ("t,x\n0,1\n1,NA\n", {}, ["line 3", "'x'", "'NA'", "missing: ['NA']"]),
    "n/a": ("t,x\n0,1\n1,n/a\n", {}, ["line 3", "missing: ['n/a']"]),
    "null": ("t,x\n0,null\n", {}, ["line 2", "missing: ['null']"]),
    "a dash": ("t,x\n0,1\n1,-\n", {}, ["line 3", "missing: ['-']"]),
    "a unit in a cell": ("t,x\n0,1 K\n", {}, ["line 2", "'1 K' is not a number"]),
    "an underscore": ("t,x\n0,1_000\n", {}, ["line 2", "'1_000'"]),
    "digits of another script": ("t,x\n0,١\n", {}, ["line 2", "'١'"]),
    "infinity": ("t,x\n0,1\n1,-inf\n", {}, ["line 3", "'x'", "infinite"]),
    "a short line": ("t,x,y\n0,1,2\n1,2\n", {}, ["line 3", "2 cells", "3 columns"]),
    "many bad cells": ("t,x\n" + "0,a\n" * 9, {}, ["line 2", "8 more like it", "twinml data"]),
    "no header": ("0,1\n1,2\n", {}, ["first line holds numbers", "names"]),
    "a repeated name": ("t,x,x\n0,1,2\n", {}, ["['x']", "twice"]),
    "zero bytes": (b"t,x\n0,1\n\0\0\0", {}, ["line 3", "zero byte"]),
    "a Parquet file": (b"PAR1\x15\x04", {}, ["Parquet"]),
    "a cut gzip": (gzip.compress(b"t,x\n0,1\n")[:-6], {}, ["unpacked"]),
    "a wrong encoding": ("t,ä\n0,1\n".encode("latin-1"), {"encoding": "utf-8"}, ["utf-8"]),
    "an unknown encoding": ("t,x\n0,1\n", {"encoding": "utf-9"}, ["'utf-9'"]),
    "a quotation mark left open": ('t,x\n0,"1\n' + "1,2\n" * 40_000, {}, ["line 2", "quotation"]),
    "a column that is text": ("t,x\n0,up\n1,down\n", {}, ["line 2", "'up'"]),
}


@pytest.mark.parametrize(("content", "stated", "words"), REFUSED.values(), ids=REFUSED)
def test_what_is_in_doubt_is_refused_with_its_place(tmp_path, content, stated, words):
    with pytest.raises(DataError) as caught:
        Record.read(put(tmp_path, content), time="t", **stated)
    for word in [*words, "plant.csv"]:
        assert word in str(caught.value)


def test_marks_of_missing_samples_are_stated_and_counted(tmp_path):
    path = put(tmp_path, "t,x\n0,1\n1,NA\n2, \n3,-99\n4,NaN\n")
    record = Record.read(path, time="t", missing=["NA", "-99"])
    assert np.isnan(record["x"]).tolist() == [False, True, True, True, True]
    assert record.metrics() == {
        "record.rows": 5, "record.missing": 4, "record.late": 0, "record.repeated": 0,
        "record.set_aside": 0,
    }  # fmt: skip


UNITS = "Time (min),T_kiln [°C],valve (kg/s),heater (left),power [-]\n0,20,1,5,2\n1,25,2,6,3\n"


def test_units_in_the_header_are_read_unless_others_are_stated(tmp_path):
    path = put(tmp_path, UNITS)
    names = {"T": "T_kiln", "valve": "valve (kg/s)", "left": "heater (left)", "power": "power"}
    record = Record.read(path, time="Time", columns=names)
    assert record.units == {"T": "degC", "valve": "kg/s", "left": "1", "power": "1"}
    assert record.time_unit == "min"
    assert record.values_in("T", "K").tolist() == [293.15, 298.15]
    assert record.values_in("T", "degF").tolist() == pytest.approx([68.0, 77.0])
    assert "T_kiln [°C]" in " ".join(record.notes)
    same = Record.read(path, time="Time", columns=names, units={"T": "degC", "valve": "kg*s^-1"})
    assert same.units["valve"] == "kg*s^-1"


@pytest.mark.parametrize(
    ("stated", "words"),
    [
        ({"units": {"T": "K"}}, ["'T_kiln [°C]'", "'degC'", "'K'", "header_units"]),
        ({"units": {"T": "V"}}, ["'degC'", "'V'"]),
        ({"time_unit": "s"}, ["'Time (min)'", "'min'", "'s'"]),
    ],
)
def test_a_unit_that_contradicts_the_header_is_refused(tmp_path, stated, words):
    path = put(tmp_path, UNITS)
    with pytest.raises(UnitError) as caught:
        Record.read(path, time="Time", columns={"T": "T_kiln"}, **stated)
    for word in words:
        assert word in str(caught.value)
    record = Record.read(path, time="Time", columns={"T": "T_kiln"}, header_units=False, **stated)
    assert record.units["T"] == stated.get("units", {}).get("T", "1")


def test_an_input_with_gaps_is_filled_by_its_kind_when_asked_for(tmp_path):
    path = put(tmp_path, "t,u,v,y\n0,1,0,1\n1,,,\n2,,,3\n4,5,8,4\n")
    kinds = {"u": "hold", "v": "linear"}
    record = Record.read(path, time="t", kinds=kinds, fill=["u", "v"])
    assert record["u"].tolist() == [1, 1, 1, 5]
    assert record["v"].tolist() == [0, 2, 4, 8]
    assert np.isnan(record["y"]).tolist() == [False, True, False, False]
    assert record.counts["filled"] == 4
    assert "2 missing samples of 'v' filled (linear)" in record.notes
    for text, kind, words in (
        ("t,u\n0,\n1,2\n", "hold", "before"),
        ("t,u\n0,1\n1,\n", "linear", "after"),
    ):
        with pytest.raises(DataError, match=f"cannot be filled.*{words}"):
            Record.read(put(tmp_path, text), time="t", kinds={"u": kind}, fill=["u"])


@pytest.mark.parametrize(
    ("keywords", "words"),
    [
        ({"delimitre": ";"}, ["'delimitre'", "Did you mean 'delimiter'"]),
        ({"late": "sorted"}, ["late='sorted'", "Did you mean 'sort'"]),
        ({"duplicates": "max"}, ["duplicates='max'", "mean"]),
        ({"decimal": "'"}, ["decimal="]),
        ({"delimiter": "::"}, ["delimiter='::'"]),
        ({"names": "t,x"}, ["list of column names"]),
        ({"format": "xls"}, ["format='xls'", "csv"]),
        ({"zone": "Mars/Olympus"}, ["zone='Mars/Olympus'", "Europe/Berlin"]),
    ],
)  # fmt: skip
def test_a_rule_that_cannot_be_used_is_refused(tmp_path, keywords, words):
    with pytest.raises(ArgumentError) as caught:
        Record.read(put(tmp_path, "t,x\n0,1\n1,2\n"), time="t", **keywords)
    for word in words:
        assert word in str(caught.value)


def test_files_of_no_format_are_refused_by_name(tmp_path):
    for name, words in (
        ("plant.xlsx", "spreadsheet"), ("plant.json", "no format"), ("plant", "no format"),
        ("plant.parquet.gz", "compressed"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            Record.read(put(tmp_path, "t,x\n0,1\n", name), time="t")
    with pytest.raises(DataError, match="is a folder"):
        Record.from_csv(tmp_path, time="t")
