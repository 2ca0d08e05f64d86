"""The engines mean the same: equal numbers to rounding, equal steps, equal verdicts."""

from __future__ import annotations

from typing import Any

import pytest

import twinml as tw
from tests.engines.engines import assert_same_meaning
from tests.engines.plant import Plant, arguments

pytestmark = pytest.mark.usefixtures("compiler")

FIXED = ("euler", "heun", "rk4", "tsit5", "dopri5", "vern7", "rodas5p", "euler_maruyama")
ADAPTIVE = ("tsit5", "dopri5", "vern7", "rodas5p", "auto")
# Errors of the first steps are rounding; what steps of another size change is of the order of
# the tolerance times the difference in size.
ADAPTIVE_RTOL = 1e-8


def both(model: tw.Physics, **options: Any) -> tuple[tw.Solution, tw.Solution]:
    return tuple(tw.simulate(model, engine=e, **options) for e in ("native", "eager"))


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_with_inputs_changes_and_rows_of_their_own(method):
    given = arguments(5, method=method, dt=0.03)
    assert_same_meaning(*both(Plant(), **given), rtol=1e-13)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_adaptive_steps_with_inputs_changes_and_rows_of_their_own(method):
    given = arguments(5, stiffest=1e4, method=method)
    if method not in ("rodas5p", "auto"):
        given = arguments(5, stiffest=30.0, method=method)
    found, want = both(Plant(), **given)
    assert_same_meaning(found, want, rtol=ADAPTIVE_RTOL, spare=2)
    if method == "auto":
        assert set(found.method) == {"tsit5", "rodas5p"}
