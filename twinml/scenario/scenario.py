"""The scenario itself: plain data, checked for sense when made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ScenarioError
from twinml.expression import Expression
from twinml.scenario.change import TimedChange, read_changes
from twinml.scenario.constraint import read_constraints
from twinml.scenario.correlation import CorrelatedSet, correlated_sets, read_correlation
from twinml.scenario.design import Design, find_design
from twinml.scenario.distribution import Calibrated, Tabled
from twinml.scenario.keys import check_keys
from twinml.scenario.profile import Profile, read_profiles
from twinml.scenario.profile_file import Rows, read_rows
from twinml.scenario.reading import (
    RESERVED,
    TAGS,
    Horizon,
    Varied,
    read_description,
    read_exceedance,
    read_except,
    read_horizon,
    read_quantities,
    read_tags,
    read_vary,
)
from twinml.scenario.rows import digest_file
from twinml.scenario.tilt import DEFENSIVE, check_tilt, read_defensive, read_tilt
from twinml.scenario.yaml_file import load_yaml

if TYPE_CHECKING:
    import numpy as np

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.check import BoundScenario

__all__ = ["RESERVED", "TAGS", "Horizon", "Scenario", "Varied"]

# Keys of the YAML file that are not needed in every one.
OPTIONAL = (
    "description", "tags", "vary", "correlation", "constraints", "profiles", "changes", "design",
    "except", "exceedance", "tilt", "defensive",
)  # fmt: skip


@final
@dataclass(frozen=True)
class Scenario:
    """What varies, what changes when, for how long, and which quantities come out.

    Args:
        horizon: ``Horizon`` or a mapping with start, stop and optionally unit.
        vary: Name to distribution: parameters, inputs, ``initial.<state>``, or free names used
            by changes and quantities. Values are mappings, numbers or ``Distribution``.
        quantities: Name to expression of a path, e.g. {"peak": "max(level)"}.
        changes: Entries with ``at`` (or ``from`` and ``until``) and ``set|multiply|add``.
        design: ``sobol halton random latin grid table``.
        except_: Fitted quantities fixed at their estimate (``except:`` in YAML).
        exceedance: Quantity to one or more thresholds whose exceedance the summary reports.
        description: What is asked, in words.
        tags: Among ``baseline stress failure optimisation rare``.
        correlation: Coefficients between normal scores of varied quantities, {a: {b: 0.6}}.
        constraints: Comparisons of varied names and parameters that every sample meets.
        profiles: Input to file, or ``Profile``: inputs over time, scaled, shifted and delayed.
        tilt: Name to shift of its samples, in s.d. of its normal score, for rare events; every
            sample then has a ``weight``, its likelihood ratio, as a column of its own.
        defensive: Share of samples that the tilt leaves alone; bounds the weights by its inverse.

    Raises:
        ScenarioError: A key, name or number that cannot be used.
        ExpressionError: An expression outside the language.
    """

    horizon: Horizon
    vary: Mapping[str, Varied] = field(default_factory=dict)
    quantities: Mapping[str, Expression] = field(default_factory=dict)
    changes: tuple[TimedChange, ...] = ()
    design: str = "sobol"
    except_: tuple[str, ...] = ()
    exceedance: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    description: str = ""
    tags: tuple[str, ...] = ()
    correlation: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    constraints: tuple[Expression, ...] = ()
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    tilt: Mapping[str, float] = field(default_factory=dict)
    defensive: float = DEFENSIVE

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("horizon", read_horizon(self.horizon))
        put("vary", read_vary(self.vary))
        put("quantities", read_quantities(self.quantities, self.vary))
        put("changes", read_changes(self.changes))
        put("design", find_design(self.design).name)
        put("except_", read_except(self.except_, self.vary))
        put("exceedance", read_exceedance(self.exceedance, self.quantities))
        put("description", read_description(self.description))
        put("tags", read_tags(self.tags))
        put("correlation", read_correlation(self.correlation, self.vary))
        put("constraints", read_constraints(self.constraints))
        put("profiles", read_profiles(self.profiles, self.vary))
        put("tilt", read_tilt(self.tilt, self.vary))
        put("defensive", read_defensive(self.defensive, self.tilt))
        check_tilt(self)
        tabled = [n for n, v in self.vary.items() if isinstance(v.distribution, Tabled)]
        if self.design == "table" and not tabled:
            raise ScenarioError(
                "design: table takes sample i from row i of a file, but no varied quantity is "
                "{distribution: table, path: ..., column: ...}. Add one, or use design: sobol."
            )
        self._check_constrained(tabled)

    @classmethod
    def from_yaml(cls, path: str | Path) -> Scenario:
        """Read a scenario file; ``1e-6`` is a number, a repeated key an error."""
        return cls.from_mapping(load_yaml(path), where=str(path))

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], where: str = "scenario") -> Scenario:
        """A scenario from plain data with the keys of the YAML file.

        Raises:
            ScenarioError: An unknown or missing key; names the nearest.
        """
        given = check_keys(data, ("horizon", "quantities"), OPTIONAL, where)
        if "except" in given:
            given["except_"] = given.pop("except")
        return cls(**{key: value for key, value in given.items() if value is not None})

    def to_mapping(self) -> dict[str, Any]:
        """Plain data from which ``from_mapping`` makes an equal scenario."""
        horizon: dict[str, Any] = {"start": self.horizon.start, "stop": self.horizon.stop}
        if self.horizon.unit is not None:
            horizon["unit"] = self.horizon.unit
        vary = {}
        for name, varied in self.vary.items():
            unit = {} if varied.unit is None else {"unit": varied.unit}
            vary[name] = {**varied.distribution.to_mapping(), **unit}
        return {
            "horizon": horizon,
            "vary": vary,
            "changes": [change.to_mapping() for change in self.changes],
            "quantities": {name: expr.text for name, expr in self.quantities.items()},
            "design": self.design,
            "except": list(self.except_),
            "exceedance": {name: list(levels) for name, levels in self.exceedance.items()},
            **self._added(),
        }

    def _added(self) -> dict[str, Any]:
        """Keys that stand only where they are used, so that older digests stay what they are."""
        added: dict[str, Any] = {
            "description": self.description,
            "tags": list(self.tags),
            "correlation": {name: dict(row) for name, row in self.correlation.items()},
            "constraints": [condition.text for condition in self.constraints],
            "profiles": {name: entry.to_mapping() for name, entry in self.profiles.items()},
        }
        if self.tilt:
            added |= {"tilt": dict(self.tilt), "defensive": self.defensive}
        return {key: value for key, value in added.items() if value or key == "defensive"}

    @cached_property
    def digest(self) -> str:
        """sha256 of what fixes a sample, files included; the order of ``vary`` counts.

        Description and tags are not among it: a better sentence must not part a sweep from its
        rows.
        """
        paths = {
            varied.distribution.path
            for varied in self.vary.values()
            if isinstance(varied.distribution, Tabled)
        }
        plain = self.to_mapping()
        plain.pop("description", None)
        plain.pop("tags", None)
        files = {path: digest_file(path) for path in sorted(paths)}
        for name, rows in self.profile_rows.items():
            files[f"profile {name}"] = rows.digest
        return hashlib.sha256(json.dumps([plain, files]).encode()).hexdigest()

    @cached_property
    def correlated(self) -> tuple[CorrelatedSet, ...]:
        """Sets of quantities that ``correlation`` ties together."""
        return correlated_sets(self.correlation, self.vary)

    @cached_property
    def profile_rows(self) -> dict[str, Rows]:
        """The files of the profiles, read once; they travel with the scenario to its workers.

        Raises:
            DataError, UnitError: A file cannot be used.
        """
        return {name: read_rows(entry, f"profile {name}") for name, entry in self.profiles.items()}

    @property
    def calibrated(self) -> tuple[str, ...]:
        """Names that ``vary`` draws from a calibration."""
        return tuple(n for n, v in self.vary.items() if isinstance(v.distribution, Calibrated))

    @property
    def rule(self) -> Design:
        """The design named by ``design``."""
        return find_design(self.design)

    def draw(
        self, posterior: Posterior | None, start: int, stop: int, n_total: int, seed: int
    ) -> dict[str, np.ndarray]:
        """Values of samples ``start`` to ``stop``, each (stop - start,), in the units written.

        The columns stand in the order of ``vary``; fitted quantities it does not name follow in
        the calibration's order. Coordinates of the design are given out in the same order, first
        to the quantities that are not calibrated, then to the calibrated ones in the
        calibration's order; columns of one table share one coordinate, fixed ones take none.
        A tilted scenario has ``weight`` before them, the likelihood ratio of each sample.

        Raises:
            ScenarioError: A calibrated quantity and no posterior that has it, or constraints on
                what only a model knows (``check`` gives what can draw then).
        """
        from twinml.scenario.draw import draw

        return draw(self, posterior, start, stop, n_total, seed)

    def check(
        self, model: Physics, posterior: Posterior | None = None, given: Iterable[str] = ()
    ) -> BoundScenario:
        """Check every name, bound and unit against a model.

        Args:
            given: Inputs that have a signal, so that they need neither default nor ``vary``.

        Raises:
            ScenarioError, ExpressionError, UnitError: What does not fit, with what would.
        """
        from twinml.scenario.check import bind

        return bind(self, model, posterior, given)

    def _check_constrained(self, tabled: list[str]) -> None:
        if not self.constraints:
            return
        if self.design == "grid":
            raise ScenarioError(
                "constraints and design: grid exclude each other: what a constraint rejects is "
                "drawn at random, and a grid would lose its levels. Use design: sobol, or leave "
                "rows out of the finished table."
            )
        used = [name for name in tabled if any(name in c.names for c in self.constraints)]
        if self.design == "table" and used:
            raise ScenarioError(
                f"constraints name '{used[0]}', which design: table takes from its file row by "
                "row, so that it cannot be drawn again. Leave those rows out of the file, or use "
                "design: sobol."
            )
