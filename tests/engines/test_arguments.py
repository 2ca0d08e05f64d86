"""What simulate cannot use is refused before any work, in the user's words."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import twinml as tw
from tests.engines.models import Decay, Forced, Polynomial
from twinml.errors import ArgumentError, ExpressionError, ShapeError, TwinmlError, UnitError
from twinml.library import Outbreak


class Needy(tw.Physics):
    """Nothing has a default."""

    x = tw.State("1")
    k = tw.Parameter("1/s")
    u = tw.Input("V")

    def rhs(self, x, k, u):
        return {"x": -k * x + u}


GIVEN = {"parameters": {"k": 1.0}, "initial": {"x": 1.0}, "inputs": {"u": 0.0}}


@pytest.mark.parametrize(
    ("error", "text", "options"),
    [
        (ArgumentError, r"parameter 'k' of Needy has no default and was not given. Give it in",
         {"parameters": {}}),
        (ArgumentError, r"input 'u' of Needy has no default", {"inputs": {}}),
        (ArgumentError, r"state 'x' of Needy has no initial value", {"initial": {}}),
        (ArgumentError, r"no parameter 'kk'.*Did you mean 'k'",
         {"parameters": {"k": 1.0, "kk": 1}}),
        (ArgumentError, r"no state 'y'; it has \['x'\]", {"initial": {"x": 1.0, "y": 1}}),
        (ArgumentError, r"no input 'uu'", {"inputs": {"u": 1.0, "uu": 1}}),
        (ArgumentError, r"parameter 'k' is None|no default", {"parameters": {"k": None}}),
        (UnitError, r"the dimensions differ", {"parameters": {"k": "3 kg"}}),
        (ShapeError, r"parameter 'k' has shape \(2, 2\); expected a number or \(B,\)",
         {"parameters": {"k": torch.ones(2, 2)}}),
        (ShapeError, r"initial value of 'x' has 2 rows but parameter 'k' has 3",
         {"parameters": {"k": torch.ones(3)}, "initial": {"x": [1.0, 2.0]}}),
        (ShapeError, r"parameter 'k' has 3 rows but t has 2",
         {"t": [[0.0, 1.0]] * 2, "parameters": {"k": torch.ones(3)}}),
        (ArgumentError, r"t is not sorted", {"t": [0.0, 2.0, 1.0]}),
        (ArgumentError, r"t is not sorted in row 1", {"t": [[0.0, 1.0, 2.0], [0.0, 2.0, 1.0]]}),
        (ArgumentError, r"forward in some rows and backward in others",
         {"t": [[0.0, 1.0], [1.0, 0.0]]}),
        (ArgumentError, r"t holds nan or inf", {"t": [0.0, math.nan]}),
        (ShapeError, r"t has shape \(0,\)", {"t": []}),
        (ArgumentError, r"t is 'soon'", {"t": "soon"}),
        (ArgumentError, r"input 'u' is known from 0 to 0.5 but the simulation needs 0 to 1.*hold",
         {"inputs": {"u": tw.Signal([0.0, 0.5], [1.0, 2.0], kind="linear")}}),
        (ArgumentError, r"input 'u' is known from 0.5 to 2 but the simulation needs 0 to 1",
         {"inputs": {"u": tw.Signal([0.5, 2.0], [1.0, 2.0])}}),
        (ArgumentError, r"method='tsit6' is not known.*Did you mean 'tsit5'", {"method": "tsit6"}),
        (ArgumentError, r"method='rk4' takes fixed steps and no dt was given", {"method": "rk4"}),
        (ArgumentError, r"dt=0; expected a positive finite number", {"dt": 0}),
        (ArgumentError, r"rtol=-1; expected", {"rtol": -1}),
        (ArgumentError, r"max_step=inf; expected", {"max_step": math.inf}),
        (ArgumentError, r"max_steps=0; expected a whole number", {"max_steps": 0}),
        (ArgumentError, r"atol names 'y', which is not a state", {"atol": {"y": 1.0}}),
        (ArgumentError, r"atol of 'x' is -1", {"atol": -1}),
        (ArgumentError, r"dtype=torch.float16; expected torch.float64 or torch.float32",
         {"dtype": torch.float16}),
        (ArgumentError, r"engine='tpu' is not part of this version", {"engine": "tpu"}),
        (ArgumentError, r"keep='last'; expected 'all', 'final', or quantities", {"keep": "last"}),
        (ArgumentError, r"keep=\{\}; expected", {"keep": {}}),
        (ArgumentError, r"quantity 'q': 'x' changes along the path and stands alone",
         {"keep": {"q": "x + 1"}}),
        (ExpressionError, r"quantity 'q': .*'y'", {"keep": {"q": "max(y)"}}),
        (ArgumentError, r"change 1 of 'x': changes act on parameters and inputs",
         {"changes": [tw.Change(0.5, "set", "x", 1.0)]}),
        (ArgumentError, r"has action='halve'; expected",
         {"changes": [tw.Change(0.5, "halve", "k", 1.0)]}),
        (ArgumentError, r"ends before it begins",
         {"changes": [tw.Change(0.5, "set", "k", 1.0, 0.2)]}),
        (ArgumentError, r"the time of change 1 of 'k' is nan",
         {"changes": [tw.Change(math.nan, "set", "k", 1.0)]}),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(error, text, options):
    arguments = {"t": [0.0, 1.0], **GIVEN, **options}
    with pytest.raises(error, match=text):
        tw.simulate(Needy(), **arguments)


def test_a_class_or_another_thing_as_model_is_refused():
    with pytest.raises(ArgumentError, match=r"pass Model\(\), not Model"):
        tw.simulate(Decay, [0.0, 1.0])
    with pytest.raises(ArgumentError, match=r"expected an instance of tw\.Physics"):
        tw.simulate(3, [0.0, 1.0])
    empty = type("Empty", (tw.Physics,), {})()
    with pytest.raises(ArgumentError, match="Empty declares no states"):
        tw.simulate(empty, [0.0, 1.0])


def test_an_unknown_name_of_a_solution_is_refused_with_the_nearest():
    sol = tw.simulate(Decay(), [0.0, 1.0])
    with pytest.raises(ArgumentError, match=r"no 'twices'.*Did you mean 'twice'\?"):
        sol["twices"]
    assert "twice" in sol and "y" not in sol


def test_numbers_text_lists_arrays_and_tensors_say_the_same():
    want = tw.simulate(Outbreak(), [0.0, 5.0], {"beta": torch.tensor(1.8, dtype=torch.float64)})
    for value in (1.8, "1.8", "1.8/day", "0.075/h", np.float64(1.8), np.array([1.8]), [1.8]):
        sol = tw.simulate(Outbreak(), [0.0, 5.0], {"beta": value})
        assert torch.allclose(sol["infected"], want["infected"], rtol=1e-12), value


def test_initial_values_that_are_tied_follow_what_was_given():
    sol = tw.simulate(Outbreak(), [0.0], {"population": [100.0, 200.0]}, {"infected": 3.0})
    assert sol["susceptible"][:, 0].tolist() == [97.0, 197.0]
    free = tw.simulate(Outbreak(), [0.0], initial={"infected": 3.0, "susceptible": 5.0})
    assert free["susceptible"].tolist() == [[5.0]]
    assert tw.simulate(Polynomial(), [0.0], {"c": 2.0})["x"].tolist() == [[2.0 - 9 / 16]]


def test_shared_and_per_row_values_mix():
    signal = tw.Signal([0.0, 0.5], torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64))
    sol = tw.simulate(Forced(), [0.0, 1.0], {"p": 0.0}, {"x": [0.1, 0.2]}, {"u": signal})
    for row in range(2):
        alone = tw.simulate(
            Forced(), [0.0, 1.0], {"p": 0.0}, {"x": 0.1 * (row + 1)},
            {"u": tw.Signal(signal.times, signal.values[row])},
        )  # fmt: skip
        assert torch.allclose(sol["x"][row], alone["x"][0], rtol=1e-12)


def test_splitting_a_batch_changes_nothing_but_rounding():
    k = torch.linspace(0.1, 3.0, 9, dtype=torch.float64)
    whole = tw.simulate(Decay(), [0.0, 1.0, 2.0], {"k": k})
    for part in (slice(0, 4), slice(4, 9)):
        some = tw.simulate(Decay(), [0.0, 1.0, 2.0], {"k": k[part]})
        assert torch.allclose(some["x"], whole["x"][part], rtol=1e-13)
        assert torch.equal(some.steps, whole.steps[part])


def test_a_solution_shows_itself_as_a_labelled_data_set():
    data = tw.simulate(Outbreak(), [0.0, 1.0], {"beta": [1.0, 2.0]}).to_xarray()
    assert data["in_bed"].dims == ("row", "time") and data["in_bed"].attrs["units"] == "1"
    assert data["t"].attrs["units"] == "day" and data["status"].shape == (2,)
    final = tw.simulate(Outbreak(), [0.0, 1.0], keep={"peak": "max(infected)"}).to_xarray()
    assert final["peak"].dims == ("row",)


def test_every_error_a_user_meets_is_of_the_package():
    assert issubclass(ArgumentError, TwinmlError) and ArgumentError.exit_code == 2
