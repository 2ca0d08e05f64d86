"""``twinml show`` of a scenario: what it says in words, what it draws, what it costs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.console import Console
from twinml.cli.search import SearchPath
from twinml.errors import ConfigError, TwinmlError
from twinml.scenario import Scenario
from twinml.scenario.words import change_words, design_words, distribution_words, profile_words

if TYPE_CHECKING:
    from twinml.cli.twin import TwinKeys
    from twinml.physics import Physics
    from twinml.scenario import BoundScenario

DRAWN = 4096


@dataclass(frozen=True)
class Asked:
    """What the command line asks about a scenario beside its path."""

    twin: str | None = None
    samples: int = 1024
    out: str | None = None


def show_scenario(path: Path, asked: Asked, console: Console) -> None:
    """Prints the scenario, and with a twin what it draws and costs.

    Raises:
        ScenarioError, ExpressionError: The file is no scenario that could run.
        ConfigError: ``out`` is no PNG, or no twin fits that could draw it.
    """
    scenario = Scenario.from_yaml(path)
    _check_asked(asked)
    found, why = _fitting(path, scenario, asked)
    print(f"scenario {path}{_tags(scenario)}")
    if scenario.description:
        print(f"  {scenario.description}")
    _print_words(scenario, found[2] if found else None, console)
    if found is None:
        print(why)
        if asked.out is not None:
            raise ConfigError(f"--out {asked.out}: {why}")
        return
    name, twin, bound = found
    for factor, accepted in bound.acceptance.items():
        listed = " and ".join(condition.text for condition in factor.conditions)
        print(
            f"Of the trial samples {accepted:.1%} meet {listed}: "
            f"{1 / accepted:.3g} drawn for each that is kept."
        )
    _print_drawn(bound, asked, console)
    _print_cost(name, twin, bound, asked)
    if asked.out is not None:
        from twinml.report.scenario import draw_scenario

        values = bound.draw(0, _count(bound, DRAWN), _count(bound, DRAWN), 0)
        print(f"figure {draw_scenario(bound, values, Path(asked.out), f'{path.stem} on {name}')}")


def _check_asked(asked: Asked) -> None:
    if asked.samples < 1:
        raise ConfigError(f"--samples {asked.samples} cannot be used: expected at least 1.")
    if asked.out is not None:
        out = Path(asked.out)
        if out.suffix != ".png":
            raise ConfigError(f"--out {asked.out}: expected the name of a .png file.")
        if not out.parent.is_dir():
            raise ConfigError(f"--out {asked.out}: there is no folder {out.parent}. Make it first.")


def _tags(scenario: Scenario) -> str:
    return f" [{', '.join(scenario.tags)}]" if scenario.tags else ""


def _print_words(scenario: Scenario, bound: BoundScenario | None, console: Console) -> None:
    horizon = scenario.horizon
    clock = horizon.unit or (bound.model.time_unit if bound else "the twin's unit of time")
    print(f"It runs from {horizon.start:g} to {horizon.stop:g} {clock}.")
    units = {} if bound is None else bound.units
    rows = []
    for name, varied in scenario.vary.items():
        unit = varied.unit or units.get(name)
        rows.append([name, distribution_words(varied.distribution, unit)])
    for factor in bound.factors if bound else ():
        if factor.calibrated:
            extra = [name for name in factor.names if name not in scenario.vary]
            rows += [[name, "drawn from the calibration, as it fitted it"] for name in extra]
    if rows:
        console.table(("what varies", "how"), rows)
    for one, row in scenario.correlation.items():
        for other, rho in row.items():
            print(f"{one} and {other} go together: correlation {rho:g} of their normal scores.")
    for condition in scenario.constraints:
        print(f"Only samples with {condition.text} are kept; others are drawn again.")
    for name, profile in scenario.profiles.items():
        print(profile_words(name, profile))
    for change in scenario.changes:
        print(change_words(change, clock))
    console.table(
        ("what comes out", "as"),
        [[name, expression.text] for name, expression in scenario.quantities.items()],
    )
    for name, levels in scenario.exceedance.items():
        listed = " and ".join(f"{level:g}" for level in levels)
        print(f"The summary gives the probability that {name} exceeds {listed}.")
    print(design_words(scenario))


def _fitting(
    path: Path, scenario: Scenario, asked: Asked
) -> tuple[tuple[str, TwinKeys, BoundScenario] | None, str]:
    """The twin to draw it for: the one named, else the only one that it fits."""
    from twinml.cli.twin import load_posterior

    search = SearchPath.of(None)
    names = [asked.twin] if asked.twin else list(search.options("twin"))
    found, problem = [], ""
    for name in names:
        try:
            twin, model = _twin(search, name)
            posterior, _ = load_posterior(twin, model, None)
            own = {*scenario.vary, *scenario.profiles}
            bound = scenario.check(model, posterior, [n for n in twin.inputs if n not in own])
            found.append((name, twin, bound))
        except TwinmlError as error:
            if asked.twin:
                raise
            problem = str(error)
    if len(found) == 1:
        return found[0], ""
    if found:
        listed = ", ".join(name for name, _, _ in found)
        return None, f"It fits {listed}; name the twin that is meant with --twin."
    return None, (
        f"It fits none of the {len(names)} twins found; 'twinml lint {path} --twin <name>' says "
        f"why.{'' if len(names) != 1 else ' ' + problem}"
    )


def _twin(search: SearchPath, name: str) -> tuple[TwinKeys, Physics]:
    from twinml.cli.lint.place import Source
    from twinml.cli.lint.twin import read_twin
    from twinml.cli.twin import build_model

    twin = read_twin(Source.read(search.find("twin", name)))[0]
    return twin, build_model(twin)


def _count(bound: BoundScenario, wanted: int) -> int:
    """The nearest number of samples that the design can give."""
    scenario = bound.scenario
    if scenario.design == "grid":
        dimensions = sum(len(factor.dimensions) for factor in bound.factors)
        return max(1, int(wanted ** (1 / max(1, dimensions)))) ** max(1, dimensions)
    if scenario.design == "table":
        from twinml.scenario.distribution import Tabled

        lengths = [
            len(v.distribution.values)
            for v in scenario.vary.values()
            if isinstance(v.distribution, Tabled)
        ]
        return min(wanted, *lengths)
    return wanted


def _print_drawn(bound: BoundScenario, asked: Asked, console: Console) -> None:
    import numpy as np

    count = _count(bound, DRAWN)
    values = bound.draw(0, count, count, 0)
    rows: list[list[Any]] = []
    for name, column in values.items():
        q = np.quantile(column, [0.05, 0.5, 0.95])
        rows.append([name, bound.units[name], *(float(x) for x in q), float(column.mean())])
    if rows:
        print(f"{count:,} samples of it on {type(bound.model).__name__}:")
        console.table(("quantity", "unit", "5 %", "median", "95 %", "mean"), rows)


def _print_cost(name: str, twin: TwinKeys, bound: BoundScenario, asked: Asked) -> None:
    """The plan of a sweep, from a pilot of a few rows; nothing is written."""
    from twinml.cli.twin import build_record, noise_step
    from twinml.sweep import sweep

    scenario = bound.scenario
    count = _count(bound, asked.samples)
    columns = len(bound.columns) + len(bound.quantities)
    print(f"A row of the table takes {8 * columns} bytes ({columns} numbers).")
    own = {*scenario.vary, *scenario.profiles}
    inputs: dict[str, Any] = {}
    try:
        if set(twin.inputs) - own:
            record = build_record(twin, bound.model).inputs(bound.model)
            inputs = {n: signal for n, signal in record.items() if n not in own}
        with tempfile.TemporaryDirectory() as folder:
            planned = sweep(
                bound.model, scenario, count, out=Path(folder) / "plan", dry_run=True,
                calibration=bound.posterior, inputs=inputs, dt=noise_step(twin, bound.model, None),
            )  # fmt: skip
    except TwinmlError as error:
        print(f"What it would cost on twin '{name}' is not known: {error}")
        return
    if planned.plan is not None:
        print(f"twinml sweep twin={name} samples={count:,}: {planned.plan.text}.")
