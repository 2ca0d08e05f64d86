"""A record that cannot be read as its twin says."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.folder import cutting
from tests.cli.bad_input.plant import RECORD, record, twin

CALIBRATE = "calibrate twin=kiln starts=1"
HEADER = RECORD.splitlines()[0] + "\n"


def dated(*stamps: str) -> dict[str, str | bytes | None]:
    """The record with datetimes for times."""
    return {"kiln.csv": HEADER + "".join(f"{s},29{i}.5,2.0\n" for i, s in enumerate(stamps))}


CASES: dict[str, Bad] = {
    "no such file": Bad(
        CALIBRATE, ("klin.csv", "does not exist", "data.path="), twin("kiln.csv", "klin.csv")
    ),
    "a record that is a folder": Bad(
        CALIBRATE, ("configs, is a folder", "configs/*.csv"), twin("kiln.csv", "configs")
    ),
    "no such column": Bad(CALIBRATE, ("kiln.csv", "'T_wal'", "'T_wall'"), twin("T_wall", "T_wal")),
    "no such column of time": Bad(
        CALIBRATE, ("kiln.csv", "'tiem'", "'time'"), twin("column: time", "column: tiem")
    ),
    "a column of another dimension": Bad(
        CALIBRATE, ("reading", "'kPa'", "'K'"), twin("T_wall, unit: K", "T_wall, unit: kPa")
    ),
    "a column with an unknown unit": Bad(
        CALIBRATE, ("reading", "'Kelvinz'"), twin("T_wall, unit: K", "T_wall, unit: Kelvinz")
    ),
    "an input of another dimension": Bad(
        CALIBRATE, ("fuel", "'kg/s'", "'kW'"), twin("unit: kW", "unit: kg/s")
    ),
    "a time axis that is no time": Bad(
        CALIBRATE, ("time", "'m'", "'s'"), twin("column: time, unit: s", "column: time, unit: m")
    ),
    "a cell that is no number": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "'T_wall'", "'broken'"), record("296.4", "broken")
    ),
    "a decimal comma": Bad(CALIBRATE, ("kiln.csv", "line 4"), record("296.4", "296,4")),
    "a cell in quotes with a comma": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "'296,4'"), record("296.4", '"296,4"')
    ),
    "a unit in a cell": Bad(CALIBRATE, ("line 4", "'296.4 K'"), record("296.4", "296.4 K")),
    "a time that repeats": Bad(
        CALIBRATE, ("kiln.csv", "4", "repeat", "10"), record("20,296.4", "10,296.4")
    ),
    "a time that runs backwards": Bad(
        CALIBRATE, ("kiln.csv", "backward", "5"), record("20,296.4", "5,296.4")
    ),
    "a time that is missing": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "'time'"), record("20,296.4", ",296.4")
    ),
    "a time that is nan": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "'time'"), record("20,296.4", "nan,296.4")
    ),
    "a nan in an input": Bad(
        CALIBRATE, ("fuel", "kiln.csv", "20"), record("296.4,2.0", "296.4,nan")
    ),
    "an empty input": Bad(CALIBRATE, ("fuel", "kiln.csv", "20"), record("296.4,2.0", "296.4,")),
    "an infinite output": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "'T_wall'", "inf"), record("296.4", "inf")
    ),
    "only nan in an output": Bad(
        CALIBRATE,
        ("kiln.csv", "0 measured values"),
        {"kiln.csv": HEADER + "".join(f"{10 * i},nan,2.0\n" for i in range(7))},
    ),
    "an empty file": Bad(CALIBRATE, ("kiln.csv", "empty", "header"), {"kiln.csv": ""}),
    "a header and nothing below": Bad(
        CALIBRATE, ("kiln.csv", "header", "row"), {"kiln.csv": HEADER}
    ),
    "a single row": Bad(CALIBRATE, ("kiln.csv", "1"), {"kiln.csv": HEADER + "0,290.0,2.0\n"}),
    "no header": Bad(
        CALIBRATE,
        ("kiln.csv", "first line holds numbers", "header line"),
        {"kiln.csv": RECORD.partition("\n")[2]},
    ),
    "a header with a name twice": Bad(
        CALIBRATE,
        ("kiln.csv", "T_wall", "twice"),
        record("time,T_wall,burner", "time,T_wall,T_wall"),
    ),
    "a row that is too short": Bad(CALIBRATE, ("kiln.csv", "line 4"), record("20,296.4,2.0", "20")),
    "a row that is too long": Bad(
        CALIBRATE, ("kiln.csv", "line 4", "3"), record("20,296.4,2.0", "20,296.4,2.0,7")
    ),
    "a record that is no text": Bad(
        CALIBRATE, ("kiln.csv",), {"kiln.csv": b"PK\x03\x04\x00\x00\xff\xfe\x00"}, foreign=True
    ),
    "a datetime of an unknown zone": Bad(
        CALIBRATE,
        ("'Europe/Berln'",),
        {
            **dated("2026-03-01T12:00:00", "2026-03-01T12:00:10"),
            **twin("unit: s}", "zone: Europe/Berln}"),
        },
    ),
    "an unknown rule for late rows": Bad(
        CALIBRATE,
        ("late='drop'", "set_aside"),
        twin("path: kiln.csv", "path: kiln.csv, late: drop"),
    ),
    "an unknown rule for repeated times": Bad(
        CALIBRATE,
        ("duplicates='skip'", "mean"),
        twin("path: kiln.csv", "path: kiln.csv, duplicates: skip"),
    ),
    "an unknown delimiter": Bad(
        CALIBRATE,
        ("delimiter", "'dash'", "semicolon"),
        twin("path: kiln.csv", "path: kiln.csv, delimiter: dash"),
    ),
    "an unknown encoding": Bad(
        CALIBRATE,
        ("encoding", "'utf-88'"),
        twin("path: kiln.csv", "path: kiln.csv, encoding: utf-88"),
    ),
    "an unknown format": Bad(
        CALIBRATE, ("'xls'", "parquet, mat"), twin("path: kiln.csv", "path: kiln.csv, format: xls")
    ),
    "text that is said to be Parquet": Bad(
        CALIBRATE,
        ("kiln.csv", "Parquet"),
        twin("path: kiln.csv", "path: kiln.csv, format: parquet"),
        foreign=True,
    ),
    "Parquet that is cut off": Bad(
        CALIBRATE,
        ("swp/table.parquet",),
        twin("path: kiln.csv", "path: swp/table.parquet"),
        given=("swp",),
        prepare=cutting("swp/table.parquet"),
        foreign=True,
    ),
    "text that is said to be MATLAB's": Bad(
        CALIBRATE,
        ("kiln.csv", "MAT"),
        twin("path: kiln.csv", "path: kiln.csv, format: mat"),
        foreign=True,
    ),
    "an experiment that is not there": Bad(
        CALIBRATE,
        ("kiln.csv", "'9'"),
        twin("path: kiln.csv", "path: kiln.csv, experiments: burner, experiment: 9"),
    ),
    "a column of experiments that is not there": Bad(
        CALIBRATE,
        ("kiln.csv", "'burnr'", "'burner'"),
        twin("path: kiln.csv", "path: kiln.csv, experiments: burnr"),
    ),
    "a header whose unit is another": Bad(
        CALIBRATE,
        ("T_wall", "kPa"),
        record("time,T_wall,", "time,T_wall [kPa],"),
    ),
    "a period and a column of time": Bad(
        CALIBRATE, ("time", "period"), twin("unit: s}", "unit: s, period: 10}")
    ),
    "a period of nothing": Bad(
        CALIBRATE, ("period", "0"), twin("{column: time, unit: s}", "{period: 0, unit: s}")
    ),
    "a pattern that finds nothing": Bad(
        CALIBRATE, ("kiln_*.csv",), twin("path: kiln.csv", "path: kiln_*.csv")
    ),
    "a datetime without a zone": Bad(
        CALIBRATE,
        ("kiln.csv", "line 2", "zone"),
        dated("2026-03-01T12:00:00", "2026-03-01T12:00:10"),
    ),
    "a datetime that is none": Bad(
        CALIBRATE, ("kiln.csv", "line 3", "'yesterday'"), dated("2026-03-01T12:00:00Z", "yesterday")
    ),
    "a datetime of another order": Bad(
        CALIBRATE,
        ("kiln.csv", "line 2", "'01.03.2026 12:00'", "ISO"),
        dated("01.03.2026 12:00", "01.03.2026 12:10"),
    ),
    "a datetime that repeats": Bad(
        CALIBRATE,
        ("kiln.csv", "repeat"),
        dated("2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00"),
    ),
    "more to fit than measured": Bad(
        "calibrate twin=kiln starts=1 fit=[loss,capacity] fit_initial=[wall]",
        ("kiln.csv", "3 measured values", "3 unknowns"),
        {"kiln.csv": "".join(RECORD.splitlines(keepends=True)[:4])},
    ),
}
