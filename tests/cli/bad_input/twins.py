"""A twin's file that cannot be read, or that does not fit its class."""

from __future__ import annotations

from pathlib import Path

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.plant import TWIN, twin

FILE = "configs/twin/kiln.yaml"
SIMULATE = "simulate twin=kiln horizon.stop=60"
CALIBRATE = "calibrate twin=kiln starts=1"


def directory(folder: Path) -> None:
    """A folder where the twin's file should be."""
    (folder / FILE).mkdir(parents=True)


def dangling(folder: Path) -> None:
    """A link to a file that is gone."""
    (folder / "configs/twin").mkdir(parents=True)
    (folder / FILE).symlink_to("gone.yaml")


YAML: dict[str, Bad] = {
    "YAML with an open bracket": Bad(
        SIMULATE, (FILE, "line 2"), {FILE: "model: {_target_: kiln.Kiln\ntime: {}\n"}, foreign=True
    ),
    "YAML with a tab": Bad(
        SIMULATE, (FILE, "line 2", "tab"), {FILE: "model:\n\t_target_: kiln.Kiln\n"}, foreign=True
    ),
    "YAML with a wrong indent": Bad(
        SIMULATE,
        (FILE, "line 3"),
        {FILE: "model:\n    _target_: kiln.Kiln\n  other: 1\n"},
        foreign=True,
    ),
    "YAML with a key twice": Bad(
        SIMULATE, (FILE, "parameters", "line 8"), {FILE: TWIN + "parameters: {loss: 0.03}\n"}
    ),
    "a twin that is a list": Bad(
        SIMULATE, (FILE, "list", "key: value"), {FILE: "- model\n- time\n"}
    ),
    "a twin that is a word": Bad(SIMULATE, (FILE, "key: value"), {FILE: "kiln\n"}),
    "an empty twin": Bad(SIMULATE, (FILE, "nothing", "key: value"), {FILE: ""}),
    "a twin that is not UTF-8": Bad(
        SIMULATE,
        (FILE, "UTF-8"),
        {FILE: "# Größe\n".encode("latin-1") + TWIN.encode()},
        foreign=True,
    ),
    "a twin that is a folder": Bad(
        SIMULATE, ("No twin 'kiln'", "configs/twin"), {FILE: None}, prepare=directory
    ),
    "a twin that is a dead link": Bad(
        SIMULATE, ("No twin 'kiln'", "configs/twin"), {FILE: None}, prepare=dangling
    ),
    "a reference that leads nowhere": Bad(
        SIMULATE, ("paths.dat",), twin("kiln.csv", "'${paths.dat}/kiln.csv'"), foreign=True
    ),
    "a reference without quotes": Bad(
        SIMULATE,
        (FILE, "line 4", "${...} in quotes"),
        twin("kiln.csv", "${paths.data}/kiln.csv"),
        foreign=True,
    ),
}

KEYS: dict[str, Bad] = {
    "a misspelt key": Bad(
        SIMULATE, ("'twin.outptus'", "'twin.outputs'", FILE), twin("outputs:", "outptus:")
    ),
    "a misspelt key below": Bad(
        SIMULATE,
        ("'twin.time.colum'", "'twin.time.column'", FILE),
        twin("{column: time", "{colum: time"),
    ),
    "a word where a list is meant": Bad(
        SIMULATE, ("twin.calibrate.fit='loss'", "list", FILE), twin("[loss]", "loss")
    ),
    "a word where keys are meant": Bad(
        SIMULATE,
        ("twin.data='kiln.csv'", "{path: ...}", FILE),
        twin("{path: kiln.csv}", "kiln.csv"),
    ),
    "an unknown kind of input": Bad(
        CALIBRATE, ("kind='spline'", "hold, linear"), twin("kind: hold", "kind: spline")
    ),
    "an unknown parameter in a twin": Bad(
        SIMULATE,
        ("no parameter 'capcity'", "'capacity'", FILE),
        twin("capacity: 6.0", "capcity: 6.0"),
    ),
    "a parameter of another dimension in a twin": Bad(
        SIMULATE, ("'capacity'", "'kg'", "'kJ/K'", FILE), twin("capacity: 6.0", "capacity: 6 kg")
    ),
    "a parameter outside its bounds in a twin": Bad(
        SIMULATE, ("'capacity'", "600", "[0.5, 50]", FILE), twin("capacity: 6.0", "capacity: 600")
    ),
    "an unknown output": Bad(
        CALIBRATE, ("output 'raeding'", "'reading'"), twin("{reading:", "{raeding:")
    ),
    "an unknown input": Bad(CALIBRATE, ("input 'feul'", "'fuel'"), twin("{fuel:", "{feul:")),
    "no measured output": Bad(
        CALIBRATE, ("reading", "output"), twin("{reading: {column: T_wall, unit: K}}", "{}")
    ),
    "a negative noise": Bad(
        CALIBRATE, ("'reading'", "-0.5", "positive"), twin("unit: K}", "unit: K, noise: -0.5}")
    ),
    "a noise that is no number": Bad(
        CALIBRATE,
        ("twin.outputs.reading.noise", "'small'", "number"),
        twin("unit: K}", "unit: K, noise: small}"),
    ),
    "no time": Bad(
        CALIBRATE,
        ("where time comes from", "column", "period"),
        twin("{column: time, unit: s}", "{}"),
    ),
    "no record": Bad(CALIBRATE, ("has no record", "data.path="), twin("{path: kiln.csv}", "{}")),
    "no record and no horizon": Bad(
        "simulate twin=kiln", ("horizon.stop=",), twin("data: {path: kiln.csv}", "data: null")
    ),
    "a twin that names nothing to fit": Bad(
        "calibrate twin=kiln", ("nothing to fit", "fit=["), twin("calibrate: {fit: [loss]}", "")
    ),
    "a record under an unset folder": Bad(
        CALIBRATE, ("paths.data", "TWINML_DATA"), twin("kiln.csv", "'${paths.data}/kiln.csv'")
    ),
    "a record under a wrong folder": Bad(
        CALIBRATE,
        ("/nowhere/kiln.csv", "does not exist"),
        twin("kiln.csv", "'${paths.data}/kiln.csv'"),
        environment={"TWINML_DATA": "/nowhere"},
    ),
    "a record that does not ship": Bad(
        CALIBRATE, ("klin.csv",), twin("path: kiln.csv", "path: 'package:klin.csv'")
    ),
}
