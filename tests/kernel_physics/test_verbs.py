"""A model in a header goes through every verb."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import twinml as tw
from tests.kernel_physics import models
from twinml import library
from twinml.cli.main import main
from twinml.errors import ArgumentError, DerivativeError, TwinmlError

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments/kernel_physics"
T = torch.linspace(0.0, 0.6, 7, dtype=torch.float64)


def gradients(model: tw.Physics, **options) -> list[torch.Tensor]:
    rho = torch.tensor([10.0, 28.0], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    found = tw.simulate(model, T, parameters={"rho": rho}, initial={"x": x}, **options)
    return list(torch.autograd.grad((found["z"] ** 2).sum(), [rho, x]))


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
@pytest.mark.parametrize(
    ("header", "gradient"),
    [(models.Lorenz, "frozen"), (models.Lorenz, "adjoint"), (models.TwinLorenz, "frozen")],
)
def test_gradients_are_those_of_the_torch_model(header, gradient):
    options = {"gradient": gradient, "engine": "eager", "rtol": 1e-9}
    if gradient == "frozen":
        options |= {"dt": 0.01, "method": "rk4"}
    for found, wanted in zip(
        gradients(header(), **options), gradients(library.Lorenz(), **options), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("header", [models.Lorenz, models.TwinLorenz])
def test_reverse_kernels_pull_through_a_header(header):
    options = {"engine": "native", "method": "tsit5"}
    found, wanted = gradients(header(), **options), gradients(library.Lorenz(), **options)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_the_jacobian_of_a_solution_needs_first_derivatives_only(engine):
    def slopes(model: tw.Physics, engine: str) -> torch.Tensor:
        rho = torch.tensor([10.0, 28.0], dtype=torch.float64)
        sol = tw.simulate(model, T, {"rho": rho}, dt=0.02, method="rk4", engine=engine)
        return sol.jacobian(["z", "x"], by=["rho", "initial.x"])

    wanted = slopes(library.Lorenz(), "eager")
    torch.testing.assert_close(slopes(models.Lorenz(), engine), wanted, rtol=1e-11, atol=1e-11)


def test_a_second_derivative_by_rhs_jvp_is_an_error_and_not_zero():
    rho = torch.tensor([10.0], dtype=torch.float64, requires_grad=True)
    options = {"dt": 0.1, "method": "rk4", "engine": "eager"}
    found = tw.simulate(models.Lorenz(), T, parameters={"rho": rho}, **options)
    (first,) = torch.autograd.grad(found["z"].sum(), rho, create_graph=True)
    with pytest.raises(DerivativeError, match="second derivative"):
        torch.autograd.grad(first.sum(), rho)


@pytest.fixture(scope="module")
def record() -> tw.Record:
    times = torch.linspace(0.0, 60.0, 31, dtype=torch.float64)
    signal = tw.Signal(torch.tensor([0.0, 60.0]), torch.tensor([1.0, 3.0]), kind="linear")
    truth = tw.simulate(models.Tanks(), times, parameters={"k3": 0.07}, inputs={"u": signal})
    level = truth["level"][0].numpy() + 1e-3 * np.random.default_rng(0).normal(size=31)
    pump = np.linspace(1.0, 3.0, 31)
    return tw.Record(
        times.numpy(), {"level": level, "u": pump}, {"level": "cm", "u": "V"}, kinds={"u": "linear"}
    )


def test_a_twin_calibrates_and_without_derivatives_it_is_refused(record):
    options = {"fit": ["k3"], "starts": 1, "seed": 0}
    found = tw.calibrate(models.TwinTanks(), record, **options)
    wanted = tw.calibrate(library.CascadedTanks(), record, **options)
    assert found.values["k3"] == pytest.approx(0.07, abs=1e-3)
    assert found.values["k3"] == pytest.approx(float(wanted.values["k3"]), rel=1e-6)
    with pytest.raises(TwinmlError, match=r"tanks\.h alone"):
        tw.calibrate(models.Tanks(), record, **options)


def test_rhs_jvp_calibrates():
    times = np.linspace(0.0, 1.0, 21)
    truth = tw.simulate(library.Lorenz(), torch.from_numpy(times), parameters={"rho": 20.0})

    class Seen(models.Lorenz):
        kernel = "lorenz.h"
        seen = tw.Output("1", noise=0.1)

        def outputs(self, x):
            return {"seen": x}

    record = tw.Record(times, {"seen": truth["x"][0].numpy()}, {"seen": "1"}, time_unit="1")
    found = tw.calibrate(Seen(), record, fit=["rho"], starts=1, seed=0)
    assert found.values["rho"] == pytest.approx(20.0, rel=1e-4)


def test_a_sweep_is_the_same_for_any_workers_and_knows_its_header(tmp_path):
    (tmp_path / "tanks.h").write_text((Path(models.__file__).parent / "tanks.h").read_text())
    scenario = tw.Scenario.from_mapping(
        {
            "horizon": {"start": 0, "stop": 20},
            "vary": {"k1": {"distribution": "uniform", "low": 0.01, "high": 0.1}},
            "quantities": {"end": "final(level)"},
        }
    )
    tables = []
    for workers in (1, 2):
        options = {"workers": workers, "block_size": 32, "seed": 1, "out": tmp_path / str(workers)}
        tables.append(tw.sweep(models.Tanks(), scenario, samples=100, **options).table()["end"])
    assert tables[0].tobytes() == tables[1].tobytes() and np.isfinite(tables[0]).all()

    moved = type("Tanks", (models.Tanks,), {"kernel": str(tmp_path / "tanks.h")})
    options = {"workers": 1, "block_size": 32, "seed": 1, "out": tmp_path / "edited"}
    tw.sweep(moved(), scenario, samples=32, **options)
    text = (tmp_path / "tanks.h").read_text().replace("sqrt0(y.h2)", "y.h2")
    (tmp_path / "tanks.h").write_text(text)
    with pytest.raises(ArgumentError, match="model source"):
        tw.sweep(moved(), scenario, samples=64, resume=True, **options)


def test_units_are_followed_through_the_twin_and_a_header_alone_is_named():
    alone = tw.check_dimensions(models.Tanks())
    assert alone.ok and any("tanks.h" in what for what in alone.unchecked)
    assert tw.check_dimensions(models.TwinTanks()).unchecked == ()

    class Wrong(models.TwinTanks):
        kernel = "tanks.h"

        def rhs(self, h1, h2):
            return {"h1": h1, "h2": h2}

    assert not tw.check_dimensions(Wrong()).ok


def test_the_header_of_an_installed_package_is_found_from_anywhere(tmp_path):
    package = tmp_path / "site" / "plant"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name in ("exchanger.h", "exchanger.py"):
        shutil.copy(FOLDER / name, package)
    script = (
        "import torch, twinml as tw\n"
        "from plant.exchanger import Exchanger\n"
        "found = tw.simulate(Exchanger(), torch.tensor([0.0, 1.0]), engine='native')\n"
        "print(found.engine, bool(found.ok.all()))\n"
    )
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=elsewhere, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'site'}:{ROOT}"},
    )  # fmt: skip
    assert done.stdout == "native True\n", done.stderr


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy of the experiment as the working directory."""
    shutil.copytree(FOLDER, tmp_path / "copy")
    monkeypatch.chdir(tmp_path / "copy")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "copy"), *sys.path])
    yield tmp_path / "copy"
    for name in ("exchanger", "run"):
        sys.modules.pop(name, None)


def test_the_experiment_runs_on_the_command_line(here, capsys):
    assert main(["lint", "configs/twin/exchanger.yaml"]) == 0
    assert main(["simulate", "twin=exchanger", "horizon.stop=20", "out=sim"]) == 0
    assert main(["show", "sim"]) == 0
    words = ["sweep", "twin=exchanger", "scenario=fouling", "samples=64", "sensitivity=0"]
    assert main([*words, "workers=1", "out=swp"]) == 0
    assert "0 failed" in capsys.readouterr().out
    (here / "exchanger.h").write_text((here / "exchanger.h").read_text().replace("p.warm", "p.war"))
    assert main(["simulate", "twin=exchanger", "horizon.stop=20", "out=bad"]) == 2
    told = capsys.readouterr().err
    assert "exchanger.h:1" in told and "'warmth'" in told and "Traceback" not in told


@pytest.mark.slow
def test_the_two_forms_of_the_experiment_agree_and_are_fitted(here):
    import run  # pyright: ignore[reportMissingImports]

    found = run.main({"rows": "20", "starts": "1"})
    assert found["difference"] < 1e-11
    assert found["transfer"] == pytest.approx(0.22, abs=0.02)
