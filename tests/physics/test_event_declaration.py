"""Events are declared beside the equations and checked when the class is made."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.errors import DeclarationError, EquationError, ShapeError
from twinml.physics.event_values import after_reset, guard_value


class Ball(tw.Physics):
    height = tw.State("m", initial=1.0)
    velocity = tw.State("m/s", initial=0.0)
    gravity = tw.Parameter("m/s^2", default=9.81)
    restitution = tw.Parameter("1", default=0.7)

    def rhs(self, velocity, gravity):
        return {"height": velocity, "velocity": -gravity}

    @tw.event(direction=-1)
    def impact(self, height):
        """The ball meets the ground."""
        return height

    @impact.reset
    def impact(self, velocity, restitution):
        return {"velocity": -restitution * velocity}


def values(rows=2):
    ones = torch.ones(rows, dtype=torch.float64)
    named = {"height": 2 * ones, "velocity": -3 * ones, "gravity": ones, "restitution": 0.5 * ones}
    return named, torch.stack([named["height"], named["velocity"]])


def refused(body, match, base=tw.Physics):
    """A class with one state x, x' = -x, and the given attributes cannot be made."""
    attributes = {"x": tw.State("1", initial=1.0), "rhs": lambda self, x: {"x": -x}}
    with pytest.raises(DeclarationError, match=match):
        type("Plant", (base,), {**attributes, **body})


def test_a_guard_and_its_reset_may_share_their_name():
    event = Ball.declared.events["impact"]
    assert (event.name, event.direction, event.terminal) == ("impact", -1, False)
    named, y = values()
    assert guard_value(Ball(), "impact", named, y).tolist() == [2.0, 2.0]
    assert after_reset(Ball(), "impact", named, y).tolist() == [[2.0, 2.0], [1.5, 1.5]]
    assert Ball().impact(torch.tensor(4.0)) == 4.0 and "impact" not in Ball.declared.names
    assert Ball.impact.__doc__ == "The ball meets the ground."


def test_a_reset_may_have_a_name_of_its_own_and_be_overridden_as_a_method():
    class Plant(tw.Physics):
        x = tw.State("1", initial=1.0)

        def rhs(self, x):
            return {"x": -x}

        @tw.event()
        def low(self, x):
            return x - 0.5

        @low.reset
        def refill(self, x):
            return {"x": 0.0 * x + 1.0}

    class Other(Plant):
        def refill(self, x):
            return {"x": 0.0 * x + 2.0}

    x = torch.zeros(1, 3, dtype=torch.float64)
    assert after_reset(Plant(), "low", {"x": x[0]}, x).tolist() == [[1.0] * 3]
    assert after_reset(Other(), "low", {"x": x[0]}, x).tolist() == [[2.0] * 3]
    assert list(Plant.declared.events) == list(Other.declared.events) == ["low"]
    assert Plant().refill(torch.tensor(3.0)) == {"x": 1.0}


def test_events_are_inherited_and_each_part_can_be_replaced():
    class Big(Ball):
        radius = tw.Parameter("m", default=0.1)

        @tw.event(direction=-1, terminal=True)
        def impact(self, height, radius):
            return height - radius

    class Dead(Ball):
        @Ball.impact.reset
        def impact(self, velocity):
            return {"velocity": 0.0 * velocity}

    class Free(Ball):
        impact = None

    named, y = values()
    assert Big.declared.events["impact"].terminal
    assert after_reset(Big(), "impact", named, y)[1].tolist() == [1.5, 1.5]
    assert after_reset(Dead(), "impact", named, y)[1].tolist() == [0.0, 0.0]
    assert not Free.declared.events and Ball.declared.events["impact"].action is not None


def test_events_keep_the_order_declared():
    class Two(Ball):
        @tw.event()
        def top(self, velocity):
            return velocity

    assert list(Two.declared.events) == ["impact", "top"]


def test_arguments_are_bound_by_name_when_the_class_is_made():
    refused(
        {"low": tw.event()(lambda self, y: y)},
        r"Plant\.low asks for 'y', which is not declared; known here: \['t', 'x'\]",
    )
    low = tw.event()(lambda self, x: x)
    refused({"low": low.reset(lambda self, speed: {})}, r"Plant\.low\.reset asks for 'speed'")
    refused({"low": tw.event()(lambda self, *names: 0)}, r"takes \*names")
    refused({"low": tw.event()(lambda self, x=1: x)}, "gives 'x' a default")


@pytest.mark.parametrize("direction", [2, "down", None, True, 0.5])
def test_an_unknown_direction_is_refused(direction):
    with pytest.raises(DeclarationError, match=r"expected -1 \(the guard falls"):
        tw.event(direction=direction)


