"""Diffusion, advection and reaction on grids: exact solutions, conservation, derivatives."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import twinml as tw
from twinml.errors import ArgumentError, LoweringError, ShapeError
from twinml.fields import Transport, transport

PI, D, V = math.pi, 0.1, 0.4
LOADS_FORWARD_MODE = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")

# One operation for all pairs of kinds: a field for each.
PAIRS = {
    "values": ("dirichlet", "dirichlet"),
    "value_slope": ("dirichlet", "neumann"),
    "slope_value": ("neumann", "dirichlet"),
    "fluxes": ("flux", "flux"),
}


def closed(scheme: str | None) -> Transport:
    return transport(
        "closed", list(PAIRS), left={n: p[0] for n, p in PAIRS.items()},
        right={n: p[1] for n, p in PAIRS.items()}, advection=scheme,
    )  # fmt: skip


CLOSED = {scheme: closed(scheme) for scheme in (None, "central", "upwind")}
RING = transport("ring", "u", left="periodic", right="periodic", advection="central")


def react(u: Tensor, k: Tensor, heat: Tensor) -> Tensor:
    return heat - k * u * torch.exp(-u)


SHEET = transport(
    "sheet", "u", left="dirichlet", right="neumann", bottom="flux", top="dirichlet", shape=(4, 5),
    advection="central", reaction=react, sources="heat",
)  # fmt: skip
RIBBON = {
    n: transport(
        "ribbon", "u", left="dirichlet", right="dirichlet", bottom="periodic", top="periodic",
        shape=(n, n), advection="central",
    )
    for n in (12, 24)
}  # fmt: skip

BASIN = {
    (scheme, n): transport(
        "basin", "u", left="flux", right="flux", bottom="neumann", top="neumann", shape=(n, n),
        advection=scheme,
    )
    for scheme in (None, "central")
    for n in (10, 20)
}  # fmt: skip


def after(rate: Callable[[Tensor], Tensor], start: Tensor, t: float) -> Tensor:
    """The solution of u' = A u + b, which ``rate`` gives, in time without error."""
    n = start.shape[0]
    offset = rate(torch.zeros(1, n, dtype=torch.float64))[0]
    matrix = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    matrix[:n, :n] = (rate(torch.eye(n, dtype=torch.float64)) - offset).T
    matrix[:n, n] = offset
    return (torch.linalg.matrix_exp(matrix * t) @ torch.cat([start, start.new_ones(1)]))[:n]


def centres(n: int) -> Tensor:
    return (torch.arange(n, dtype=torch.float64) + 0.5) / n


