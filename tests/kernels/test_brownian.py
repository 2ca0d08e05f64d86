"""Brownian paths of kernels: the eager engine's numbers, and its steps along them."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.noisy import Growth, Several, Wiener
from twinml.library import BrownianParticle, GeneExpression, PredatorPrey

IDS = torch.tensor([0, 1, 2, 2**31, 2**32 - 1, 2**32, 2**40 + 3, 2**48 - 1, 12345])


def both(model: tw.Physics, t, *args, **options) -> list[tw.Solution]:
    return [tw.simulate(model, t, *args, engine=e, **options) for e in ("eager", "native")]


@pytest.mark.parametrize("seed", [0, 2**64 - 1, 0x299F31D0A4093822])
def test_increments_have_the_eager_engines_bits(seed):
    """With drift 0, scale 1 and one step from 0 the end is the increment itself."""
    for dt in (1.0, 0.37):
        eager, native = both(Wiener(), [0.0, dt], dt=dt, seed=seed, ids=IDS, keep="final")
        assert torch.equal(eager["w"], native["w"])


@pytest.mark.parametrize("end", [1e-6, 0.2, 0.5, 0.7183, 0.999999])
def test_bridges_have_the_eager_engines_bits(end):
    eager, native = both(Wiener(), [0.0, end], dt=1.0, seed=3, ids=IDS, keep="final")
    assert torch.equal(eager["w"], native["w"])


@pytest.mark.parametrize("model", [Several(), Growth(), BrownianParticle(), GeneExpression()],
                         ids=lambda m: type(m).__name__)  # fmt: skip
@pytest.mark.parametrize(("dtype", "allowed"), [(torch.float64, 1e-13), (torch.float32, 1e-4)],
                         ids=["float64", "float32"])  # fmt: skip
def test_paths_are_those_of_the_eager_engine(model, dtype, allowed):
    t = torch.tensor([0.0, 0.1, 0.137, 0.5, 1.03, 1.5], dtype=torch.float64)
    eager, native = both(model, t, dt=0.01, seed=11, ids=IDS, dtype=dtype)
    assert torch.equal(eager.steps, native.steps)
    for name in model.declared.states:
        size = eager[name].abs().max()
        assert torch.allclose(eager[name], native[name], rtol=0.0, atol=float(allowed * size))


def test_a_change_inside_a_cell_keeps_the_path():
    """What the parts of cut cells add up to is what the whole cells are."""
    knots = tw.Signal([0.0, 0.333, 0.3337, 0.8], [0.0, 0.0, 0.0, 0.0], kind="hold")

    class Fed(Wiener):
        u = tw.Input("1/s", default=0.0)

        def rhs(self, drift, u):
            return {"w": drift + u}

    cut = tw.simulate(
        Fed(), [0.0, 1.0], dt=0.125, ids=IDS, inputs={"u": knots}, engine="native", keep="final"
    )
    whole = tw.simulate(Wiener(), [0.0, 1.0], dt=0.125, ids=IDS, engine="native", keep="final")
    assert int(cut.steps[0]) > int(whole.steps[0])
    assert torch.allclose(cut["w"], whole["w"], rtol=0.0, atol=1e-14)


def test_a_row_has_its_noise_alone_as_among_others():
    t = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)
    together = tw.simulate(Several(), t, dt=0.01, ids=IDS, engine="native")
    alone = tw.simulate(Several(), t, dt=0.01, ids=IDS[6:7], engine="native")
    for name in "abc":
        assert torch.equal(alone[name][0], together[name][6])


def test_a_row_goes_on_along_its_path():
    t = torch.tensor([0.0, 0.555, 1.0], dtype=torch.float64)
    options = {"dt": 0.02, "seed": 5, "ids": IDS, "engine": "native"}
    whole = tw.simulate(Wiener(), t, **options)
    first = tw.simulate(Wiener(), t[:2], **options)
    second = tw.simulate(Wiener(), t[1:], start=first.state, **options)
    assert torch.allclose(second["w"][:, -1], whole["w"][:, -1], rtol=0.0, atol=1e-14)


def test_without_noise_the_method_follows_the_drift():
    eager, native = both(PredatorPrey(), [0.0, 1.0], method="euler_maruyama", dt=0.01, keep="final")
    for name in PredatorPrey().declared.states:
        assert torch.allclose(eager[name], native[name], rtol=1e-13)
