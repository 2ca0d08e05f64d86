"""Twins with noise from the command line."""

from __future__ import annotations

import pytest

from tests.cli.small import put
from twinml.cli.main import main
from twinml.data import Table


@pytest.mark.parametrize("twin", ["brownian_particle", "gene_expression"])
def test_a_twin_with_noise_is_simulated_at_its_own_step(folder, twin):
    words = [f"twin={twin}", "horizon.stop=10", "horizon.points=11"]
    assert main(["simulate", *words, "out=a"]) == 0
    assert main(["simulate", *words, "out=b"]) == 0
    assert main(["simulate", *words, "out=c", "seed=1"]) == 0
    assert main(["simulate", *words, "out=d", "solver.dt=0.05"]) == 0
    name = {"brownian_particle": "v", "gene_expression": "mrna"}[twin]
    a, b, c, d = (Table.read_parquet(f"{run}/trajectory.parquet")[name] for run in "abcd")
    assert list(a) == list(b) and list(a[1:]) != list(c[1:]) and list(a[1:]) != list(d[1:])


@pytest.mark.parametrize(
    ("twin", "scenario", "stop"),
    [("brownian_particle", "release", 0.01), ("gene_expression", "induction", 0.05)],
)
def test_the_shipped_scenarios_run(folder, twin, scenario, stop):
    words = [f"twin={twin}", f"scenario={scenario}", f"scenario.horizon.stop={stop}", "samples=20"]
    assert main(["sweep", *words, "sensitivity=0", "workers=1", "out=a"]) == 0
    assert main(["sweep", *words, "sensitivity=0", "workers=1", "out=b"]) == 0
    one, other = (Table.read_parquet(f"{run}/table.parquet") for run in "ab")
    assert len(one) == 20 and all(list(one[n]) == list(other[n]) for n in one.names)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["twin.dt=null"], ["GeneExpression has noise()", "solver.dt=<step in min>"]),
        (["solver.method=tsit5"], ["the noise would be left out"]),
        (["solver=stiff"], ["method='rodas5p'", "euler_maruyama"]),
        (["seed=-1"], ["seed=-1"]),
    ],
)
def test_what_noise_lacks_is_said_before_any_work(folder, capsys, words, fragments):
    assert main(["simulate", "twin=gene_expression", "horizon.stop=1", *words]) == 2
    err = capsys.readouterr().err
    assert all(fragment in err for fragment in fragments)


def test_a_step_of_noise_without_noise_is_refused(folder, capsys):
    put(folder / "configs/twin/odd.yaml", "model: {_target_: twinml.library.Lorenz}\ndt: 0.1\n")
    assert main(["simulate", "twin=odd", "horizon.stop=1"]) == 2
    assert "Lorenz has no noise()" in capsys.readouterr().err
