"""Learn the correction through the gradient of ``tw.simulate``, by multiple shooting."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

import twinml as tw

# Fixed steps of one sample: an adaptive method would stop at every knot of the input anyway.
SOLVER = {"method": "rk4", "dt": 4.0}
FITTED = ("k2", "k3", "k4")


@dataclass(frozen=True)
class Settings:
    """How long and how hard to train."""

    window: int = 64  # samples per window; all windows of the record are rows of one batch
    iterations: int = 200
    every: int = 20  # iterations between two free runs over the record
    learning_rate: float = 0.02
    decay: float = 1e-3  # penalty on the squares of the weights, relative to 1 cm^2


@dataclass(frozen=True)
class Fitted:
    """The state of a model at its best free run over the held-out samples."""

    weights: dict[str, Tensor]
    parameters: dict[str, float]
    initial: dict[str, float]
    iteration: int


def free_run(
    model: tw.Physics, t: Tensor, u: Tensor, parameters: dict[str, float], initial: dict[str, float]
) -> tw.Solution:
    """The model on its own over the whole record: it sees the pump, never the sensor."""
    with torch.no_grad():
        return tw.simulate(
            model, t, parameters=parameters, initial=initial, inputs={"u": tw.Signal(t, u)},
            **SOLVER,
        )  # fmt: skip


def rmse(found: Tensor, measured: Tensor, part: Tensor) -> float:
    """Root mean square error over the samples that ``part`` (T,) marks; nan for a failed run."""
    return math.sqrt(float(((found - measured)[part] ** 2).mean()))


def windows(values: Tensor, length: int) -> Tensor:
    """Neighbouring windows that share their end points, (B, length + 1); the last rows repeat."""
    count = math.ceil((len(values) - 1) / length)
    padded = torch.cat([values, values[-1:].expand(count * length + 1 - len(values))])
    return padded.unfold(0, length + 1, length)


def train(
    model: tw.Physics, t: Tensor, u: Tensor, y: Tensor, fitting: Tensor, held_out: Tensor,
    parameters: dict[str, float], initial: dict[str, float], settings: Settings,
    say: Callable[[str], None],
) -> Fitted:  # fmt: skip
    """Train the weights, the physics' parameters and the states at which windows begin.

    Every window begins at states of its own, which are fitted too; a penalty that grows makes
    the end of each window meet the start of the next. Short windows keep the path of gradients
    short and give the batch many rows. What is kept is the best free run on the held-out part.

    Args:
        model: The hybrid; its weights are changed in place.
        t, u, y: Times, pump and level of the record, (T,).
        fitting, held_out: Samples that the loss sees, and those that choose the iteration, (T,).
        parameters, initial: Where the physics begins.
        settings: Lengths and rates.
        say: Called with a line of progress.
    """
    length = settings.window
    signal = tw.Signal(t[: length + 1], windows(u, length))
    goal, seen = windows(y, length), windows(fitting.to(y.dtype), length)
    goal, seen = goal[:, 1:], seen[:, 1:] / seen[:, 1:].sum()
    begin = free_run(model, t, u, parameters, initial)  # the physics: the correction is zero
    starts = {
        name: windows(begin[name][0], length)[:, 0].clone().requires_grad_()
        for name in ("h1", "h2")
    }
    logs = {n: torch.tensor(math.log(parameters[n])).double().requires_grad_() for n in FITTED}
    weights = list(model.parameters())
    rate = settings.learning_rate
    optimiser = torch.optim.Adam(
        [
            {"params": weights, "lr": rate},
            {"params": list(logs.values()), "lr": rate / 10},
            {"params": list(starts.values()), "lr": 2 * rate},
        ],
        betas=(0.9, 0.98),
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda i: 0.5 * (1 + math.cos(math.pi * i / settings.iterations))
    )
    best, chosen = math.inf, None
    for iteration in range(settings.iterations + 1):
        now = {**parameters, **{n: float(v.detach().exp()) for n, v in logs.items()}}
        if iteration % settings.every == 0:
            first = {name: float(value.detach()[0]) for name, value in starts.items()}
            level = free_run(model, t, u, now, first)["level"][0]
            score = rmse(level, y, held_out)
            say(f"{iteration:5d}  train {rmse(level, y, fitting):.3f}  validation {score:.3f}")
            if score < best:
                best = score
                chosen = Fitted(copy.deepcopy(model.state_dict()), now, first, iteration)
        if iteration == settings.iterations:
            break
        tied = {**parameters, **{n: v.exp() for n, v in logs.items()}}
        sol = tw.simulate(
            model, t[: length + 1], parameters=tied, initial=starts, inputs={"u": signal}, **SOLVER
        )
        good = sol.ok
        error = (((sol["level"][:, 1:] - goal) ** 2 * seen)[good]).sum()
        gaps = sum(((sol[n][:-1, -1] - starts[n][1:])[good[:-1]] ** 2).mean() for n in ("h1", "h2"))
        tight = 0.1 * 100 ** (iteration / settings.iterations)
        size = sum((w**2).sum() for w in weights if w.ndim == 2)
        optimiser.zero_grad()
        (error + tight * gaps + settings.decay * size).backward()
        optimiser.step()
        schedule.step()
    assert chosen is not None, "the physics itself fails over the record"
    model.load_state_dict(chosen.weights)
    return chosen
