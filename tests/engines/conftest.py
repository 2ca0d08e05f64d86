"""Which engine ``engine="auto"`` means in these tests."""

from __future__ import annotations

import pytest

from tests.engines.engines import ENGINES, need_compiler
from twinml.engines import choice, simulation


@pytest.fixture(params=ENGINES)
def engine(request) -> str:
    """Each engine in turn; a test that takes it means this one by ``engine="auto"``."""
    if request.param == "native":
        need_compiler()
    return request.param


@pytest.fixture(autouse=True)
def meant(request, monkeypatch) -> None:
    """What a test leaves open runs on ``engine``, without that on the reference engine.

    A kernel for each small model of each test would take longer to compile than all the tests to
    run; ``real_auto`` among a test's marks leaves the choice to the package.
    """
    if request.node.get_closest_marker("real_auto"):
        return
    name = request.getfixturevalue("engine") if "engine" in request.fixturenames else "eager"
    given = simulation.run_with

    def run_with(asked, *rest):
        return given(name if asked == "auto" else asked, *rest)

    monkeypatch.setattr(simulation, "run_with", run_with)
    assert choice.run_with is given
