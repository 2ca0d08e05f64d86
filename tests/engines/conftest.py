"""Which engine ``engine="auto"`` means in these tests."""

from __future__ import annotations

import pytest

from tests.engines.engines import GPU, need_compiler, need_gpu
from tests.engines.gpu import run_there
from twinml.engines import simulation


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skips the test on a machine that cannot make kernels."""
    need_compiler()


# A kernel takes seconds to compile; engines.on_every_engine says which cases are quick ones.
@pytest.fixture(
    params=[
        "eager", pytest.param("native", marks=pytest.mark.slow), pytest.param("cuda", marks=GPU)
    ]
)  # fmt: skip
def engine(request) -> str:
    """Each engine in turn; a test that uses it means this one where it leaves the choice open."""
    if request.param == "native":
        need_compiler()
    if request.param == "cuda":
        need_gpu()
    return request.param


@pytest.fixture(autouse=True)
def meant(request, monkeypatch) -> None:
    """What ``engine="auto"`` means: ``engine``, and in tests that do not use it the reference.

    A kernel for each small model of each test would take longer to compile than all the tests to
    run. ``real_auto`` among a test's marks leaves the choice to the package.
    """
    if request.node.get_closest_marker("real_auto"):
        return
    name = request.getfixturevalue("engine") if "engine" in request.fixturenames else "eager"
    given = simulation.run_with

    def run_with(asked, problem, *rest):
        # Kernels have some gradients and not others: there the package chooses.
        if asked == "auto" and not (name != "eager" and problem.differentiable()):
            asked = name
            if asked == "cuda":
                return run_there(problem, *rest), "cuda", "asked for"
        return given(asked, problem, *rest)

    monkeypatch.setattr(simulation, "run_with", run_with)
