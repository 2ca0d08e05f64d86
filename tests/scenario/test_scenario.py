from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from twinml.errors import (
    ConfigError,
    DataError,
    ExpressionError,
    ScenarioError,
    TwinmlError,
    UnitError,
)
from twinml.scenario import Scenario, load_yaml
from twinml.scenario.horizon_unit import in_horizon_unit
from twinml.scenario.yaml_file import parse_yaml

ISOLATION = Path(__file__).parents[2] / "configs/scenario/isolation.yaml"
BASE = {"horizon": {"start": 0, "stop": 30}, "quantities": {"peak": "max(in_bed)"}}
UNIFORM = {"distribution": "uniform", "low": 1, "high": 2}


def made(**changes):
    return Scenario.from_mapping({**BASE, **changes})


def test_the_shipped_scenario_reads_and_survives_a_round_trip():
    scenario = Scenario.from_yaml(ISOLATION)
    assert list(scenario.vary) == ["beta", "gamma", "initial.infected", "day", "effect"]
    assert list(scenario.quantities) == ["peak_beds", "peak_day", "over_capacity", "cases"]
    assert scenario.design == "sobol"
    again = Scenario.from_mapping(scenario.to_mapping())
    assert again == scenario and again.digest == scenario.digest


def test_calibrated_quantities_are_one_joint_draw(model, posterior):
    scenario = Scenario.from_yaml(ISOLATION)
    bound = scenario.check(model, posterior)
    values = bound.draw(0, 4096, 4096, seed=1978)
    assert list(values) == ["beta", "gamma", "initial.infected", "day", "effect"]
    logs = np.corrcoef(np.log(values["beta"]), np.log(values["initial.infected"]))
    assert logs[0, 1] == pytest.approx(-0.96, abs=0.005)
    assert [f.label for f in bound.factors] == [
        "day", "effect", "calibrated(beta,gamma,initial.infected)",
    ]  # fmt: skip
    parts = [bound.draw(i, min(i + 1000, 4096), 4096, seed=1978) for i in range(0, 4096, 1000)]
    for name, column in values.items():
        assert np.concatenate([p[name] for p in parts]).tobytes() == column.tobytes()


def test_a_fitted_quantity_is_drawn_unless_except_says_fixed(model, posterior):
    free = made(vary={"beta": {"distribution": "calibrated"}})
    values = free.draw(posterior, 0, 64, 64, seed=0)
    assert list(values) == ["beta", "gamma", "initial.infected"]
    assert all(np.std(column) > 0 for column in values.values())
    fixed = made(vary={"beta": UNIFORM}, **{"except": ["initial.infected"]})
    values = fixed.draw(posterior, 0, 64, 64, seed=0)
    assert set(values["initial.infected"]) == {2.2}
    assert np.std(values["gamma"]) > 0 and np.corrcoef(values["beta"], values["gamma"])[0, 1] < 0.3
    assert [f.label for f in fixed.check(model, posterior).factors] == [
        "beta", "calibrated(gamma)",
    ]  # fmt: skip


def test_arguments_of_a_simulation_follow_the_roles(model, posterior):
    bound = Scenario.from_yaml(ISOLATION).check(model, posterior)
    values = bound.draw(0, 5, 8, seed=0)
    arguments = bound.arguments(values)
    assert set(arguments["parameters"]) == {"beta", "gamma"}
    assert set(arguments["initial"]) == {"infected"}
    assert {"day", "effect", "initial.infected"} == set(arguments["constants"])
    (change,) = arguments["changes"]
    assert change.action == "multiply" and change.target == "beta" and change.until is None
    np.testing.assert_array_equal(change.at.numpy(), values["day"])
    np.testing.assert_array_equal(change.value.numpy(), 1 - values["effect"])


