"""diffrax under vmap for adaptive steps; for fixed RK4 steps, which it lacks, jax by hand."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from problems import Problem, network_weights

from contestants.base import AbstractContestant, Run, Skipped, need


@final
class Diffrax(AbstractContestant):
    """diffeqsolve under vmap and jit, end state only."""

    name = "diffrax"

    def method(self, problem: Problem) -> str:
        return "kvaerno5" if problem.stiff else "tsit5"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        need("diffrax")
        if problem.steps:
            raise Skipped("no classical RK4; see jax")
        import diffrax
        import jax
        import jax.numpy as jnp

        def slope(t: Any, y: Any, p: Any) -> Any:
            return jnp.stack(problem.rhs(y, p, jnp))

        start = jnp.asarray(problem.start)
        controller = diffrax.PIDController(rtol=tolerance, atol=tolerance * problem.floor)
        solver = diffrax.Kvaerno5() if problem.stiff else diffrax.Tsit5()

        def one(p: Any) -> Any:
            done = diffrax.diffeqsolve(
                diffrax.ODETerm(slope), solver, 0.0, problem.end, None, start, p,
                saveat=diffrax.SaveAt(t1=True), stepsize_controller=controller, throw=False,
                max_steps=None, adjoint=diffrax.ForwardMode(),
            )  # fmt: skip
            return done.ys[0], done.stats["num_steps"]

        every = jax.jit(jax.vmap(one))
        p = jnp.asarray(problem.parameters(rows))

        def run() -> np.ndarray:
            ends, steps = jax.block_until_ready(every(p))
            self.counters = {"steps": float(steps.mean())}
            return np.asarray(ends).T

        return run


@final
class Jax(AbstractContestant):
    """RK4 by hand in a fori_loop over arrays (states, rows), under jit."""

    name = "jax"

    def method(self, problem: Problem) -> str:
        return "rk4"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        need("jax")
        if not problem.steps:
            raise Skipped("adaptive steps: see diffrax")
        import jax
        import jax.numpy as jnp

        given = (
            [jnp.asarray(value) for value in network_weights()]
            if problem.network
            else jnp.asarray(problem.parameters(rows))
        )
        start = jnp.asarray(problem.starts(rows))
        h = np.dtype(problem.dtype).type(problem.end / problem.steps)

        def slope(y: Any, p: Any) -> Any:
            found = problem.rhs(y, p, jnp)
            return found if problem.network else jnp.stack(found)

        @jax.jit
        def solve(y: Any, p: Any) -> Any:
            def step(_: Any, y: Any) -> Any:
                k1 = slope(y, p)
                k2 = slope(y + h / 2 * k1, p)
                k3 = slope(y + h / 2 * k2, p)
                k4 = slope(y + h * k3, p)
                return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

            return jax.lax.fori_loop(0, problem.steps, step, y)

        def run() -> np.ndarray:
            return np.asarray(jax.block_until_ready(solve(start, given)))

        return run
