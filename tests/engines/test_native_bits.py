"""A kernel gives the same bits for every instruction set, lane width and optimisation."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.builds import Build, built_as
from tests.engines.engines import same_bits
from tests.engines.functions import Functions
from tests.engines.plant import Plant, arguments
from twinml.library import Lorenz

pytestmark = pytest.mark.usefixtures("compiler")

ROWS = 21  # no multiple of any pack
QUICK = {
    "explicit": [
        Build("x86-64-v2", registers=2, optimise="-O1"),
        Build("x86-64-v4"),
        Build("x86-64-v3", registers=1, vector_bytes=16),
    ],
    "stiff": [Build("x86-64-v2", registers=1), Build("x86-64-v4", registers=4, optimise="-O1")],
    "plain": [Build("x86-64-v2", registers=1)],
    "functions": [Build("x86-64-v2", registers=1, optimise="-O1")],
    "narrow": [Build("x86-64-v2", registers=3), Build("x86-64-v4", registers=4)],
}
EVERY = [
    Build(target, registers, width, level)
    for target, widths in (
        ("x86-64-v2", (None,)), ("x86-64-v3", (None, 16)), ("x86-64-v4", (None, 16, 32))
    )
    for width in widths
    for registers in (1, 2, 3, 4)
    for level in ("-O1", "-O3")
]  # fmt: skip


def cases() -> list:
    quick = [pytest.param(case, build) for case, builds in QUICK.items() for build in builds]
    slow = [
        pytest.param(case, build, marks=pytest.mark.slow)
        for case in QUICK
        for build in EVERY
        if build not in QUICK[case]
    ]
    return quick + slow


def run(case: str) -> tw.Solution:
    options: dict[str, Any] = {"engine": "native"}
    t = [0.0, 0.4, 0.4, 1.0]
    if case == "explicit":
        return tw.simulate(Plant(), **arguments(ROWS, 50.0, method="tsit5", **options))
    if case == "stiff":
        return tw.simulate(Plant(), **arguments(ROWS, 1e5, method="rodas5p", **options))
    if case == "narrow":
        # A tolerance that float32 can only just give.
        options |= {"dtype": torch.float32, "rtol": 1e-6, "atol": 1e-6}
        return tw.simulate(Plant(), **arguments(5 * ROWS, 50.0, method="tsit5", **options))
    if case == "functions":
        p = torch.linspace(0.05, 0.95, ROWS, dtype=torch.float64)
        return tw.simulate(Functions(), t, {"p": p}, method="dopri5", **options)
    rho = torch.linspace(1.0, 40.0, ROWS, dtype=torch.float64)
    return tw.simulate(Lorenz(), t, {"rho": rho}, method="rk4", dt=0.01, **options)


@pytest.fixture(scope="module")
def usual():
    """What the engine's own choice gives, once a case."""
    kept: dict[str, tw.Solution] = {}

    def of(case: str) -> tw.Solution:
        if case not in kept:
            kept[case] = run(case)
            assert kept[case].ok.all() and bool((kept[case].steps > 3).all())
        return kept[case]

    return of


@pytest.mark.parametrize(("case", "build"), cases(), ids=str)
def test_every_way_to_build_gives_the_same_bits(case, build, usual):
    with built_as(build):
        found = run(case)
    report = found.kernels[0]
    assert f"-march={build.target}" in report.command
    if build.registers is not None:
        assert f"#define TW_REGS {build.registers}\n" in report.text
    assert build.optimise is None or f"{build.optimise} " in report.command
    same_bits(found, usual(case))
