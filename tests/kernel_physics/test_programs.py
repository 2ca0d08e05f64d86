"""The program of a right-hand side in a header, and its derivatives."""

from __future__ import annotations

import pytest

from tests.kernel_physics import models
from twinml import library
from twinml.errors import DerivativeError
from twinml.lowering import evaluate, lower, print_function
from twinml.lowering.derive import jacobian, tangent
from twinml.lowering.header import with_twins
from twinml.lowering.points import sample
from twinml.lowering.program import Call


def calls(program) -> list[str]:
    return [node.function for node in program.nodes if isinstance(node, Call)]


def test_the_derivatives_of_a_twin_are_those_of_the_torch_model():
    header, torch_model = lower(models.TwinLorenz()), lower(library.Lorenz())
    found, wanted = (jacobian(m.programs["rhs"]) for m in (header, torch_model))
    assert found.pattern == wanted.pattern and found.autonomous
    assert calls(found.program) == ["rhs"]
    points = sample(library.Lorenz()).values
    for one, other in zip(
        evaluate(found.program, points), evaluate(wanted.program, points), strict=True
    ):
        assert (one == other).all()


def test_a_program_with_its_twin_computes_the_same():
    program = with_twins(lower(models.TwinLorenz()).programs["rhs"])
    assert program is not None
    points = sample(library.Lorenz()).values
    wanted = lower(library.Lorenz()).programs["rhs"]
    for one, other in zip(evaluate(program, points), evaluate(wanted, points), strict=True):
        assert (one == other).all()
    assert calls(program) == []
    assert with_twins(lower(models.Tanks()).programs["rhs"]) is None
    alone = lower(models.Lorenz()).programs["rhs"]
    assert with_twins(alone) == alone


def test_rhs_jvp_is_called_once_for_each_direction_and_has_no_derivative():
    rhs = lower(models.Lorenz()).programs["rhs"]
    derived = jacobian(rhs)
    assert len(derived.pattern) == 9 and not derived.autonomous
    assert calls(derived.program) == ["rhs", *["rhs_jvp"] * 4]
    assert calls(tangent(rhs)) == ["rhs", "rhs_jvp"]
    with pytest.raises(DerivativeError, match="second derivative"):
        jacobian(tangent(rhs, ("dy",)))
    with pytest.raises(DerivativeError, match="without one"):
        jacobian(lower(models.Tanks()).programs["rhs"])


def test_the_text_calls_the_header_by_the_names_of_the_declarations():
    lowered = lower(models.Ring())
    text = print_function(lowered.programs["rhs"], "rhs")
    assert "model_rhs(t, v0y, v0p, v0u, v0);" in text and "const Real v0y[5]" in text
    assert "struct State { Real cell[4]; Real used; };" in lowered.header
    assert "a.cell[3] = y[3];" in lowered.header and '#line 1 "ring.h"' in lowered.header
