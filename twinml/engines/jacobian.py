"""Derivatives of a solution by what it was simulated with, for ``Solution.jacobian``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.choice import moved_with
from twinml.engines.derivatives import check_derivatives, order_of_derivatives
from twinml.engines.eager import EagerEngine
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.engines.seeds import NoSeedsError, seeds_along
from twinml.engines.tangent import observed_tangents
from twinml.errors import ArgumentError, nearest
from twinml.physics import Signal
from twinml.solve.change import Change
from twinml.solve.problem import LaneState, Problem
from twinml.solve.status import FAILURE

_INITIAL = "initial."


@final
@dataclass(frozen=True, eq=False)
class Derivatives:
    """A simulation that can be differentiated.

    Args:
        arguments: As for ``build_problem``.
        engine: What ran: "eager", or the engine of kernels whose derivatives are taken where they
            have some.
    """

    arguments: Mapping[str, Any]
    engine: str
    versions: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "versions", _versions(self.arguments))

    def __call__(self, of: Sequence[str], by: Sequence[str]) -> Tensor:
        """Derivatives (B, T, len(of), len(by)) along frozen steps; T = 1 for ends and quantities.

        Raises:
            ArgumentError: a name that is not known, or has no derivative.
        """
        if _versions(self.arguments) != self.versions:
            raise ArgumentError(
                "A tensor that this simulation was given has been changed in place since; jacobian "
                "simulates again, and would differentiate another run. Ask for it before, or give "
                "simulate a copy (tensor.clone())."
            )
        with torch.no_grad():
            problem = build_problem(**self.arguments)
            check_derivatives(problem, self.arguments["method"], derived=True)
            _check_of(problem, of)
            theta = _unknowns(problem, by)
            found, failed = self._by_kernel(problem, theta, of, by)
        if found is None:
            found, failed = self._by_torch(problem, theta, of, by)
        return torch.where(failed[:, None, None, None], 0.0, found)

    def _build(self, problem: Problem, theta: Tensor, by: Sequence[str]) -> Problem:
        """The problem at unknowns (k B, p): its rows k times over."""
        copies = theta.shape[0] // problem.rows
        given = dict(self.arguments)
        unknowns = {name: theta[:, place] for place, name in enumerate(by)}

        def many(value: Tensor) -> Tensor:
            shared = copies == 1 or value.shape[0] == 1
            return value if shared else value.repeat(copies, *[1] * (value.ndim - 1))

        given["t"] = problem.t if problem.t.ndim == 1 else many(problem.t)
        given["parameters"] = {
            name: unknowns.get(name, many(value)) for name, value in problem.parameters.items()
        }
        given["inputs"] = {
            name: unknowns.get(name, _many_signal(value, many))
            for name, value in problem.inputs.items()
        }
        given["constants"] = {name: many(value) for name, value in problem.constants.items()}
        given["changes"] = [
            replace(
                change,
                **{
                    part: many(value)
                    for part in ("at", "value", "until")
                    if isinstance(value := getattr(change, part), Tensor)
                },
            )
            for change in problem.changes
        ]
        slices = problem.model.declared.slices
        starts = {
            name.removeprefix(_INITIAL): value
            for name, value in unknowns.items()
            if name.startswith(_INITIAL)
        }
        start: LaneState | None = given["start"]
        if start is None:
            known = set(given["initial"] or {})
            given["initial"] = {
                name: many(problem.y0[part].movedim(0, -1)[..., 0])
                if problem.model.declared.states[name].size is None
                else many(problem.y0[part].movedim(0, -1))
                for name, part in slices.items()
                if name in known and name not in starts
            } | starts
            return build_problem(**given)
        y = many(start.y.expand(-1, problem.rows).T).T
        for name, value in starts.items():
            place = slices[name].start
            y = torch.cat([y[:place], value.to(y.dtype).unsqueeze(0), y[place + 1 :]])
        parts = {"t": many(start.t.expand(problem.rows)), "h": many(start.h.expand(problem.rows))}
        for name in ("side", "near"):
            value = getattr(start, name)
            if value is not None:
                parts[name] = many(value.expand(-1, problem.rows).T).T
        given["start"] = replace(start, y=y, **parts)
        return build_problem(**given)

    def _by_kernel(
        self, problem: Problem, theta: Tensor, of: Sequence[str], by: Sequence[str]
    ) -> tuple[Tensor | None, Tensor]:
        nothing = torch.zeros(problem.rows, dtype=torch.bool)
        if self.engine == "eager" or problem.keep == "quantities" or problem.path is not None:
            return None, nothing

        def build(point: Tensor) -> Problem:
            return self._build(problem, point, by)

        def observe(some: Problem, states: Tensor) -> Tensor:
            values = _values(some, states, of)
            return values.permute(1, 2, 0).reshape(-1, values.shape[0])

        try:
            seeds = seeds_along(build, theta)
        except NoSeedsError:
            return None, nothing
        result, _ = moved_with("auto", problem, self.arguments["method"], seeds)
        if result is None:
            return None, nothing
        outcome, tangents = result
        assert outcome.states is not None
        slopes = observed_tangents(build, observe, theta, outcome.states, tangents)
        points = outcome.states.shape[-1]
        # The samples after a failure are nan, and so are their derivatives.
        found = slopes.view(points, len(of), problem.rows, len(by)).movedim(2, 0)
        return found, (outcome.status & int(FAILURE)) != 0

    def _by_torch(
        self, problem: Problem, theta: Tensor, of: Sequence[str], by: Sequence[str]
    ) -> tuple[Tensor, Tensor]:
        """Two reverse passes along each unknown: the first is linear in its weights.

        The second derives the first, so a right-hand side that is derived once only, as by
        ``rhs_jvp``, has a reverse pass for each value instead.
        """
        with torch.enable_grad():
            point = theta.detach().clone().requires_grad_()
            moving = self._build(problem, point, by)
            outcome = EagerEngine().run(moving, self.arguments["method"], "frozen")
            values = _observed(moving, outcome, of)
            failed = (outcome.status & int(FAILURE)) != 0
            result = values.new_zeros((*values.shape, len(by)))
            if not values.requires_grad:
                return result, failed
            if order_of_derivatives(problem.model) == 1:
                return _by_values(values, point), failed
            weights = torch.zeros_like(values).requires_grad_()
            (pulled,) = torch.autograd.grad(
                values, point, weights, create_graph=True, allow_unused=True
            )
            if pulled is None or not pulled.requires_grad:
                return result, failed
            for place in range(len(by)):
                (along,) = torch.autograd.grad(
                    pulled[:, place].sum(), weights, retain_graph=True, allow_unused=True
                )
                if along is not None:
                    result[..., place] = along
        return result, failed


def _by_values(values: Tensor, point: Tensor) -> Tensor:
    """Derivatives (B, T, m, p) of values (B, T, m) by what stands in the same row of (B, p)."""
    _, times, count = values.shape
    result = values.new_zeros((*values.shape, point.shape[1]))
    for time in range(times):
        for place in range(count):
            (along,) = torch.autograd.grad(
                values[:, time, place].sum(), point, retain_graph=True, allow_unused=True
            )
            if along is not None:
                result[:, time, place] = along
    return result


def _many_signal(value: Signal | Tensor, many: Any) -> Signal | Tensor:
    if isinstance(value, Tensor):
        return many(value)
    return value if value.values.ndim == 1 else replace(value, values=many(value.values))


def _observed(problem: Problem, outcome: Outcome, of: Sequence[str]) -> Tensor:
    """Values (B, T, len(of)) of an outcome."""
    if problem.keep == "quantities":
        return torch.stack([outcome.quantities[name] for name in of], dim=-1).unsqueeze(1)
    assert outcome.states is not None
    failed = (outcome.status & int(FAILURE)) != 0
    return _values(problem, outcome.states, of, failed)


def _values(
    problem: Problem, states: Tensor, of: Sequence[str], failed: Tensor | None = None
) -> Tensor:
    """States and outputs by name, (B, T, len(of)), at saved states (n, B, T)."""
    declared = problem.model.declared
    known: dict[str, Tensor] = {}
    if any(name in declared.outputs for name in of):
        times = problem.t[..., -1:] if problem.keep == "final" else problem.t
        known = outputs_at(problem, states, times, failed)
    for name in of:
        if name not in known:
            known[name] = states[declared.slices[name]][0]
    return torch.stack([known[name] for name in of], dim=-1)


def _check_of(problem: Problem, of: Sequence[str]) -> None:
    states = problem.model.declared.states
    for name in of:
        if problem.keep != "quantities" and name in states and states[name].size is not None:
            raise ArgumentError(
                f"jacobian was asked for '{name}', a state of size {states[name].size}; it "
                "differentiates one number for each row and save point. Declare a tw.Output for "
                "the component that is meant."
            )


def _unknowns(problem: Problem, by: Sequence[str]) -> Tensor:
    """Values of what is differentiated by, (B, p)."""
    model, rows = problem.model, problem.rows
    declared = model.declared
    columns = []
    for name in by:
        state = name.removeprefix(_INITIAL)
        if name.startswith(_INITIAL) and state in declared.states:
            if declared.states[state].size is not None:
                raise ArgumentError(
                    f"jacobian was asked for the derivative by '{name}', which has "
                    f"{declared.states[state].size} components; it takes single numbers."
                )
            columns.append(problem.y0[declared.slices[state].start])
        elif name in declared.parameters:
            columns.append(problem.parameters[name])
        elif name in declared.inputs:
            value = problem.inputs[name]
            if isinstance(value, Signal):
                raise ArgumentError(
                    f"jacobian was asked for the derivative by input '{name}', which is a Signal "
                    "here, one value for each knot; it takes constant inputs. Scale the signal by "
                    "a parameter of the model, or differentiate by torch: values with "
                    "requires_grad."
                )
            columns.append(value)
        else:
            known = [*declared.parameters, *declared.inputs]
            known += [f"{_INITIAL}{s}" for s in declared.states]
            raise ArgumentError(
                f"jacobian was asked for the derivative by '{name}'; expected parameters, constant "
                f"inputs or initial values of {type(model).__name__}: {known}."
                + nearest(str(name), known)
            )
    return torch.stack([column.expand(rows) for column in columns], dim=1).to(problem.y0.dtype)


def _versions(value: Any) -> tuple[int, ...]:
    """How often each tensor among arguments has been written to."""
    if isinstance(value, Tensor):
        return () if value.is_inference() else (value._version,)
    if isinstance(value, Mapping):
        return tuple(v for part in value.values() for v in _versions(part))
    if isinstance(value, (list, tuple)):
        return tuple(v for part in value for v in _versions(part))
    if isinstance(value, Signal):
        return _versions((value.times, value.values))
    if isinstance(value, Change):
        return _versions((value.at, value.value, value.until))
    return ()