def test_misuse_of_the_decorator_is_named():
    with pytest.raises(DeclarationError, match="'low' without parentheses"):

        @tw.event
        def low(self, x):
            return x

    with pytest.raises(DeclarationError, match="terminal=1"):
        tw.event(terminal=1)


def test_names_of_events_collide_with_nothing():
    guard = tw.event()(lambda self, x: x)
    refused({"t": guard}, "declares 't', a name that is already taken")
    refused({"_low": guard}, "declares '_low'")
    refused({"training": guard}, "declares 'training'")
    refused({"outputs": guard}, "declares 'outputs'")
    with pytest.raises(DeclarationError, match="is an event, and a base declares State 'height'"):
        type("Plant", (Ball,), {"height": guard})
    with pytest.raises(DeclarationError, match="replaces an inherited event by a State"):
        type("Plant", (Ball,), {"impact": tw.State("1")})
    with pytest.raises(DeclarationError, match="replaces an inherited event by a plain method"):
        type("Plant", (Ball,), {"impact": lambda self, height: height})
    with pytest.raises(DeclarationError, match="declared as an event and cannot be assigned"):
        Ball().impact = 3


def test_a_reset_of_an_event_of_another_class_is_refused():
    def bounce(self, x):
        return {}

    refused({"bounce": Ball.impact.reset(bounce)}, "reset of 'impact', which is no event of Plant")


@pytest.mark.parametrize(
    ("guard", "message"),
    [
        (lambda self, height: {"height": height}, "Plant.impact returned dict; a guard returns"),
        (lambda self, height: height <= 0, "returned True and False"),
        (lambda self, height: height[:, None] * height, r"shape \(2, 2\) for 'impact'"),
    ],
)
def test_a_guard_that_returns_something_else_is_named(guard, message):
    model = type("Plant", (Ball,), {"impact": tw.event()(guard)})()
    named, y = values()
    with pytest.raises(ShapeError, match=message):
        guard_value(model, "impact", named, y)


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda self, velocity: velocity, "Plant.impact.reset returned Tensor; expected a dict"),
        (lambda self: {"speed": 0.0}, "'speed', which is not a state"),
        (lambda self: {"heigth": 0.0}, "Did you mean 'height'"),
        (lambda self, height: {"height": height[:, None] * height}, r"shape \(2, 2\) for 'height'"),
        (lambda self: {"height": "high"}, "returns str for 'height'"),
    ],
)
def test_a_reset_that_returns_something_else_is_named(action, message):
    action.__name__ = "impact"
    model = type("Plant", (Ball,), {"impact": Ball.impact.reset(action)})()
    named, y = values()
    with pytest.raises(ShapeError, match=message):
        after_reset(model, "impact", named, y)


def test_an_error_in_a_guard_or_a_reset_shows_the_users_line():
    def broken(self, height):
        return height.no_such_thing()

    named, y = values()
    model = type("Plant", (Ball,), {"impact": tw.event()(broken)})()
    with pytest.raises(EquationError, match=r"Plant\.impact failed: .*no_such_thing"):
        guard_value(model, "impact", named, y)
    broken.__name__ = "impact"
    model = type("Plant", (Ball,), {"impact": Ball.impact.reset(broken)})()
    with pytest.raises(EquationError, match=r"Plant\.impact\.reset failed: .*no_such_thing"):
        after_reset(model, "impact", named, y)


def test_units_are_followed_through_guards_and_resets():
    assert tw.check_dimensions(Ball()).ok

    class Mixed(Ball):
        @tw.event(direction=-1)
        def impact(self, height, velocity):
            return height - velocity

        @impact.reset
        def impact(self, height):
            return {"velocity": height}

    text = str(tw.check_dimensions(Mixed()))
    assert "Mixed.impact" in text and "'velocity'" in text and "Mixed.impact.reset" in text


def test_a_vector_state_can_be_reset():
    class Chain(tw.Physics):
        x = tw.State("1", initial=0.0, size=3)
        y = tw.State("1", initial=0.0)

        def rhs(self, x, y):
            return {"x": x, "y": y}

        @tw.event()
        def hit(self, x):
            return x[:, 0]

        @hit.reset
        def hit(self, x):
            return {"x": -x}

    stacked = torch.arange(8.0, dtype=torch.float64).reshape(4, 2)
    named = {"x": stacked[:3].T, "y": stacked[3]}
    assert guard_value(Chain(), "hit", named, stacked).tolist() == [0.0, 1.0]
    after = after_reset(Chain(), "hit", named, stacked)
    assert torch.equal(after, torch.cat([-stacked[:3], stacked[3:]]))
