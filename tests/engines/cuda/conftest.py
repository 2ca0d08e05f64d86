"""A stand-in for a GPU as a fixture, and the real one where there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

import twinml as tw
from tests.engines.cuda.standin import Standin, standing_in
from tests.engines.engines import assert_same_meaning, need_gpu, same_bits
from tests.engines.gpu import here

Agree = Callable[[tw.Solution, tw.Solution], None]


@pytest.fixture
def standin(monkeypatch) -> Iterator[Standin]:
    """Kernels for a GPU run on the CPU."""
    with standing_in(monkeypatch) as found:
        yield found


@pytest.fixture(params=["stand-in", pytest.param("gpu", marks=[pytest.mark.gpu, pytest.mark.slow])])
def agree(request) -> Iterator[Agree]:
    """Says that a solution is that of the native engine: a stand-in's in every bit."""
    if request.param == "stand-in":
        with standing_in():
            yield same_bits
    else:
        need_gpu()
        yield lambda found, want: assert_same_meaning(here(found), want, rtol=1e-6, spare=2)
