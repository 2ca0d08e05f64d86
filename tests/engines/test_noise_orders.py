"""How fast euler_maruyama converges, what its stationary moments are, and its gradients.

Seeds are fixed, so every band here is met or missed for good; each is four standard errors of
the estimate wide, plus what the next order of the step may add where a slope is measured.
"""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import twinml as tw
from tests.engines.noisy import Growth, Relaxation, Wiener
from twinml.engines.linearise import linearise
from twinml.engines.normalise import build_problem
from twinml.library import BrownianParticle, GeneExpression

pytestmark = pytest.mark.usefixtures("engine")

COUNTS = (16, 32, 64, 128)


def slope(
    errors: list[float], spreads: list[float], counts: tuple[int, ...] = COUNTS
) -> tuple[float, float]:
    """Slope of log error over log step, and its standard error."""
    x = -torch.log(torch.tensor(counts, dtype=torch.float64))
    y = torch.log(torch.tensor(errors, dtype=torch.float64).abs())
    relative = torch.tensor(spreads) / torch.tensor(errors, dtype=torch.float64).abs()
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    return float((weights * y).sum()), float(torch.sqrt(((weights * relative) ** 2).sum()))


def exact_growth(count: int, rows: int, mu: float, sigma: float) -> tuple[Tensor, Tensor]:
    """Ends at t = 1 by the method and by the solution on the same Brownian path."""
    options = {"dt": 1.0 / count, "ids": torch.arange(rows), "keep": "final"}
    method = tw.simulate(Growth(), [0.0, 1.0], parameters={"mu": mu, "sigma": sigma}, **options)
    w = tw.simulate(Wiener(), [0.0, 1.0], **options)["w"]
    return method["x"], torch.exp((mu - 0.5 * sigma**2) + sigma * w)


@pytest.mark.parametrize("power", [1, 2])
def test_moments_of_growth_converge_at_weak_order_one(power):
    mu, sigma = 1.0, 0.5
    errors, spreads = [], []
    for count in COUNTS:
        method, exact = exact_growth(count, 20_000, mu, sigma)
        gap = method**power - exact**power  # its mean is the weak error, with far less spread
        errors.append(float(gap.mean()))
        spreads.append(float(gap.std()) / 20_000**0.5)
    found, spread = slope(errors, spreads)
    assert abs(found - 1.0) < 4 * spread + 0.05
    assert 4 * spread < 0.1  # the band says something


@pytest.mark.parametrize("power", [1, 2])
def test_moments_of_relaxation_converge_at_weak_order_one(power):
    mean, variance = 5.0 * math.exp(-2.0), 0.25 * (1.0 - math.exp(-4.0)) / 4.0
    exact = mean if power == 1 else mean**2 + variance
    errors, spreads = [], []
    counts = (8, 16, 32, 64)  # the shortest steps with an error well above its spread
    for count in counts:
        options = {"dt": 1.0 / count, "ids": torch.arange(20_000), "keep": "final"}
        value = tw.simulate(Relaxation(), [0.0, 1.0], **options)["x"] ** power
        errors.append(float(value.mean()) - exact)
        spreads.append(float(value.std()) / 20_000**0.5)
    found, spread = slope(errors, spreads, counts)
    assert abs(found - 1.0) < 4 * spread + 0.1
    assert 4 * spread < 0.2


def test_paths_of_growth_converge_at_strong_order_one_half():
    errors = []
    for count in COUNTS:
        method, exact = exact_growth(count, 4000, 0.5, 0.5)
        errors.append(float(((method - exact) ** 2).mean().sqrt()))
    found, _ = slope(errors, [0.0] * len(COUNTS))
    assert found == pytest.approx(0.5, abs=0.05)


def stationary(model: tw.Physics, mean: list[float], dt: float) -> Tensor:
    """Covariance to which euler_maruyama on a linear model settles: P = A P A' + h D."""
    names = list(model.declared.states)
    values = {
        name: torch.tensor([model.default(name)], dtype=torch.float64)
        for name in (*model.declared.parameters, *model.declared.inputs)
    }

    def equation(which: str, state: Tensor) -> Tensor:
        given = {**values, **{n: state[i : i + 1] for i, n in enumerate(names)}}
        result = model.forward(which, given)
        return torch.cat([torch.as_tensor(result.get(n, torch.zeros(1))).reshape(1) for n in names])

    point = torch.tensor(mean, dtype=torch.float64)
    jacobian = torch.func.jacrev(lambda y: equation("rhs", y))(point)
    noise = torch.diag(equation("noise", point).to(torch.float64) ** 2)
    step = torch.eye(len(names), dtype=torch.float64) + dt * jacobian
    size = len(names) ** 2
    system = torch.eye(size, dtype=torch.float64) - torch.kron(step, step)
    return torch.linalg.solve(system, (dt * noise).reshape(-1)).view(len(names), -1)


