"""A twin's file becomes a model; what fails in the user's own code is shown as theirs."""

from __future__ import annotations

import sys

import pytest

from tests.cli.small import put
from twinml.cli.schema import build
from twinml.cli.twin import TwinKeys, build_model, data_path
from twinml.errors import ConfigError, DataError, DeclarationError, UnitError

KILN = """
import twinml.physics as tw


class Kiln(tw.Physics):
    T = tw.State("K", initial=300.0)
    loss = tw.Parameter("1/s", default=0.1, low=0.0, high=1.0)

    def __init__(self, scale: float = 1.0):
        super().__init__()
        self.scale = scale

    def rhs(self, T, loss):
        return {"T": -loss * T}


NOT_A_MODEL = 3
"""


def twin(target: str, **keys) -> TwinKeys:
    arguments = keys.pop("arguments", {})
    return build(TwinKeys, {"name": "kiln", "model": {"_target_": target, **arguments}, **keys})


def test_a_class_beside_the_configs_is_built_with_its_arguments_and_values(folder):
    put(folder / "kiln.py", KILN)
    model = build_model(
        twin("kiln.Kiln", arguments={"scale": 2.0}, parameters={"loss": "30 1/min"})
    )
    assert model.scale == 2.0 and model.default("loss") == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "text", "target", "fragments"),
    [
        ("kiln.py", KILN, "kln.Kiln", ["No module 'kln'", "working directory"]),
        ("kiln.py", KILN, "kiln.Kilm", ["has no 'Kilm'", "'Kiln'"]),
        ("kiln.py", KILN, "Kiln", ["not of the form module.Class", "kiln.Kiln"]),
        ("kiln.py", KILN, "kiln.NOT_A_MODEL", ["not a Physics class"]),
        ("bad1.py", "x = 1\ny = undefined + 1\n", "bad1.K", ["bad1.py, line 2", "y = undefined"]),
        ("bad2.py", "def f(:\n", "bad2.K", ["bad2.py, line 1", "SyntaxError"]),
        ("bad3.py", "import no_such_thing\n", "bad3.K", ["bad3.py, line 1", "no_such_thing"]),
    ],
)
def test_a_class_that_cannot_be_had_is_the_users_line(folder, name, text, target, fragments):
    put(folder / name, text)
    with pytest.raises(ConfigError) as caught:
        build_model(twin(target))
    for fragment in fragments:
        assert fragment in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "error", "fragment"),
    [
        ({"arguments": {"scal": 2}}, ConfigError, "scal"),
        ({"parameters": {"los": 1}}, DeclarationError, "'loss'"),
        ({"parameters": {"loss": 7}}, DeclarationError, "bounds"),
        ({"parameters": {"loss": "1 K"}}, UnitError, "loss"),
    ],
)
def test_values_the_class_does_not_take_are_refused(folder, keys, error, fragment):
    put(folder / "kiln.py", KILN)
    with pytest.raises(error) as caught:
        build_model(twin("kiln.Kiln", **keys))
    assert fragment in str(caught.value)


def test_a_twin_without_a_target_is_refused():
    with pytest.raises(ConfigError, match="names no class"):
        build_model(build(TwinKeys, {"name": "kiln"}))


def test_the_record_is_found_or_asked_for(folder):
    put(folder / "k.csv", "t\n0\n")
    assert data_path(twin("a.B", data={"path": "k.csv"})).name == "k.csv"
    for data, error, fragment in (
        (None, ConfigError, r"data.path=<file.csv>"),
        ({"path": "no.csv"}, DataError, "does not exist"),
        ({"path": "${paths.data}/x.csv"}, ConfigError, "TWINML_DATA"),
        ({"path": "package:no.csv"}, DataError, "ships with twinml"),
    ):
        with pytest.raises(error, match=fragment):
            data_path(twin("a.B", data=data))


@pytest.mark.parametrize("name", ["queue", "yaml", "scipy"])
def test_a_class_in_a_file_named_like_another_module_is_refused(folder, monkeypatch, name):
    monkeypatch.setattr(sys, "path", [*sys.path[1:], str(folder)])  # as the program puts it: last
    put(folder / f"{name}.py", KILN)
    with pytest.raises(ConfigError, match=rf"{name}\.py of twin 'kiln' cannot be imported"):
        build_model(twin(f"{name}.Kiln"))
