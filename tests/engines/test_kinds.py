"""What stands in the place of a model, state, change or device is checked, and the text helps."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay
from twinml.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("engine")


class Pair(tw.Physics):
    """A state of size two."""

    pair = tw.State("K", initial=1.0, size=2)

    def rhs(self, pair):
        return {"pair": -pair}


@pytest.mark.parametrize(
    ("text", "options"),
    [
        (r"start is a Solution; .*sol\.state", {"start": tw.simulate(Decay(), [0.0, 1.0])}),
        (r"change 1 is a tuple; expected a tw\.Change", {"changes": [(0.5, "set", "k", 1.0)]}),
        (r"device='nowhere' cannot be used by this torch", {"device": "nowhere"}),
    ],
)
def test_a_thing_of_another_kind_is_refused_by_name(text, options):
    with pytest.raises(ArgumentError, match=text):
        tw.simulate(Decay(), [0.0, 1.0], **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="cuda is there")
def test_a_device_that_torch_lacks_is_an_argument_error():
    with pytest.raises(ArgumentError, match="device='cuda' cannot be used"):
        tw.simulate(Decay(), [0.0, 1.0], device="cuda")


def test_a_quantity_of_a_vector_state_is_refused_by_its_name():
    with pytest.raises(ArgumentError, match="uses 'pair', a state of size 2"):
        tw.simulate(Pair(), [0.0, 1.0], keep={"top": "max(pair)"})


def test_a_quantity_is_not_labelled_with_a_unit_that_nobody_knows():
    pytest.importorskip("xarray")
    sol = tw.simulate(Decay(), [0.0, 1.0], keep={"squared": "max(x) * max(x)"})
    assert "units" not in sol.to_xarray()["squared"].attrs
