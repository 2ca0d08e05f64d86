"""A right-hand side in a header gives what the same equations in torch give."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.kernel_physics import models
from twinml import library
from twinml.lowering import lower
from twinml.physics.kernel_physics import kernel_source

first_dual = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
T = torch.linspace(0.0, 3.0, 13, dtype=torch.float64)
RHO = {"rho": torch.linspace(5.0, 28.0, 11, dtype=torch.float64)}
PAIRS = {
    "lorenz": (models.Lorenz, library.Lorenz, {"parameters": RHO}),
    "tanks": (models.Tanks, library.CascadedTanks, {"inputs": {"u": 1.5}}),
    "ring": (models.Ring, models.TorchRing, {"parameters": {"spread": [0.1, 0.5, 2.0]}}),
}


def agree(one: tw.Solution, other: tw.Solution, tolerance: float) -> None:
    assert torch.equal(one.status, other.status)
    for name in other.values:
        torch.testing.assert_close(one[name], other[name], rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(
    "options",
    [
        {"keep": "all", "dt": 0.01, "method": "rk4", "dtype": torch.float32},
        {"keep": {"peak": "max(x)", "when": "first_time(z > 20)"}},
    ],
    ids=("float32", "quantity"),
)
def test_equal_arithmetic_gives_equal_bits(options):
    found, wanted = (
        tw.simulate(m(), T, parameters=RHO, engine="native", **options)
        for m in (models.TwinLorenz, library.Lorenz)
    )
    assert torch.equal(found.steps, wanted.steps)
    for name in wanted.values:
        assert torch.equal(found[name], wanted[name])


@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("pair", PAIRS)
def test_every_engine_gives_the_numbers_of_the_torch_model(pair, engine):
    header, torch_model, options = PAIRS[pair]
    options = {"engine": engine, "method": "rk4", "dt": 0.02, **options}
    agree(tw.simulate(header(), T, **options), tw.simulate(torch_model(), T, **options), 1e-11)


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_signals_changes_and_vector_states_reach_the_header(engine):
    heat = tw.Signal(torch.tensor([0.0, 1.0, 3.0]), torch.tensor([1.0, 3.0, 0.0]), kind="linear")
    changes = [tw.Change(1.5, "set", "fan", 5.0)]
    found, wanted = (
        tw.simulate(m(), T, inputs={"heat": heat}, changes=changes, engine=engine, method="tsit5")
        for m in (models.Ring, models.TorchRing)
    )
    agree(found, wanted, 1e-11)
    assert found["cell"].shape == (1, 13, 4)


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_events_and_noise_stay_torch_methods(engine):
    options = {"engine": engine, "dt": 0.01, "parameters": {"gust": 0.5}, "ids": torch.arange(5)}
    found, wanted = (tw.simulate(m(), T, **options) for m in (models.Ball, models.TorchBall))
    agree(found, wanted, 1e-12)
    assert torch.equal(found.events["impact"].count, wanted.events["impact"].count)
    assert int(found.events["impact"].count.min()) > 0


@first_dual
@pytest.mark.parametrize("engine", ["native", "eager"])
@pytest.mark.parametrize("header", [models.Robertson, models.TwinRobertson])
def test_stiff_methods_take_the_jacobian_of_rhs_jvp_or_of_the_twin(header, engine):
    t = torch.tensor([0.0, 0.4, 40.0], dtype=torch.float64)
    method = "auto" if engine == "native" else "rodas5p"  # auto's second kernel is the same
    options = {"method": method, "engine": engine, "rtol": 1e-5, "atol": 1e-9}
    found, wanted = (tw.simulate(m(), t, **options) for m in (header, library.Robertson))
    assert found.ok.all()
    agree(found, wanted, 1e-4)
    assert abs(int(found.steps) - int(wanted.steps)) <= 5
    assert "rodas5p" in str(found.method)


@first_dual
@pytest.mark.parametrize("engine", ["native", "eager"])
def test_the_slope_of_a_linear_input_is_part_of_the_jacobian(engine):
    heat = tw.Signal(torch.tensor([0.0, 3.0]), torch.tensor([0.0, 3.0]), kind="linear")
    options = {"inputs": {"heat": heat}, "method": "rodas5p", "engine": engine}
    found, wanted = (tw.simulate(m(), T, **options) for m in (models.TwinRing, models.TorchRing))
    agree(found, wanted, 1e-11)


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_without_a_jacobian_a_stiff_row_ends_as_tsit5_would_and_the_reason_says_so(engine):
    class NoJacobian(models.Robertson):
        kernel = "only.h"

    t = torch.tensor([0.0, 40.0], dtype=torch.float64)
    found = tw.simulate(NoJacobian(), t, max_steps=300, engine=engine)
    wanted = tw.simulate(library.Robertson(), t, max_steps=300, method="tsit5", engine=engine)
    assert found.method == "tsit5" and "stay on tsit5" in found.reason
    assert torch.equal(found.status, wanted.status) and not found.ok.any()
    assert "stay" not in tw.simulate(models.Robertson(), t, engine=engine).reason


def test_the_same_header_in_another_folder_is_the_same_kernel(tmp_path):
    text = kernel_source(models.Tanks()).files["tanks.h"].read_text()
    (tmp_path / "tanks.h").write_text(text)
    moved = type("Tanks", (models.Tanks,), {"kernel": str(tmp_path / "tanks.h")})
    assert lower(moved()).digest == lower(models.Tanks()).digest
