from __future__ import annotations

import numpy as np
import pytest

from twinml.data.table import Table
from twinml.errors import DataError, ShapeError


@pytest.fixture
def table():
    columns = {
        "sample": np.arange(4),
        "status": np.array([0, 4, 0, 0]),
        "day": np.array([2.0, 3.0, np.nan, np.inf]),
        "in bed": np.array([1, 2, 3, 4], dtype=np.float32),
    }
    return Table(columns, {"day": "day"})


def test_a_table_comes_back_from_parquet_bit_for_bit(table, tmp_path):
    table.write_parquet(tmp_path / "deep" / "part=1" / "t.parquet")
    back = Table.read_parquet(tmp_path / "deep" / "part=1" / "t.parquet")
    assert back.names == table.names and back.units == table.units
    for name in table.names:
        assert back[name].dtype == table[name].dtype
        assert back[name].tobytes() == table[name].tobytes()


def test_rows_and_select_keep_units_and_order(table):
    good = table.select(["day", "sample"]).rows(table["status"] == 0)
    assert good.names == ("day", "sample") and good.units == {"day": "day", "sample": "1"}
    assert good["sample"].tolist() == [0, 2, 3]
    assert table.rows(np.array([3, 0]))["sample"].tolist() == [3, 0]


def test_an_unknown_column_is_named_with_the_nearest(table):
    with pytest.raises(DataError, match=r"no column 'dya'.*Did you mean 'day'"):
        table["dya"]


def test_columns_that_are_not_rows_of_samples_are_refused():
    with pytest.raises(ShapeError, match="different lengths"):
        Table({"a": np.zeros(2), "b": np.zeros(3)})
    with pytest.raises(ShapeError, match=r"shape \(2, 2\)"):
        Table({"a": np.zeros((2, 2))})


def test_a_write_that_fails_keeps_the_old_file_and_leaves_nothing(table, tmp_path, monkeypatch):
    path = tmp_path / "t.parquet"
    table.write_parquet(path)
    before = path.read_bytes()
    monkeypatch.setattr(Table, "to_arrow", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        table.write_parquet(path)
    assert path.read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["t.parquet"]


def test_foreign_and_damaged_files_are_refused(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "foreign.parquet")
    with pytest.raises(DataError, match=r"schema 'none'.*'table/1'"):
        Table.read_parquet(tmp_path / "foreign.parquet")
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="cannot be read as a Parquet file"):
        Table.read_parquet(tmp_path / "damaged.parquet")
    with pytest.raises(DataError, match="no table at"):
        Table.read_parquet(tmp_path / "absent.parquet")
