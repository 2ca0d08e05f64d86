"""A class that contradicts itself is refused when it is made, in the user's words."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError, DeclarationError, ShapeError, UnitError

SECOND = tw.State("1", initial=1.0)


def declare(base=tw.Physics, **members):
    return type("Kiln", (base,), members)


def rhs(self, x):
    return {"x": -x}


def outputs(self, x):
    return {"seen": x}


def wrong(text, error=DeclarationError, **members):
    with pytest.raises(error, match=text):
        declare(**members)


def test_names_are_bound_by_signature_with_the_nearest_offered():
    def misspelt(self, x, dmaping):
        return {"x": -dmaping * x}

    wrong(
        r"Kiln.rhs asks for 'dmaping', which is not declared; known here: .*Did you mean 'damping'",
        x=SECOND, damping=tw.Parameter("1"), rhs=misspelt,
    )  # fmt: skip


def test_star_arguments_keyword_only_arguments_and_defaults_are_refused():
    def stars(self, *args):
        return {"x": args[0]}

    def keywords(self, **kwargs):
        return {"x": kwargs["x"]}

    def default(self, x, k=2.0):
        return {"x": -k * x}

    def bare(self, *, x):
        return {"x": -x}

    wrong(r"Kiln.rhs takes \*args; arguments are bound by name", x=SECOND, rhs=stars)
    wrong(r"Kiln.rhs takes \*kwargs", x=SECOND, rhs=keywords)
    wrong(r"gives 'k' a default value; defaults belong in the declaration", x=SECOND, rhs=default)
    wrong(r"takes 'x' after a bare \*", x=SECOND, rhs=bare)


@pytest.mark.parametrize(
    ("text", "members"),
    [
        (r"state 'x' has low=2 and high=1; low must lie below high",
         {"x": tw.State("1", low=2, high=1)}),
        (r"state 'x' has initial=5, outside its validity bounds \[0, 1\]",
         {"x": tw.State("1", initial=5, low=0, high=1)}),
        (r"parameter 'k' has default=-1, outside its validity bounds \[0, inf\]",
         {"x": SECOND, "k": tw.Parameter("1", default=-1, low=0)}),
        (r"parameter 'k' has default='2'; expected a number",
         {"x": SECOND, "k": tw.Parameter("1", "2")}),
        (r"parameter 'k' has default=inf; expected a finite number",
         {"x": SECOND, "k": tw.Parameter("1", float("inf"))}),
        (r"state 'x' has size=0; expected a whole number from 1", {"x": tw.State("1", size=0)}),
        (r"output 'seen' has noise=0; a standard deviation is positive",
         {"x": SECOND, "seen": tw.Output("1", noise=0.0), "outputs": outputs}),
        (r"declares 't', a name that is already taken", {"x": SECOND, "t": tw.Parameter("1")}),
        (r"declares 'forward', a name that is already taken",
         {"x": SECOND, "forward": tw.Parameter("1")}),
        (r"declares 'training', a name", {"x": SECOND, "training": tw.Parameter("1")}),
        (r"declares '_k', a name", {"x": SECOND, "_k": tw.Parameter("1")}),
        (r"has time_unit='m', which does not measure time", {"x": SECOND, "time_unit": "m"}),
        (r"declares outputs \['seen'\] but has no outputs\(\)",
         {"x": SECOND, "seen": tw.Output("1")}),
        (r"has outputs\(\) but declares no tw.Output", {"x": SECOND, "outputs": outputs}),
        (r"has an rhs but no state", {"k": tw.Parameter("1"), "rhs": lambda self: {}}),
    ],
)  # fmt: skip
def test_contradictions_are_refused(text, members):
    wrong(text, **{"rhs": rhs, **members})


def test_states_without_equations_are_refused():
    wrong(r"declares states \['x'\] but has no rhs", x=SECOND)


@pytest.mark.parametrize("unit", ["parsec per fortnight per", "", None, "blorb"])
def test_a_unit_that_does_not_parse_is_refused(unit):
    wrong(r"state 'x' has unit", UnitError, x=tw.State(unit), rhs=rhs)


def test_declared_names_cannot_be_assigned_on_an_instance():
    model = declare(x=SECOND, k=tw.Parameter("1", default=1.0), rhs=rhs)()
    with pytest.raises(
        DeclarationError, match=r"Kiln.k is declared as Parameter and cannot be assigned"
    ):
        model.k = 3.0


@pytest.mark.parametrize(
    ("returned", "text"),
    [
        ({}, r"Kiln.rhs does not return \['x'\]; expected exactly \['x'\]"),
        ({"x": 1.0, "xx": 2.0}, r"returns \['xx'\], which is not declared.*Did you mean 'x'\?"),
        (torch.zeros(3), r"Kiln.rhs returned Tensor; expected a dict"),
        ({"x": "high"}, r"returns str for 'x'; expected a tensor"),
        (
            {"x": torch.zeros(3, 1)},
            r"returns shape \(3, 1\) for 'x'; expected \(3,\), one value per row",
        ),
        ({"x": torch.zeros(2)}, r"returns shape \(2,\) for 'x'; expected \(3,\)"),
    ],
)
def test_a_rhs_that_returns_something_else_is_named(returned, text):
    model = declare(x=SECOND, rhs=lambda self, x: returned)()
    with pytest.raises(ShapeError, match=text):
        tw.simulate(model, [0.0, 1.0], initial={"x": [1.0, 2.0, 3.0]})


def test_an_initial_that_names_no_state_is_refused():
    model = declare(x=SECOND, rhs=rhs, initial=lambda self: {"y": 1.0})()
    with pytest.raises(ShapeError, match=r"Kiln.initial returns 'y', which is not a state"):
        tw.simulate(model, [0.0, 1.0])


def test_constants_and_integers_are_spread_over_rows():
    model = declare(x=SECOND, z=SECOND, rhs=lambda self: {"x": 2, "z": torch.tensor(3.0)})()
    sol = tw.simulate(model, [0.0, 1.0], initial={"x": [0.0, 1.0]}, method="rk4", dt=0.5)
    want = torch.tensor([[2.0, 3.0], [4.0, 4.0]], dtype=torch.float64)
    assert torch.allclose(torch.stack([sol["x"][:, -1], sol["z"][:, -1]]), want)


class Base(tw.Physics):
    """Decay, to be inherited and sent about."""

    x = tw.State("kg", initial=1.0)
    k = tw.Parameter("1/s", default=1.0, low=0.1, high=10.0)
    mass = tw.Parameter("kg", default=2.0)

    def rhs(self, x, k):
        return {"x": -k * x}


class Derived(Base):
    """Adds an input and moves a default."""

    k = tw.Parameter("1/s", default=3.0)
    u = tw.Input("kg/s", default=0.5)

    def rhs(self, x, k, u):
        return {"x": u - k * x}


class Chain(tw.Physics):
    """Diffusion along a chain, a vector state."""

    heat = tw.State("K", initial=0.0, size=4)
    total = tw.Output("K")

    def rhs(self, heat):
        left = torch.cat([heat[..., :1], heat[..., :-1]], dim=-1)
        right = torch.cat([heat[..., 1:], heat[..., -1:]], dim=-1)
        return {"heat": left - 2.0 * heat + right}

    def outputs(self, heat):
        return {"total": heat.sum(-1)}


def test_declarations_are_inherited_and_replaced():
    assert list(Derived.declared.parameters) == ["mass", "k"]
    assert Derived().default("k") == 3.0 and Base().default("k") == 1.0
    assert list(Base.declared.inputs) == [] and list(Derived.declared.inputs) == ["u"]
    sol = tw.simulate(Derived(), [0.0, 50.0])
    assert float(sol["x"][0, -1]) == pytest.approx(0.5 / 3.0, rel=1e-6)


def test_a_declaration_can_be_withdrawn():
    class Fixed(Base):
        k = None

        def rhs(self, x):
            return {"x": -x}

    assert "k" not in Fixed.declared.parameters


def test_defaults_can_be_replaced_on_an_instance_with_units():
    model = Base().set_defaults(mass="500 g", k="60/min")
    assert model.default("mass") == 0.5 and model.default("k") == pytest.approx(1.0)
    assert Base().default("mass") == 2.0
    with pytest.raises(DeclarationError, match=r"has no parameter 'mas'.*Did you mean 'mass'\?"):
        model.set_defaults(mas=1.0)
    with pytest.raises(
        DeclarationError, match=r"value=50, outside its validity bounds \[0.1, 10\]"
    ):
        model.set_defaults(k=50.0)
    with pytest.raises(UnitError, match="the dimensions differ"):
        model.set_defaults(k="3 kg")


def test_instances_can_be_copied_and_sent_to_another_process():
    for original in (Base().set_defaults(k=7.0), Derived(), Chain()):
        want = tw.simulate(original, [0.0, 1.0], keep="final")
        for twin in (copy.deepcopy(original), pickle.loads(pickle.dumps(original))):
            found = tw.simulate(twin, [0.0, 1.0], keep="final")
            assert all(torch.equal(found[name], want[name]) for name in want.names)


def test_a_vector_state_has_its_own_axis():
    start = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 4.0, 0.0]], dtype=torch.float64)
    for method in ("tsit5", "rodas5p"):
        sol = tw.simulate(Chain(), [0.0, 1.0, 200.0], initial={"heat": start}, method=method)
        assert sol["heat"].shape == (2, 3, 4) and sol["total"].shape == (2, 3)
        assert torch.equal(sol["heat"][:, 0], start)
        assert torch.allclose(sol["total"], start.sum(1)[:, None].expand(2, 3), atol=1e-6)
        assert torch.allclose(sol["heat"][:, -1], start.mean(1)[:, None].expand(2, 4), atol=1e-5)
    assert tw.simulate(Chain(), [0.0, 1.0], keep="final")["heat"].shape == (1, 4)
    shared = tw.simulate(Chain(), [0.0], initial={"heat": [1.0, 2.0, 3.0, 4.0]})
    assert shared["heat"][0, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert sol.to_xarray()["heat"].dims == ("row", "time", "heat_component")


def test_sqrt0_is_the_root_with_a_finite_slope_at_zero():
    x = torch.tensor([-1.0, 0.0, 5e-9, 1e-8, 4.0], dtype=torch.float64, requires_grad=True)
    y = tw.sqrt0(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert y[0] == 0 and y[1] == 0 and y[4] == 2.0
    assert torch.isfinite(slope).all() and slope[0] == 0 and slope[4] == 0.25
    assert float(y[3].detach()) == pytest.approx(1e-4)
    assert torch.isnan(tw.sqrt0(torch.tensor(float("nan"))))


def test_a_signal_says_what_is_wrong_with_it():
    with pytest.raises(ArgumentError, match=r"kind='step'; expected one of \['hold', 'linear'\]"):
        tw.Signal([0.0], [1.0], kind="step")
    with pytest.raises(ShapeError, match=r"times of shape \(2,\) and values of shape \(3,\)"):
        tw.Signal([0.0, 1.0], [1.0, 2.0, 3.0])
    with pytest.raises(ArgumentError, match="not strictly increasing"):
        tw.Signal([0.0, 0.0], [1.0, 2.0])
    with pytest.raises(ArgumentError, match="nan or infinite"):
        tw.Signal([0.0, 1.0], [1.0, float("nan")])
    with pytest.raises(ShapeError, match="no knots"):
        tw.Signal([], [])
