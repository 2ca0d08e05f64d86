"""Every physics of the library comes with a twin, and with a scenario that runs on it."""

from __future__ import annotations

import re

import numpy as np
import pytest

import twinml as tw
import twinml.library as library
from twinml import resources
from twinml.calibrate.coordinates import unknowns
from twinml.cli.schema import build
from twinml.cli.twin import TwinKeys, build_model, load_posterior, noise_step
from twinml.errors import TwinmlError
from twinml.scenario.yaml_file import load_yaml

SCENARIOS = sorted((resources.configs() / "scenario").glob("*.yaml"))


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


NAMES = [snake(name) for name in library.__all__]


def twin_of(name: str) -> tuple[TwinKeys, tw.Physics]:
    keys = build(TwinKeys, {"name": name, **load_yaml(resources.configs() / f"twin/{name}.yaml")})
    return keys, build_model(keys)


def fits(scenario: tw.Scenario, keys: TwinKeys, model: tw.Physics) -> bool:
    """Whether a scenario is for this twin and needs no record to drive it."""
    posterior, _ = load_posterior(keys, model, None)
    try:
        scenario.check(model, posterior)
    except TwinmlError:
        return False
    return set(keys.inputs) <= {*scenario.vary, *scenario.profiles}


@pytest.mark.parametrize("name", NAMES)
def test_the_twin_names_what_its_model_declares(name):
    keys, model = twin_of(name)
    assert type(model) in [getattr(library, n) for n in library.__all__]
    assert snake(type(model).__name__) == name
    assert set(keys.outputs) <= set(model.declared.outputs)
    assert set(keys.inputs) <= set(model.declared.inputs)
    fitted = [*keys.calibrate.fit, *keys.calibrate.fit_initial]
    if fitted:
        sought = unknowns(model, keys.calibrate.fit, keys.calibrate.fit_initial)
        posterior, _ = load_posterior(keys, model, None)
        assert posterior is None or posterior.names == tuple(u.name for u in sought)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_fits_the_twin_without_a_record(name):
    keys, model = twin_of(name)
    assert any(fits(tw.Scenario.from_yaml(path), keys, model) for path in SCENARIOS)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_runs_on_the_twin_without_a_record(name, tmp_path):
    keys, model = twin_of(name)
    posterior, _ = load_posterior(keys, model, None)
    scenarios = [s for s in map(tw.Scenario.from_yaml, SCENARIOS) if fits(s, keys, model)]
    for number, scenario in enumerate(scenarios):
        out, dt = tmp_path / str(number), noise_step(keys, model, None)
        swept = tw.sweep(
            model, scenario, samples=2, workers=1, calibration=posterior, out=out, dt=dt
        )
        assert swept.failed == 0
        table = swept.table()
        for quantity in scenario.quantities:
            assert not np.isnan(table[quantity]).any(), quantity


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_no_scenario_is_without_a_twin(path):
    scenario = tw.Scenario.from_yaml(path)
    assert any(fits(scenario, *twin_of(name)) for name in NAMES)
