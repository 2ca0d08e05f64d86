"""Words of the tools that cannot be used."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.folder import cutting
from tests.cli.bad_input.plant import kiln


def halved_copy(folder: Path) -> None:
    """Another run beside ``cal``, whose metrics are cut off."""
    shutil.copytree(folder / "cal", folder / "old" / "cal")
    cutting("old/cal/metrics.json")(folder)


SHOW: dict[str, Bad] = {
    "nothing to show": Bad("show nowhere", ("nowhere", "does not exist")),
    "a file of another program": Bad(
        "show kiln.xlsx", ("kiln.xlsx", "expected one of"), {"kiln.xlsx": "x"}
    ),
    "a table that is cut off": Bad(
        "show swp/table.parquet",
        ("swp/table.parquet",),
        given=("swp",),
        prepare=cutting("swp/table.parquet"),
        foreign=True,
    ),
    "JSON that is cut off": Bad(
        "show cal/metrics.json",
        ("cal/metrics.json", "JSON"),
        given=("cal",),
        prepare=cutting("cal/metrics.json"),
        foreign=True,
    ),
    "YAML that is none": Bad(
        "show bad.yaml",
        ("bad.yaml", "line 2", "not valid YAML"),
        {"bad.yaml": "a: [1\nb: 2\n"},
        foreign=True,
    ),
    "text that is not UTF-8": Bad(
        "show bad.md", ("bad.md", "UTF-8"), {"bad.md": b"a,b\n\xff,1\n"}, foreign=True
    ),
}


NEW: dict[str, Bad] = {
    "no name": Bad("new", ("NAME", "Usage: ")),
    "a name in capitals": Bad("new HeatPump", ("'HeatPump'", "'heat_pump'")),
    "a name with a dash": Bad("new heat-pump", ("'heat-pump'", "'heat_pump'")),
    "a name that begins with a digit": Bad("new 2nd_kiln", ("'2nd_kiln'", "heat_exchanger")),
    "a word of Python": Bad("new lambda", ("'lambda'", "'lambda_plant'")),
    "a module of Python": Bad("new json", ("'json'", "'json_plant'")),
    "a package that is installed": Bad("new torch", ("'torch'", "'torch_plant'"), foreign=True),
    "a twin that is there": Bad("new kiln", ("'kiln'", "configs/twin/kiln.yaml")),
    "a twin that ships": Bad("new outbreak", ("'outbreak'", "outbreak.yaml")),
    "a file that is there": Bad(
        "new oven", ("oven.py exists already", "nothing is overwritten"), {"oven.py": "x = 1\n"}
    ),
    "a path for a name": Bad("new plants/kiln", ("'plants/kiln'", "lower-case")),
}

DATA: dict[str, Bad] = {
    "no record to look at": Bad("data", ("name a file", "--twin")),
    "a record to look at that is not there": Bad("data klin.csv", ("klin.csv", "does not exist")),
    "a twin to look for that is not there": Bad("data --twin kilm", ("No twin 'kilm'", "'kiln'")),
    "a unit for an unknown column": Bad("data kiln.csv --unit T_wal=K", ("T_wal", "T_wall")),
    "a unit without its column": Bad("data kiln.csv --unit K", ("--unit 'K'", "COLUMN=UNIT")),
    "an unknown unit for a column": Bad(
        "data kiln.csv --unit T_wall=Kelvinz", ("T_wall", "'Kelvinz'")
    ),
    "a range that is none": Bad(
        "data kiln.csv --range T_wall=cold:hot", ("T_wall=cold:hot", "numbers")
    ),
    "a figure that is no PNG": Bad("data kiln.csv --plot kiln.pdf", ("kiln.pdf", ".png")),
    "an unknown column of time": Bad("data kiln.csv --time tiem", ("'tiem'", "'time'")),
    "an unknown zone": Bad("data kiln.csv --zone Mars", ("'Mars'",)),
    "an unknown rule": Bad("data kiln.csv --late drop", ("late", "'drop'", "set_aside")),
    "a class that fails, looked at": Bad(
        "data --twin kiln",
        ("kiln.py, line 8", "NameError"),
        kiln("tw.State", "tx.State"),
        foreign=True,
    ),
    "an empty record, looked at": Bad("data kiln.csv", ("kiln.csv", "empty"), {"kiln.csv": ""}),
}

LINT: dict[str, Bad] = {
    "nothing to lint": Bad("lint", ("FILE", "Usage: ")),
    "a file to lint that is not there": Bad(
        "lint configs/twin/kilm.yaml", ("configs/twin/kilm.yaml", "does not exist")
    ),
    "a folder without twins to lint": Bad(
        "lint tests", ("tests holds no", "twin/*.yaml"), {"tests/test_kiln.py": "x = 1\n"}
    ),
    "a twin to lint with that is not there": Bad(
        "lint configs --twin kilm", ("No twin 'kilm'", "'kiln'")
    ),
}

COMPARE: dict[str, Bad] = {
    "one thing to compare": Bad("compare cal", ("B", "Usage: "), given=("cal",)),
    "a run to compare that is not there": Bad("compare cal nowhere", ("nowhere",), given=("cal",)),
    "two kinds to compare": Bad(
        "compare cal dist/hottest", ("cal", "dist/hottest", "one kind"), given=("cal", "dist")
    ),
    "a page of a comparison that is no page": Bad(
        "compare swp swp --html page.pdf", ("page.pdf", ".html"), given=("swp",)
    ),
    "a file of one's own to compare": Bad("compare kiln.csv kiln.csv", ("kiln.csv",)),
    "a run to compare that is cut off": Bad(
        "compare cal old/cal",
        ("old/cal/metrics.json", "JSON"),
        given=("cal",),
        prepare=halved_copy,
        code=1,
        foreign=True,
    ),
    "a calibration to compare that is cut off": Bad(
        "compare cal/calibration.json cal/calibration.json",
        ("cal/calibration.json", "cannot be compared"),
        given=("cal",),
        prepare=cutting("cal/calibration.json"),
        foreign=True,
    ),
}

REST: dict[str, Bad] = {
    "a folder of configs that is not there, for twins": Bad(
        "twins --config-dir nowhere", ("nowhere is not a folder",)
    ),
    "an unknown shell": Bad("completion fish", ("fish", "bash"), foreign=True),
    "no shell": Bad("completion", ("Which shell?", "bash", "zsh")),
    "a word too many": Bad("doctor now", ("doctor", "now", "Usage: ")),
}
