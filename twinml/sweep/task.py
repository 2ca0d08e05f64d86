"""What a worker needs to compute any row of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario import BoundScenario, Scenario

# Rows drawn and simulated together (why: ``twinml.sweep.block``), by engine. Each call costs about
# 6 ms on top of its rows: measured on Lorenz with native kernels, 65,536 rows cost 0.7 us each less
# than 8,192. A GPU is filled by more, and torch keeps few in its caches.
BLOCKS = {"eager": 8192, "native": 1 << 16, "cuda": 1 << 18}
BLOCK = BLOCKS["eager"]
# A state of more components than these, such as the field of a grid, fills a block by fewer rows.
FEW_STATES, BLOCK_NUMBERS = 256, 1 << 18
# Rows of a kernel do not depend on each other, and torch's elementwise operations before it take
# whole vectors of at most this many rows: ranges cut at multiples of it give the same bits.
VECTOR = 64


def default_block(engine: str, states: int) -> int:
    """Rows of a block where none are asked for."""
    block = BLOCKS.get(engine, BLOCK)
    if states <= FEW_STATES:
        return block
    least = VECTOR if engine in KERNELS else 1
    return max(least, BLOCK_NUMBERS // states // least * least)


KERNELS = ("native", "cuda")


@final
@dataclass(frozen=True)
class SolverSettings:
    """How every row is integrated; part of what two equal sweeps share."""

    engine: str = "auto"
    method: str = "auto"
    rtol: float = 1e-6
    atol: float | Mapping[str, float] = 1e-9
    max_steps: int = 100_000
    dtype: str = "float64"
    dt: float | None = None
    max_step: float | None = None
    max_events: int = 100

    def __post_init__(self) -> None:
        if self.dtype not in ("float64", "float32"):
            raise ArgumentError(f"dtype is {self.dtype!r}; expected 'float64' or 'float32'.")

    def to_mapping(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


@final
@dataclass(frozen=True, eq=False)
class Task:
    """One sweep, complete: sample i of it is a pure function of this object and i.

    Args:
        inputs: Inputs given for the whole horizon, the same for all samples.
        block: Rows drawn together, and the most that are simulated together.
        kernel: Digest of the kernel that computes; "" where there is none or it is not known yet.
        rungs: Whether the table says in a column ``rung`` what gave a row; the first schema of
            sweeps had none, and one of these stays as it was begun.
    """

    model: Physics
    scenario: Scenario
    posterior: Posterior | None
    samples: int
    seed: int
    settings: SolverSettings = field(default_factory=SolverSettings)
    inputs: Mapping[str, Any] = field(default_factory=dict)
    block: int = BLOCK
    kernel: str = ""
    rungs: bool = True

    @property
    def unit(self) -> int:
        """Rows at whose multiples the sweep may be cut without computing any row twice."""
        whole = self.settings.engine in KERNELS and self.block % VECTOR == 0
        return VECTOR if whole else self.block

    @cached_property
    def bound(self) -> BoundScenario:
        """The scenario tied to the model.

        Raises:
            ScenarioError, ExpressionError, UnitError: It does not fit.
        """
        return self.scenario.check(self.model, self.posterior, given=tuple(self.inputs))

    @cached_property
    def drawn(self) -> dict[int, dict[str, np.ndarray]]:
        """The last block that was drawn, by its first sample: shards are often parts of one."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: v for name, v in vars(self).items() if name not in ("bound", "drawn")}