def test_units_are_converted_at_the_boundary(model):
    scenario = made(
        horizon={"start": 0, "stop": 720, "unit": "h"},
        vary={
            "beta": {**UNIFORM, "unit": "1/h"},
            "when": {"distribution": "fixed", "value": 2, "unit": "day"},
        },
        changes=[{"at": "when", "set": {"gamma": "beta / 4"}}],
        quantities={"peak_time": "time_of_max(in_bed) + at(t, 24)", "peak": "max(in_bed)"},
    )
    bound = scenario.check(model)
    assert (bound.start, bound.stop) == (0.0, pytest.approx(30.0))
    values = bound.draw(0, 4, 4, seed=0)
    assert values["beta"].min() >= 24 and bound.units == {"beta": "1/day", "when": "h"}
    assert values["when"].tolist() == [48.0] * 4  # in the horizon's unit
    (change,) = bound.arguments(values)["changes"]
    assert change.at.tolist() == pytest.approx([2.0] * 4)  # in the model's
    expression = bound.quantities["peak_time"]
    f = {fn: torch.tensor([float(i + 1)]) for i, fn in enumerate(expression.functionals)}
    assert expression.functionals[1].extra.evaluate({}).item() == pytest.approx(1.0)
    assert expression.evaluate({}, f).item() == pytest.approx(24 + 2)
    assert bound.quantities["peak"] == in_horizon_unit(bound.quantities["peak"], 1.0)
    with pytest.raises(UnitError, match="dimensions differ"):
        made(vary={"beta": {**UNIFORM, "unit": "kg"}}).check(model)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"varry": {}}, "unknown key 'varry'.*Did you mean 'vary'"),
        ({"horizon": {"start": 0}}, "horizon lacks the key 'stop'"),
        ({"horizon": {"start": 3, "stop": 3}}, "stop must follow start"),
        ({"quantities": {}}, "at least one"),
        ({"quantities": {"status": "max(in_bed)"}}, "'status' is taken"),
        ({"quantities": {"p": "max(in_bde)"}}, "Did you mean 'in_bed'"),
        ({"quantities": {"p": "in_bed + 1"}}, r"changes over time.*final\(in_bed\)"),
        ({"quantities": {"p": "at(in_bed, infected)"}}, "changes over time"),
        ({"quantities": {"p": "initial.infected"}}, r"varies it; write initial\(infected\)"),
        ({"vary": {"bata": UNIFORM}}, "no such parameter or input.*Did you mean 'beta'"),
        ({"vary": {"infected": UNIFORM}}, "vary its initial value as 'initial.infected'"),
        ({"vary": {"in_bed": UNIFORM}}, "is an output"),
        ({"vary": {"initial.infectd": UNIFORM}}, "Did you mean 'infected'"),
        ({"vary": {"t": UNIFORM}}, "cannot be varied"),
        ({"vary": {"a b": UNIFORM}}, "cannot be read"),
        ({"vary": {"beta": {"distribution": "normal", "mean": 1, "std": 1}}},
         r"\[-inf, inf\] 1/day.*Outbreak declares 'beta' valid on \[0, inf\].*truncated"),
        ({"vary": {"gamma": {"distribution": "uniform", "low": 1, "high": 9}}},
         r"reaches over \[1, 9\].*valid on \[0, 5\]"),
        ({"vary": {"beta": {"distribution": "calibrated"}}}, "none was given.*calibration="),
        ({"except": ["beta"]}, "none was given"),
        ({"design": "sobel"}, "Did you mean 'sobol'"),
        ({"design": "table"}, "row i of a file"),
        ({"exceedance": {"peek": 3}}, "Did you mean 'peak'"),
        ({"changes": {"at": 3}}, "expected a list"),
        ({"changes": [{"multiply": {"beta": 2}}]}, "neither at nor from"),
        ({"changes": [{"at": 1, "until": 2, "set": {"beta": 2}}]}, "write 'from"),
        ({"changes": [{"at": 1}]}, "0 actions"),
        ({"changes": [{"at": 1, "set": {"beta": 1}, "add": {"beta": 1}}]}, "2 actions"),
        ({"changes": [{"at": 1, "set": 3}]}, "expected targets"),
        ({"changes": [{"at": 1, "set": {"betta": 1}}]}, "Did you mean 'beta'"),
        ({"changes": [{"at": 1, "set": {"infected": 1}}]}, "cannot be set while"),
        ({"changes": [{"at": 1, "set": {"beta": "in_bed / 2"}}]}, "fixed before the simulation"),
        ({"changes": [{"at": 1, "set": {"beta": "max(in_bed)"}}]}, "looks at a whole path"),
        ({"changes": [{"at": "dya", "set": {"beta": 1}}]}, "'dya', which is unknown"),
        ({"changes": [{"at": 1, "mutiply": {"beta": 1}}]}, "Did you mean 'multiply'"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(model, changes, message):
    with pytest.raises(TwinmlError, match=message) as caught:
        scenario = made(**changes)
        scenario.check(model)
        scenario.draw(None, 0, 1, 1, 0)
    assert caught.value.exit_code == 2


def test_a_calibration_of_another_model_is_refused(model, posterior):
    from dataclasses import replace

    other = replace(posterior, names=("beta", "gama", "initial.infected"))
    with pytest.raises(ScenarioError, match=r"'gama'.*Did you mean 'gamma'.*another model"):
        made().check(model, other)
    with pytest.raises(ScenarioError, match="asks for 'population' from the calibration"):
        made(vary={"population": {"distribution": "calibrated"}}).check(model, posterior)


def test_table_rows_stay_together(tmp_path, model):
    path = tmp_path / "rows.csv"
    path.write_text("beta,gamma\n" + "".join(f"{i},{i / 100}\n" for i in range(1, 21)))
    vary = {n: {"distribution": "table", "path": str(path), "column": n} for n in ("beta", "gamma")}
    ordered = made(vary=vary, design="table").draw(None, 5, 9, 20, 0)
    assert ordered["beta"].tolist() == [6, 7, 8, 9]
    mixed = made(vary=vary, design="random").draw(None, 0, 100, 100, 0)
    np.testing.assert_array_equal(mixed["gamma"], mixed["beta"] / 100)
    assert len(set(mixed["beta"])) > 15
    with pytest.raises(ScenarioError, match="has 20 rows"):
        made(vary=vary, design="table").draw(None, 0, 21, 21, 0)
    before = made(vary=vary).digest
    path.write_text(path.read_text() + "21,0.21\n")
    assert made(vary=vary).digest != before
    vary["beta"]["column"] = "bta"
    with pytest.raises(DataError, match="Did you mean 'beta'"):
        made(vary=vary).check(model)


def test_yaml_numbers_are_numbers_and_keys_stand_once(tmp_path):
    text = "a: 1e-6\nb: -2E3\nc: 1_000\nd: .5\ne: text1e5\nf: {x: 1, y: .inf}\n"
    data = parse_yaml(text, "here")
    assert data == {
        "a": 1e-6, "b": -2000.0, "c": 1000, "d": 0.5, "e": "text1e5", "f": {"x": 1, "y": np.inf},
    }  # fmt: skip
    for bad, message in (
        ("a: 1\nb: 2\na: 3\n", "here, line 3.*'a' stands twice"),
        ("v:\n  x: 1\n  x: 2\n", "line 3"),
        ("a: [1, 2", "line 1"),
        ("- 1\n", "holds a list"),
        ("", "holds nothing"),
        ("a: !!python/object:os.system x", "line 1"),
    ):
        with pytest.raises(ConfigError, match=message):
            parse_yaml(bad, "here")
    with pytest.raises(ConfigError, match="no file"):
        load_yaml(tmp_path / "absent.yaml")


def test_expression_errors_name_the_quantity():
    with pytest.raises(ExpressionError, match=r"^quantity peak: "):
        made(quantities={"peak": "max(in_bed"})