def order(error: Callable[[int], float], fine: int = 96) -> float:
    return math.log2(error(fine // 2) / error(fine))


Exact = Callable[[Tensor, float], Tensor]


def case(name: str, v: float) -> tuple[Exact, float, float]:
    """A solution of u_t = D u_xx - v u_x on [0, 1], and the numbers of its boundaries."""
    if name == "values":
        if v == 0.0:
            return lambda x, t: 1 + x + math.exp(-D * PI**2 * t) * torch.sin(PI * x), 1.0, 2.0
        rate = D * PI**2 + v * v / (4 * D)

        def both(x: Tensor, t: float) -> Tensor:
            steady = torch.expm1(v * x / D) / math.expm1(v / D)
            return steady + math.exp(-rate * t) * torch.exp(v * x / (2 * D)) * torch.sin(PI * x)

        return both, 0.0, 1.0
    k = PI / 2
    if name == "value_slope":
        if v == 0.0:
            return lambda x, t: x + math.exp(-D * k**2 * t) * torch.sin(k * x), 0.0, 1.0
        return lambda x, t: torch.expm1(v * x / D) * math.exp(-v / D), 0.0, v / D
    if name == "slope_value":
        if v == 0.0:
            return lambda x, t: x + math.exp(-D * k**2 * t) * torch.cos(k * x), -1.0, 1.0
        return lambda x, t: torch.exp(v * (x - 1) / D), -v / D * math.exp(-v / D), 1.0
    if v == 0.0:  # 0.3 flows in at the left and out at the right; a cosine evens out
        return lambda x, t: -0.3 / D * x + math.exp(-D * PI**2 * t) * torch.cos(PI * x), 0.3, -0.3
    return lambda x, t: 0.3 / v + torch.exp(v * (x - 1) / D), 0.3, -0.3


def closed_error(name: str, scheme: str | None, n: int, t: float = 0.4) -> float:
    v = 0.0 if scheme is None else V
    exact, low, high = case(name, v)

    def rate(u: Tensor) -> Tensor:
        fields = dict.fromkeys(PAIRS, u)
        moved = {} if scheme is None else {"velocity": v}
        left, right = dict.fromkeys(PAIRS, low), dict.fromkeys(PAIRS, high)
        return CLOSED[scheme](fields, 1.0, D, left=left, right=right, **moved)[name]

    x = centres(n)
    return float((after(rate, exact(x, 0.0), t) - exact(x, t)).abs().max())


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("scheme", [None, "central"])
def test_closed_lines_converge_at_second_order(name, scheme):
    assert order(lambda n: closed_error(name, scheme, n)) == pytest.approx(2.0, abs=0.15)
    assert closed_error(name, scheme, 64) < 2e-3


def test_upwind_advection_is_of_first_order():
    assert order(lambda n: closed_error("value_slope", "upwind", n)) == pytest.approx(1.0, abs=0.3)


def test_a_ring_converges_at_second_order():
    def exact(x: Tensor, t: float) -> Tensor:
        k = 2 * PI
        return 2 + math.exp(-D * k * k * t) * torch.sin(k * (x - V * t))

    def error(n: int) -> float:
        x = centres(n)
        found = after(lambda u: RING(u, 1.0, D, velocity=V), exact(x, 0.0), 0.3)
        return float((found - exact(x, 0.3)).abs().max())

    assert order(error) == pytest.approx(2.0, abs=0.1)


def test_a_rectangle_converges_at_second_order():
    """Values given along x, a ring along y, moving in both."""
    exact_x, low, high = case("values", V)
    k = 2 * PI

    rate = D * k * k

    def wave(x: Tensor, y: Tensor, t: float) -> Tensor:
        along = torch.exp(V * x / (2 * D)) * torch.sin(PI * x)
        fades = math.exp(-(D * PI**2 + V * V / (4 * D) + rate) * t)
        return along * fades * torch.sin(k * (y + V * t))

    def error(n: int) -> float:
        t, x, y = 0.3, centres(n)[None], centres(n)[:, None]
        start = exact_x(x, 0.0) + wave(x, y, 0.0)
        found = after(
            lambda u: RIBBON[n](u, (1.0, 1.0), D, velocity=(V, -V), left=low, right=high),
            start.reshape(-1), t,
        )  # fmt: skip
        return float((found.view(n, n) - exact_x(x, t) - wave(x, y, t)).abs().max())

    assert order(error, 24) == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("scheme", [None, "central"])
def test_a_rectangle_of_fluxes_and_slopes_converges_at_second_order(scheme):
    """Flow through along x and slopes along y at rest; nothing through any side when it moves."""
    v = 0.0 if scheme is None else D  # a gentle profile: coarse grids show the order
    flow, up = (0.3, 1.0) if scheme is None else (0.0, 0.0)

    def exact(x: Tensor, y: Tensor, t: float) -> Tensor:
        fades = math.exp(-D * PI**2 * t) * torch.cos(PI * y)
        if scheme is not None:
            return torch.exp(v * (x - 1) / D) * (1 + fades)
        even = -0.3 / D * x + math.exp(-2 * D * PI**2 * t) * torch.cos(PI * x) * torch.cos(PI * y)
        return even + y + fades

    def error(n: int) -> float:
        t, x, y = 0.4, centres(n)[None], centres(n)[:, None]
        moved = {} if scheme is None else {"velocity": (v, 0.0)}
        found = after(
            lambda u: BASIN[scheme, n](
                u, (1.0, 1.0), D, left=flow, right=-flow, bottom=-up, top=up, **moved
            ),
            exact(x, y, 0.0).reshape(-1), t,
        )  # fmt: skip
        return float((found.view(n, n) - exact(x, y, t)).abs().max())

    assert order(error, 20) == pytest.approx(2.0, abs=0.2)
    assert error(20) < 5e-3


@pytest.mark.parametrize("scheme", [None, "central", "upwind"])
def test_what_flows_in_is_what_the_cells_gain(scheme):
    generator = torch.Generator().manual_seed(1)
    u = torch.rand(5, 300, generator=generator, dtype=torch.float64)
    d, low, high = torch.rand(3, 5, generator=generator, dtype=torch.float64)
    v = torch.linspace(-1, 1, 5, dtype=torch.float64)
    moved = {} if scheme is None else {"velocity": v}
    rate = CLOSED[scheme](
        dict.fromkeys(PAIRS, u), 2.0, d, left=dict.fromkeys(PAIRS, low),
        right=dict.fromkeys(PAIRS, high), **moved,
    )["fluxes"]  # fmt: skip
    assert torch.allclose(rate.sum(-1) * 2.0 / 300, low + high, rtol=0, atol=1e-11)
    ring = RING(u, 2.0, d, velocity=v)
    assert ring.sum(-1).abs().max() < 1e-9 and ring.abs().max() > 1.0


def sheet(u, heat, *c, plain=False):
    return (SHEET.plain if plain else SHEET)(
        u, (c[0] + 1, c[1] + 1), (c[2], c[3]), velocity=(c[4], -c[5]), left=c[6], right=c[7],
        bottom=c[8], top=c[9], k=c[10], heat=heat,
    )  # fmt: skip


def sheet_values(rows: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    u = torch.randn(rows, 20, generator=generator, dtype=torch.float64)
    heat = torch.randn(20, generator=generator, dtype=torch.float64)
    numbers = torch.rand(11, rows, generator=generator, dtype=torch.float64).unbind()
    return [x.clone().requires_grad_() for x in (u, heat, *numbers)]


@LOADS_FORWARD_MODE
def test_a_reacting_field_on_a_rectangle_is_gradcheck_clean():
    assert torch.autograd.gradcheck(sheet, sheet_values(2), check_forward_ad=True)
    wide = sheet_values(9)
    assert torch.allclose(sheet(*wide), sheet(*wide, plain=True), rtol=1e-12, atol=1e-12)


def line(scheme, u, length, d, v, low, high, *, plain=False):
    op = CLOSED[scheme].plain if plain else CLOSED[scheme]
    moved = {} if scheme is None else {"velocity": v}
    found = op(
        dict.fromkeys(PAIRS, u), length, d, left=dict.fromkeys(PAIRS, low),
        right=dict.fromkeys(PAIRS, high), **moved,
    )  # fmt: skip
    return torch.stack([found[name] for name in PAIRS])


@pytest.mark.parametrize("scheme", [None, "central", "upwind"])
def test_derivatives_by_field_length_and_numbers_are_right(scheme):
    generator = torch.Generator().manual_seed(3)
    u = torch.randn(3, 6, generator=generator, dtype=torch.float64)
    length, d, low, high = torch.rand(4, 3, generator=generator, dtype=torch.float64) + 0.5
    v = torch.tensor([0.7, -0.4, 0.2], dtype=torch.float64)
    given = [x.clone().requires_grad_() for x in (u, length, d, v, low, high)]
    assert torch.autograd.gradcheck(lambda *a: line(scheme, *a), given)
    a, b = line(scheme, *given), line(scheme, *given, plain=True)
    assert torch.allclose(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scheme", [None, "central", "upwind"])
def test_gradients_are_finite_where_nothing_moves(scheme):
    u = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    zero = [torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    length = torch.ones(1, dtype=torch.float64, requires_grad=True)
    value = line(scheme, u, length, *zero)
    gradients = torch.autograd.grad(value.sum(), (u, length, *zero), allow_unused=True)
    assert all(g is None or torch.isfinite(g).all() for g in gradients)


def test_a_nan_stays_in_its_row_and_reaches_its_neighbours():
    u = torch.ones(3, 40, dtype=torch.float64)
    u[1, 20] = torch.nan
    rate = RING(u, 1.0, 1.0, velocity=1.0)
    assert rate[1, 19:22].isnan().all() and rate.isnan().sum() == 3


def test_a_transport_can_be_sent_to_another_process():
    values = [x.detach() for x in sheet_values(2)]
    global SHEET
    mine, want = SHEET, sheet(*values)
    SHEET = pickle.loads(pickle.dumps(mine))
    try:
        assert torch.equal(sheet(*values), want)
    finally:
        SHEET = mine


def test_refusals_name_the_side_the_field_or_the_line():
    with pytest.raises(ArgumentError, match=r"left of 'u' is 'dirichlett'.*Did you mean"):
        transport("t", "u", left="dirichlett")
    with pytest.raises(ArgumentError, match=r"left and right are .*a periodic axis closes"):
        transport("t", "u", left="periodic")
    with pytest.raises(ArgumentError, match=r"advection='centrall'.*Did you mean 'central'"):
        transport("t", "u", advection="centrall")
    with pytest.raises(LoweringError, match=r"the reaction of transport 't'.*test_transport.py"):
        transport("t", "u", reaction=lambda u: torch.sort(u).values)
    with pytest.raises(ArgumentError, match=r"does not ask for \['heat'\]"):
        transport("t", "u", reaction=lambda u: -u, sources="heat")
    u = torch.ones(2, 5, dtype=torch.float64)
    with pytest.raises(ArgumentError, match="not given a velocity"):
        RING(u, 1.0, 1.0)
    with pytest.raises(ArgumentError, match="a number for left of 'u', which is periodic"):
        RING(u, 1.0, 1.0, velocity=1.0, left=2.0)
    with pytest.raises(ArgumentError, match="was not given left of 'values'"):
        CLOSED[None](dict.fromkeys(PAIRS, u), 1.0, 1.0)
    with pytest.raises(ArgumentError, match="was given a velocity and has advection=None"):
        CLOSED[None](dict.fromkeys(PAIRS, u), 1.0, 1.0, velocity=1.0)
    with pytest.raises(ArgumentError, match=r"not given \['fluxes'\] for fields"):
        CLOSED[None](dict.fromkeys(list(PAIRS)[:3], u), 1.0, 1.0)
    with pytest.raises(ArgumentError, match=r"was given -0.1 as diffusivity of 'u'.*0 or more"):
        RING(u, 1.0, -0.1, velocity=1.0)
    with pytest.raises(ArgumentError, match="was given 'fast' as velocity of 'u'"):
        RING(u, 1.0, 1.0, velocity="fast")
    with pytest.raises(ShapeError, match=r"velocity/width of 'u' \(3,\)"):
        RING(u, 1.0, 1.0, velocity=torch.ones(3, dtype=torch.float64))
    assert isinstance(tw.fields.transport("t", "u"), Transport)
