"""What has no kernel is refused by operation, file, line and text, with a rewrite."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import twinml as tw
from tests.lowering.models import OneFunction, OneVector
from twinml.errors import InputError, LoweringError, ShapeError
from twinml.lowering import lower

ELSEWHERE = torch.tensor(9.81)


def added_in_place(x, y, z):
    total = x * 1.0
    total += y
    return total


def filled(x, y, z):
    result = torch.zeros_like(x)
    result[:] = y
    return result


REFUSED = {
    "choice": (lambda x, y, z: x if x > 0 else y, "'if'", "torch.where"),
    "max": (lambda x, y, z: max(x, y), "'if'", "torch.maximum"),
    "math": (lambda x, y, z: math.sin(x), "'float'", "torch's functions"),
    "loop": (lambda x, y, z: sum(v for v in x), "loop over a tensor", "unbind"),
    "random like": (lambda x, y, z: x + torch.randn_like(x), "'randn_like'", "noise(self"),
    "random": (lambda x, y, z: x + torch.rand(()), "'rand'", "noise(self"),
    "dropout": (lambda x, y, z: torch.dropout(x, 0.5, True), "'dropout'", "eval()"),
    "in place": (added_in_place, "'+='", "x = x + u"),
    "in place method": (lambda x, y, z: (x * 2).add_(y), "'add_'", "x = x + u"),
    "filling": (filled, "'x[...] = value'", "torch.stack"),
    "baked": (lambda x, y, z: x * ELSEWHERE, "'*'", "register_buffer"),
    "rows summed": (lambda x, y, z: x / x.sum(), "'sum'", "dim=-1"),
    "rows averaged": (lambda x, y, z: x - x.mean(0), "'mean'", "one row"),
    "row picked": (lambda x, y, z: x[0] * y, "'x[...]'", "one row"),
    "cast": (lambda x, y, z: x.to(torch.float32), "'to'", "x.to(y.dtype)"),
    "gradient cut": (lambda x, y, z: x.detach() * y, "'detach'", "Leave it out"),
    "gradient": (lambda x, y, z: torch.autograd.grad(x, x)[0], "'grad'", "derivative out"),
    "unknown": (lambda x, y, z: torch.lgamma(x), "'lgamma'", "arithmetic"),
    "complex": (lambda x, y, z: (x * 1j).abs(), "'*'", "plain numbers"),
    "number of rows": (lambda x, y, z: x / x.shape[0], "result 0 of 'rhs'", "number of rows"),
    "dtype": (lambda x, y, z: x + torch.finfo(x.dtype).max * 1e-308, "'rhs'", "dtype"),
    "item": (lambda x, y, z: x * y.item(), "'item'", "the tensor itself"),
    "rows by shape": (lambda x, y, z: x + torch.arange(x.shape[0]), "'arange'", "one row"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_the_refusal_names_operation_place_and_rewrite(name):
    function, operation, rewrite = REFUSED[name]
    model = OneFunction(function)
    with pytest.raises(LoweringError) as caught:
        lower(model)
    text = str(caught.value)
    assert operation in text and rewrite in text and 'engine="eager" runs it' in text
    if "would compute" not in text:
        assert text.startswith("OneFunction.rhs cannot become a kernel: in ")
        assert "test_refusals.py, line " in text
    assert isinstance(caught.value, InputError)


def test_the_place_is_the_users_line_and_its_text():
    with pytest.raises(LoweringError) as caught:
        lower(OneFunction(added_in_place))
    line = added_in_place.__code__.co_firstlineno + 2
    assert f"test_refusals.py, line {line}: total += y)" in str(caught.value)


def test_numpy_functions_and_unlike_shapes_are_refused():
    with pytest.raises(LoweringError, match="torch's operations"):
        lower(OneFunction(lambda x, y, z: np.multiply(x, 2.0)))
    with pytest.raises(LoweringError, match=r"shapes \(B, 4\) and \(B,\)"):
        # It would work for four rows only.
        lower(OneVector(lambda m, v, a: v.expand(*v.shape) * a))


def test_a_refusal_is_kept_and_repeated_without_following_again():
    calls = []

    def function(x, y, z):
        calls.append(1)
        return torch.lgamma(x)

    model = OneFunction(function)
    for _ in range(3):
        with pytest.raises(LoweringError):
            lower(model)
    assert len(calls) == 2  # once on numbers, once followed


def test_an_attribute_set_by_the_equation_is_refused():
    class Counting(OneFunction):
        calls = 0

        def rhs(self, x, y, z):
            self.calls += 1
            return super().rhs(x, y, z)

    with pytest.raises(LoweringError, match="sets an attribute"):
        lower(Counting(lambda x, y, z: x))

    class Keeping(OneFunction):
        def rhs(self, x, y, z):
            self.last = x
            return super().rhs(x, y, z)

    keeping = Keeping(lambda x, y, z: x)
    with pytest.raises(LoweringError, match="sets an attribute"):
        lower(keeping)
    assert isinstance(keeping.last, torch.Tensor)  # no stand-in is left behind


def test_what_is_wrong_with_an_equation_itself_is_said_in_its_own_terms():
    with pytest.raises(ShapeError, match="returns shape"):
        lower(OneFunction(lambda x, y, z: torch.stack([x, y])))
    with pytest.raises(tw.TwinmlError, match="does not return"):

        class Missing(OneFunction):
            def rhs(self, x, y, z):
                return {"x": x}

        lower(Missing(lambda x, y, z: x))


def test_a_whole_number_tensor_of_the_model_is_refused_by_its_name():
    class Indexed(OneFunction):
        def __init__(self, function):
            super().__init__(function)
            self.register_buffer("count", torch.tensor(3))

        def rhs(self, x, y, z):
            return {"x": x * self.count, "y": 0.0, "z": 0.0}

    with pytest.raises(LoweringError, match=r"'count' of dtype torch.int64"):
        lower(Indexed(lambda x, y, z: x))
