"""Whole units compile for GPUs: without spills where promised, float32 without float64."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path

import pytest
import torch

import twinml as tw
from tests.engines.test_native_hybrid import Learned
from tests.kernels.cuda_units import (
    ARCHITECTURES,
    Unit,
    library_problem,
    need_nvrtc,
    problem_of,
    units,
)
from twinml import library
from twinml.engines.cuda.packages import nvrtc_version

GOLDEN = Path(__file__).resolve().parent / "golden" / "cuda_network.json"
KEEPS = ("all", "final", "quantities")
# auto is tsit5 that hands over, and rodas5p.
WAYS = [("tsit5", True), ("auto", False), ("vern7", False)]
NOISY = [("euler_maruyama", True)]
# The largest model whose kernels keep all in registers, and the one kernel that does not: with
# events, three quantities and a factorisation one number is put aside.
SMALL = 6
PUT_ASIDE = {("BouncingBall", "auto", False, "quantities", 64, "sm_90"): 16}

QUICK = {
    ("Lorenz", "tsit5", True, "final", 32, "sm_90"),
    ("Lorenz", "auto", False, "final", 64, "sm_90"),
    ("CascadedTanks", "tsit5", True, "all", 32, "sm_80"),
    ("BouncingBall", "tsit5", True, "all", 32, "sm_90"),
    ("BrownianParticle", "euler_maruyama", True, "all", 64, "sm_80"),
    ("Pendulum", "vern7", False, "final", 64, "sm_90"),
}


def cases() -> list:
    """Every model in every way; what is not quick is slow."""
    found = []
    for name in library.__all__:
        ways = NOISY if getattr(library, name)().has_noise else WAYS
        for way, keep, bits, arch in itertools.product(ways, KEEPS, (64, 32), ARCHITECTURES):
            if way[0] == "vern7" and keep != "final":
                continue  # its interpolant has 16 slopes a state, which do not fit
            case = (name, *way, keep, bits, arch)
            marks = [] if case in QUICK else [pytest.mark.slow]
            found.append(pytest.param(*case, marks=marks, id="-".join(map(str, case))))
    return found


def check(unit: Unit, bits: int) -> None:
    """What must be true of every unit."""
    text = unit.found.assembly
    assert ".entry tw_run" in text
    assert not re.search(r"\.(approx|ftz)\b", text), "not rounded as IEEE 754 says"
    if bits == 32:
        assert ".f64" not in text
    assert "warning" not in unit.found.log, unit.found.log


@pytest.mark.parametrize(("name", "method", "fixed", "keep", "bits", "architecture"), cases())
def test_a_unit_compiles_for_gpus(name, method, fixed, keep, bits, architecture):
    need_nvrtc()
    problem = library_problem(name, method, fixed, keep, bits)
    for unit in units(problem, method, architecture):
        check(unit, bits)
        if problem.y0.shape[0] <= SMALL:
            case = (name, method, fixed, keep, bits, architecture)
            assert unit.usage.spills <= PUT_ASIDE.get(case, 0), unit.usage


@pytest.mark.parametrize("bits", [32, pytest.param(64, marks=pytest.mark.slow)])
def test_networks_and_tables_compile(bits):
    need_nvrtc()
    dtype = torch.float64 if bits == 64 else torch.float32
    problem = problem_of(Learned(), [0.0, 1.0], "tsit5", dtype=dtype, keep="final", dt=0.1)
    for unit in units(problem, "tsit5", "sm_90"):
        check(unit, bits)


class Full(tw.Physics):
    """States of which each pulls all others: a full Jacobian."""

    time_unit = "1"
    y = tw.State("1", initial=0.3, size=6)

    def rhs(self, y):
        parts = y.unbind(-1)
        pull = torch.stack([1.0 + part * part for part in parts], -1).prod(-1)
        return {"y": torch.stack([0.1 * pull - (i + 1) * p for i, p in enumerate(parts)], -1)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("states", "bits", "loop"), [(6, 64, 0), (8, 64, 1), (8, 32, 0), (10, 32, 0), (12, 32, 1)]
)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_full_factorisation_is_written_out_as_far_as_registers_go(
    states, bits, loop, architecture
):
    need_nvrtc()
    model = type("Own", (Full,), {"y": tw.State("1", initial=0.3, size=states)})()
    dtype = torch.float64 if bits == 64 else torch.float32
    problem = problem_of(model, [0.0, 1.0], "rodas5p", dtype=dtype, keep="final")
    (unit,) = units(problem, "rodas5p", architecture)
    check(unit, bits)
    assert f"#define TW_LU_LOOP {loop}" in unit.text
    assert unit.usage.spills == 0, unit.usage


class Hybrid(tw.Physics):
    """Four states driven by a 4-32-32-4 network, as in experiments/ensemble_benchmark."""

    a = tw.State("1", initial=0.1)
    b = tw.State("1", initial=0.2)
    c = tw.State("1", initial=0.3)
    d = tw.State("1", initial=0.4)

    def __init__(self) -> None:
        super().__init__()
        self.net = tw.nn.mlp(4, 4, (32, 32), "tanh", seed=1)

    def rhs(self, a, b, c, d):
        return dict(zip("abcd", self.net(a, b, c, d), strict=True))


@pytest.mark.slow
def test_the_network_kernels_take_what_they_took():
    """Registers, frame and spills of the hybrid; a change is looked at and written down."""
    need_nvrtc()
    known = json.loads(GOLDEN.read_text())
    if list(nvrtc_version()) != known["nvrtc"]:
        pytest.skip(f"the figures are those of NVRTC {known['nvrtc']}, not {nvrtc_version()}")
    assert {name: found for name, found in figures().items() if found != known["units"][name]} == {}


def figures() -> dict[str, dict[str, int]]:
    """By method, bits and architecture."""
    found = {}
    for method, fixed, bits in (("rk4", True, 32), ("tsit5", False, 32), ("tsit5", False, 64)):
        dtype = torch.float64 if bits == 64 else torch.float32
        given = {"dt": 0.01} if fixed else {}
        problem = problem_of(Hybrid(), [0.0, 1.0], method, dtype=dtype, keep="final", **given)
        for architecture in ARCHITECTURES:
            (unit,) = units(problem, method, architecture)
            check(unit, bits)
            found[f"{method}-float{bits}-{architecture}"] = vars(unit.usage)
    return found
