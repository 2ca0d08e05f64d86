"""A twin of one's own, in an empty folder, with twinml from its wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.cli.small import put

KILN = '''
import twinml as tw


class Kiln(tw.Physics):
    """Loses heat to a room of 20 degC."""

    time_unit = "min"
    temperature = tw.State("degC", initial=20.0)
    fuel = tw.Input("kg/min", default=0.0)
    loss = tw.Parameter("1/min", default=0.1, low=0.001, high=1.0)
    gain = tw.Parameter("delta_degC/kg", default=50.0, low=1.0, high=400.0)

    def rhs(self, temperature, fuel, loss, gain):
        return {"temperature": -loss * (temperature - 20.0) + gain * fuel}
'''
SCENARIO = """
horizon: {start: 0, stop: 60, unit: min}
vary:
  loss: {distribution: uniform, low: 0.05, high: 0.2}
  fuel: {distribution: uniform, low: 0.1, high: 0.6}
quantities: {hottest: max(temperature)}
"""


@pytest.mark.slow
def test_the_wheel_runs_a_twin_that_lies_in_the_working_directory(tmp_path):
    root = Path(__file__).resolve().parents[2]
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*build, str(root)], check=True, capture_output=True)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (wheel,) = tmp_path.glob("*.whl")
    install = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)]
    subprocess.run([python, *install], check=True, capture_output=True)
    # torch and the others come from this environment, behind the wheel's own folder
    (site,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    work = tmp_path / "work"
    put(work / "kiln.py", KILN)
    put(work / "configs/twin/kiln.yaml", "model: {_target_: kiln.Kiln}\n")
    put(work / "configs/scenario/hot.yaml", SCENARIO)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TWINML_DATA")}

    def twinml(*words: str) -> str:
        program = tmp_path / "venv" / "bin" / "twinml"
        done = subprocess.run(
            [program, *words], cwd=work, env=clean, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert str(site) in subprocess.run(
        [python, "-c", "import twinml; print(twinml.__file__)"],
        cwd=work, env=clean, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "configs/twin/kiln.yaml" in twinml("twins")
    twinml("simulate", "twin=kiln", "horizon.stop=10", "solver=fixed")
    # two workers: the working directory must be importable in each
    twinml("sweep", "twin=kiln", "scenario=hot", "samples=16384", "workers=2", "out=swp")
    twinml("train", "sweep=swp", "surrogate.steps=20", "surrogate.width=8", "out=trn")
    twinml("export", "run=trn", "out=dist/kiln")
    assert "unchanged" in twinml("verify", "dist/kiln")
    assert sorted(p.name for p in work.iterdir() if p.name != "__pycache__") == [
        "configs", "dist", "kiln.py", "runs", "swp", "trn",
    ]  # fmt: skip
