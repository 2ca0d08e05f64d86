"""What every physics of the library must be; a new model is covered by being listed in __all__."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

import twinml as tw
import twinml.library as library
from twinml.errors import nearest
from twinml.units import check_unit

MODELS = [getattr(library, name) for name in library.__all__]


def named(
    model: tw.Physics, rows: int, dtype: torch.dtype, seed: int = 0
) -> dict[str, torch.Tensor]:
    """Values inside the bounds for everything ``rhs`` may ask for, different in every row."""
    generator = torch.Generator().manual_seed(seed)
    declared = model.declared

    def inside(value: float, low: float | None, high: float | None, width: int | None):
        shape = (rows,) if width is None else (rows, width)
        spread = torch.rand(shape, generator=generator, dtype=torch.float64)
        # In proportion, as an inertia may be 1e-5 and a rate constant 1e10.
        near = value + (0.1 * abs(value) or 0.1) * (spread - 0.5)
        return (
            near.clamp(low, high).to(dtype)
            if low is not None or high is not None
            else near.to(dtype)
        )

    values = {"t": torch.linspace(0.0, 1.0, rows, dtype=dtype)}
    for name, state in declared.states.items():
        middle = state.initial if state.initial is not None else (state.low or 0.0) + 1.0
        values[name] = inside(middle, state.low, state.high, state.size)
    for name, parameter in declared.parameters.items():
        default = (
            parameter.default if parameter.default is not None else (parameter.low or 0.0) + 1.0
        )
        values[name] = inside(default, parameter.low, parameter.high, None)
    for name, given in declared.inputs.items():
        values[name] = inside(given.default or 0.0, None, None, None)
    return values


def stacked(model: tw.Physics, values: dict[str, torch.Tensor]) -> torch.Tensor:
    blocks = []
    for name, state in model.declared.states.items():
        blocks.append(values[name][None] if state.size is None else values[name].T)
    return torch.cat(blocks)


def slopes(model: tw.Physics, values: dict[str, torch.Tensor]) -> torch.Tensor:
    return model.derivatives(values, stacked(model, values))


@pytest.fixture(params=MODELS, ids=lambda model: model.__name__)
def model(request) -> tw.Physics:
    return request.param()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_shapes_and_dtype_are_kept(model, dtype):
    values = named(model, 5, dtype)
    found = slopes(model, values)
    assert found.shape == (model.declared.width, 5) and found.dtype == dtype
    raw = model.forward("rhs", values)
    for name, state in model.declared.states.items():
        assert raw[name].dtype == dtype, name
        assert raw[name].shape == ((5,) if state.size is None else (5, state.size)), name
    for name, value in model.observe(values, stacked(model, values)).items():
        assert value.shape == (5,) and value.dtype == dtype, name


def test_a_row_alone_equals_the_row_in_a_batch(model):
    values = named(model, 7, torch.float64)
    together = slopes(model, values)
    for row in range(7):
        alone = slopes(model, {name: value[row : row + 1] for name, value in values.items()})
        assert torch.allclose(alone[:, 0], together[:, row], rtol=1e-13, atol=1e-300)


def test_derivatives_agree_with_differences(model):
    values = named(model, 2, torch.float64, seed=1)
    names = list(values)
    # Scaled to order one, so that one step of the differences suits all.
    scale = {n: torch.where(v == 0.0, 1.0, v.abs()) for n, v in values.items()}

    def function(*points):
        return slopes(model, {n: p * scale[n] for n, p in zip(names, points, strict=True)})

    points = [(values[n] / scale[n]).requires_grad_() for n in names]
    size = function(*points).detach().abs().max()
    assert torch.autograd.gradcheck(
        lambda *p: function(*p) / size.clamp(min=1.0), points, eps=1e-7, atol=1e-6, rtol=1e-4
    )


def bounds(model: tw.Physics):
    groups = {**model.declared.states, **model.declared.parameters}
    for name, declared in groups.items():
        for side in ("low", "high"):
            value = getattr(declared, side)
            if value is not None:
                yield name, side, value
    for name, state in model.declared.states.items():
        if state.initial is not None:
            yield name, "initial", state.initial


def test_values_and_gradients_are_finite_at_every_bound_and_at_the_start(model):
    cases = list(bounds(model))
    every = dict(named(model, 3, torch.float64))
    for name, side, value in [*cases, (None, "all low", None)]:
        values = {n: v.clone() for n, v in every.items()}
        if name is not None:
            values[name] = torch.full_like(values[name], value)
        else:
            for other, which, bound in cases:
                if which == "low":
                    values[other] = torch.full_like(values[other], bound)
        values = {n: v.requires_grad_() for n, v in values.items()}
        found = slopes(model, values)
        if model.has_noise:
            found = torch.cat([found, model.noise_coefficients(values, stacked(model, values))])
        assert torch.isfinite(found).all(), (name, side)
        if found.requires_grad:
            gradients = torch.autograd.grad(found.sum(), list(values.values()), allow_unused=True)
            for other, gradient in zip(values, gradients, strict=True):
                assert gradient is None or torch.isfinite(gradient).all(), (name, side, other)


def test_the_defaults_can_be_simulated(model):
    declared = model.declared
    missing = [n for n, p in declared.parameters.items() if p.default is None]
    assert not missing, "shipped physics runs as it stands"
    for dtype in (torch.float64, torch.float32):
        dt = 0.01 if model.has_noise else None
        sol = tw.simulate(model, [0.0, 0.01, 0.02], dtype=dtype, rtol=1e-5, dt=dt)
        assert sol.ok.all()
        assert all(
            sol[name].dtype == dtype and torch.isfinite(sol[name]).all() for name in sol.names
        )


def test_units_parse_and_the_source_is_named(model):
    declared = model.declared
    for name in declared.names:
        check_unit(declared.unit(name), name)
    check_unit(model.time_unit, "time_unit")
    assert "Source:" in (type(model).__doc__ or "")


def test_the_model_can_be_copied_and_sent_to_another_process(model):
    values = named(model, 3, torch.float64)
    want = slopes(model, values)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert type(twin) is type(model)
        assert torch.equal(slopes(twin, values), want)


def test_the_library_lists_every_model_it_holds():
    held = {
        n for n, v in vars(library).items() if isinstance(v, type) and issubclass(v, tw.Physics)
    }
    assert held == set(library.__all__)
    assert nearest("Lorentz", library.__all__) == " Did you mean 'Lorenz'?"


def test_the_units_of_all_equations_agree(model):
    report = tw.check_dimensions(model)
    assert report.ok, str(report)
