"""The scenario itself: plain data, checked for sense when made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ScenarioError, nearest
from twinml.expression import Expression, Name, check_numbers, parse
from twinml.scenario.change import TimedChange, read_changes
from twinml.scenario.design import Design, find_design
from twinml.scenario.distribution import Calibrated, Distribution, Tabled, read_distribution
from twinml.scenario.keys import check_keys, check_number
from twinml.scenario.rows import digest_file
from twinml.scenario.tilt import DEFENSIVE, WEIGHT, check_design, read_defensive, read_tilt
from twinml.scenario.yaml_file import load_yaml

if TYPE_CHECKING:
    import numpy as np

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.check import BoundScenario

RESERVED = ("sample", "status", "t")  # columns of a sweep's table, and the time


@final
@dataclass(frozen=True)
class Horizon:
    """The time simulated, from ``start`` to ``stop`` in ``unit`` (None: the twin's time unit)."""

    start: float
    stop: float
    unit: str | None = None


@final
@dataclass(frozen=True)
class Varied:
    """A distribution and the unit its numbers are in (None: the unit declared by the twin)."""

    distribution: Distribution
    unit: str | None = None


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
    tilt: Mapping[str, float] = field(default_factory=dict)
    defensive: float = DEFENSIVE

    def __post_init__(self) -> None:
        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        put("horizon", _read_horizon(self.horizon))
        put("vary", _read_vary(self.vary))
        put("quantities", _read_quantities(self.quantities, self.vary))
        put("changes", read_changes(self.changes))
        put("design", find_design(self.design).name)
        put("except_", _read_names(self.except_, self.vary))
        put("exceedance", _read_exceedance(self.exceedance, self.quantities))
        put("tilt", read_tilt(self.tilt, self.vary))
        put("defensive", read_defensive(self.defensive, self.tilt))
        check_design(self.design, self.tilt)
        if self.tilt and WEIGHT in (*self.vary, *self.quantities):
            raise ScenarioError(
                f"The name '{WEIGHT}' is taken: the table of a tilted scenario has the likelihood "
                "ratio of each sample there. Choose another."
            )
        tabled = [n for n, v in self.vary.items() if isinstance(v.distribution, Tabled)]
        if self.design == "table" and not tabled:
            raise ScenarioError(
                "design: table takes sample i from row i of a file, but no varied quantity is "
                "{distribution: table, path: ..., column: ...}. Add one, or use design: sobol."
            )

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
        optional = ("vary", "changes", "design", "except", "exceedance", "tilt", "defensive")
        given = check_keys(data, ("horizon", "quantities"), optional, where)
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
        tilt = {"tilt": dict(self.tilt), "defensive": self.defensive} if self.tilt else {}
        return {
            "horizon": horizon,
            "vary": vary,
            "changes": [change.to_mapping() for change in self.changes],
            "quantities": {name: expr.text for name, expr in self.quantities.items()},
            "design": self.design,
            "except": list(self.except_),
            "exceedance": {name: list(levels) for name, levels in self.exceedance.items()},
            **tilt,
        }

    @cached_property
    def digest(self) -> str:
        """sha256 of the content and of the files it reads; the order of ``vary`` counts."""
        paths = {
            varied.distribution.path
            for varied in self.vary.values()
            if isinstance(varied.distribution, Tabled)
        }
        content = [self.to_mapping(), {path: digest_file(path) for path in sorted(paths)}]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

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
            ScenarioError: A calibrated quantity and no posterior that has it.
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


def _read_horizon(data: Any) -> Horizon:
    if isinstance(data, Horizon):
        data = {"start": data.start, "stop": data.stop, "unit": data.unit}
    given = check_keys(data, ("start", "stop"), ("unit",), "horizon")
    start = check_number(given["start"], "horizon: start")
    stop = check_number(given["stop"], "horizon: stop")
    if not start < stop:
        raise ScenarioError(f"horizon runs from {start:g} to {stop:g}; stop must follow start.")
    return Horizon(start, stop, _read_unit(given.get("unit"), "horizon"))


def _read_unit(unit: Any, where: str) -> str | None:
    if unit is not None and not isinstance(unit, str):
        raise ScenarioError(f"{where}: unit is {unit!r}; expected text such as 'day' or 'cm'.")
    return unit


def _read_vary(data: Any) -> dict[str, Varied]:
    if not isinstance(data, Mapping):
        raise ScenarioError(f"vary is {data!r}; expected names with distributions.")
    result = {}
    for name, entry in data.items():
        where = f"vary {name}"
        if parse(str(name), where=where) != Name(str(name)) or name in RESERVED:
            raise ScenarioError(
                f"{where}: '{name}' cannot be varied; expected a parameter, an input, "
                f"initial.<state> or a free name other than {', '.join(RESERVED)}."
            )
        if isinstance(entry, Varied):
            result[str(name)] = entry
            continue
        unit = None
        if isinstance(entry, Mapping) and "unit" in entry:
            unit = _read_unit(entry["unit"], where)
            entry = {key: value for key, value in entry.items() if key != "unit"}
        distribution = read_distribution(entry, where)
        if unit is not None and isinstance(distribution, Calibrated):
            raise ScenarioError(
                f"{where}: a calibrated quantity has its calibration's unit; leave 'unit' out."
            )
        result[str(name)] = Varied(distribution, unit)
    return result


def _read_quantities(data: Any, vary: Mapping[str, Varied]) -> dict[str, Expression]:
    if not isinstance(data, Mapping) or not data:
        raise ScenarioError(
            f"quantities is {data!r}; expected at least one name with an expression, e.g. "
            "{peak: max(level)}."
        )
    result = {}
    for name, source in data.items():
        if name in RESERVED or name in vary or not isinstance(name, str) or not name.strip():
            raise ScenarioError(
                f"The quantity name '{name}' is taken: sample, status and the varied names are "
                "columns of the same table. Choose another."
            )
        where = f"quantity {name}"
        result[name] = source if isinstance(source, Expression) else parse(source, where=where)
        check_numbers(result[name], where)
    return result


def _read_names(data: Any, vary: Mapping[str, Varied]) -> tuple[str, ...]:
    if not isinstance(data, list | tuple) or not all(isinstance(name, str) for name in data):
        raise ScenarioError(f"except is {data!r}; expected a list of fitted quantities.")
    for name in data:
        if name in vary:
            raise ScenarioError(
                f"except names '{name}', which vary also gives a distribution. Keep one of them."
            )
    return tuple(data)


def _read_exceedance(
    data: Any, quantities: Mapping[str, Expression]
) -> dict[str, tuple[float, ...]]:
    if not isinstance(data, Mapping):
        raise ScenarioError(f"exceedance is {data!r}; expected quantities with thresholds.")
    result = {}
    for name, levels in data.items():
        if name not in quantities:
            raise ScenarioError(
                f"exceedance names '{name}', which is not a quantity.{nearest(name, quantities)} "
                f"Known are {', '.join(quantities)}."
            )
        levels = levels if isinstance(levels, list | tuple) else [levels]
        result[name] = tuple(check_number(level, f"exceedance {name}") for level in levels)
    return result
