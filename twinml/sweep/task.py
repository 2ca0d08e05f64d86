"""What a worker needs to compute any row of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ArgumentError

if TYPE_CHECKING:
    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario import BoundScenario, Scenario

# Rows simulated together (why: ``twinml.sweep.block``). Measured on the outbreak, 16,384 rows
# cost 20 % less time per row and 4,096 rows 40 % more.
BLOCK = 8192
# A state of more components than these, such as the field of a grid, fills a block by fewer rows.
FEW_STATES, BLOCK_NUMBERS = 256, 1 << 18


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
        block: Rows simulated together.
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

    @cached_property
    def bound(self) -> BoundScenario:
        """The scenario tied to the model.

        Raises:
            ScenarioError, ExpressionError, UnitError: It does not fit.
        """
        return self.scenario.check(self.model, self.posterior, given=tuple(self.inputs))

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "bound"}