def check_moments(sol: tw.Solution, names: tuple[str, str], mean: list[float], wanted: Tensor):
    found = torch.stack([sol[name] for name in names])
    rows = found.shape[1]
    spread = (torch.diag(wanted) / rows).sqrt()
    assert bool(((found.mean(1) - torch.tensor(mean)).abs() < 4 * spread).all())
    covariance = torch.cov(found)
    diagonal = torch.diag(wanted)
    band = ((wanted**2 + diagonal[:, None] * diagonal) / rows).sqrt()
    # a tail heavier than a normal's widens the spread of a variance
    assert bool(((covariance - wanted).abs() < 5 * band).all())


def test_a_brownian_particle_shares_its_energy_equally():
    model = BrownianParticle()
    sol = tw.simulate(model, [0.0, 600.0], dt=1.0, ids=torch.arange(4000), keep="final")
    wanted = stationary(model, [0.0, 0.0], 1.0)
    check_moments(sol, ("x", "v"), [0.0, 0.0], wanted)
    energy = 1.380649e-8 * 297.0
    mass = 4.0 / 3.0 * math.pi * 1.5**3 * 1.96
    for dt in (1.0, 0.1):  # equipartition, up to the order of the method
        found = stationary(model, [0.0, 0.0], dt)
        assert float(found[0, 0]) == pytest.approx(energy / 0.01, rel=0.03 * dt)
        assert float(found[1, 1]) == pytest.approx(energy / mass, rel=0.03 * dt)


def test_gene_expression_has_the_moments_of_its_reactions():
    model = GeneExpression()
    declared = model.declared.parameters
    k_m, k_p, g_m, g_p = (
        float(declared[name].default or 0.0)
        for name in ("transcription", "translation", "mrna_decay", "protein_decay")
    )
    mean = [k_m / g_m, k_m * k_p / (g_m * g_p)]
    start = {"mrna": mean[0], "protein": mean[1]}
    sol = tw.simulate(
        model, [0.0, 250.0], initial=start, dt=0.2, ids=torch.arange(4000), keep="final"
    )
    wanted = stationary(model, mean, 0.2)
    check_moments(sol, ("mrna", "protein"), mean, wanted)
    for dt in (0.2, 0.02):
        found = stationary(model, mean, dt)
        assert float(found[0, 0]) == pytest.approx(mean[0], rel=0.2 * dt)
        fano = 1.0 + k_p / (g_m + g_p)
        assert float(found[1, 1]) == pytest.approx(mean[1] * fano, rel=0.2 * dt)


def losses(theta: Tensor, keep) -> Tensor:
    """Something of everything that can carry a gradient, with the noise fixed."""
    k, sigma, start, jump = theta
    sol = tw.simulate(
        Relaxation(), [0.0, 0.33, 1.0], parameters={"k": k, "sigma": sigma},
        initial={"x": start}, dt=0.05, ids=[7, 8], seed=3, keep=keep,
        changes=[tw.Change(0.4321, "set", "u", jump)],
    )  # fmt: skip
    return torch.stack([(sol[name] ** 2).sum() for name in sol.names]).sum()


@pytest.mark.parametrize(
    "keep", ["all", "final", {"top": "max(x)", "area": "integral(x)", "low": "min(x)"}], ids=str
)
def test_gradients_are_those_of_the_map_with_its_noise_fixed(keep):
    theta = torch.tensor([1.3, 0.6, 2.0, 0.8], dtype=torch.float64)
    point = theta.clone().requires_grad_()
    (found,) = torch.autograd.grad(losses(point, keep), point)
    for i in range(4):
        step = 1e-6 * torch.eye(4, dtype=torch.float64)[i]
        central = (losses(theta + step, keep) - losses(theta - step, keep)) / 2e-6
        assert float(found[i]) == pytest.approx(float(central), rel=1e-7, abs=1e-8)


def test_multiplicative_noise_and_its_linearisation():
    t = [0.0, 0.5, 0.77, 1.0]

    def build(theta: Tensor):
        return build_problem(
            Growth(),
            t,
            {"mu": theta[:, 0], "sigma": theta[:, 1]},
            {"x": theta[:, 2]},
            dt=0.1,
            seed=4,
        )

    theta = torch.tensor([[0.5, 0.4, 1.0], [0.2, 0.7, 2.0]], dtype=torch.float64)
    observe = lambda problem, states: states[0].T  # noqa: E731
    _, values, jacobian = linearise(build, observe, theta, "auto")
    for i in range(3):
        step = 1e-6 * torch.eye(3, dtype=torch.float64)[i]
        up, down = (linearise(build, observe, theta + s * step, "auto")[1] for s in (1, -1))
        assert torch.allclose(jacobian[..., i], (up - down) / 2e-6, rtol=1e-7, atol=1e-8)
    point = theta.clone().requires_grad_()
    sol = tw.simulate(
        Growth(), t, {"mu": point[:, 0], "sigma": point[:, 1]}, {"x": point[:, 2]}, dt=0.1, seed=4
    )
    (whole,) = torch.autograd.grad(sol["x"][:, -1].sum(), point)
    assert torch.equal(sol["x"].T, values)
    assert torch.allclose(whole, jacobian[-1], rtol=1e-12, atol=1e-14)
