"""A scenario in plain language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinml.scenario.distribution import (
    Beta,
    Calibrated,
    Choice,
    Cut,
    Distribution,
    Fixed,
    Gamma,
    LogNormal,
    Normal,
    Tabled,
    Triangular,
    Truncated,
    Uniform,
)
from twinml.scenario.profile import Profile

if TYPE_CHECKING:
    from twinml.scenario.change import TimedChange
    from twinml.scenario.scenario import Scenario

_DESIGNS = {
    "sobol": "a scrambled Sobol sequence",
    "halton": "a scrambled Halton sequence",
    "random": "independent random numbers",
    "latin": "a Latin hypercube (its points depend on the number of samples)",
    "grid": "every combination of equally spaced levels",
    "table": "the rows of the table, in order",
}


def distribution_words(entry: Distribution, unit: str | None = None) -> str:
    """One clause, e.g. "even between 2 and 10 day"."""
    u = "" if unit in (None, "1") else f" {unit}"
    match entry:
        case Uniform(low, high):
            return f"even between {low:g} and {high:g}{u}"
        case Normal(mean, std):
            return f"normal about {mean:g}{u}, standard deviation {std:g}{u}"
        case LogNormal(median, sigma):
            return f"lognormal, median {median:g}{u}, standard deviation of the logarithm {sigma:g}"
        case Triangular(low, mode, high):
            return f"triangular from {low:g} to {high:g}{u}, most often {mode:g}{u}"
        case Beta(alpha, beta, low, high):
            return f"beta({alpha:g}, {beta:g}) between {low:g} and {high:g}{u}"
        case Gamma(shape, scale):
            return f"gamma, shape {shape:g}, mean {shape * scale:g}{u}"
        case Truncated():
            low, high = entry.support
            return (
                f"normal about {entry.mean:g}{u}, standard deviation {entry.std:g}{u}, cut to "
                f"[{low:g}, {high:g}]{u}"
            )
        case Cut(of):
            low, high = entry.support
            return f"{distribution_words(of, unit)}, cut to [{low:g}, {high:g}]{u}"
        case Choice(values, weights):
            shares = [1.0] * len(values) if weights is None else list(weights)
            parts = [
                f"{value:g} ({100 * share / sum(shares):.3g} %)"
                for value, share in zip(values, shares, strict=True)
            ]
            return f"one of {', '.join(parts)}{u}"
        case Fixed(value):
            return f"fixed at {value:g}{u}"
        case Calibrated():
            return "drawn from the calibration, jointly with all that is fitted"
        case Tabled(path, column):
            return f"column '{column}' of {path}, by whole rows{u}"
    return entry.kind


def change_words(change: TimedChange, clock: str) -> str:
    """One sentence about one timed change."""
    verb = {
        "set": f"is set to {change.value.text}",
        "multiply": f"is multiplied by {change.value.text}",
        "add": f"is raised by {change.value.text}",
    }[change.action]
    since = f"From {change.at.text} on"
    if change.until is not None:
        since = f"From {change.at.text} until {change.until.text}"
    return f"{since} ({clock}) {change.target} {verb}."


def profile_words(name: str, profile: Profile) -> str:
    """One sentence about one profile."""
    joined = "held from row to row" if profile.kind == "hold" else "joined from row to row"
    text = f"{name} runs as column '{profile.column}' of {profile.path}, {joined}"
    parts = [
        f"{word} {expression.text}"
        for word, expression, default in (
            ("times", profile.scale, "1"),
            ("plus", profile.shift, "0"),
            ("delayed by", profile.delay, "0"),
        )
        if expression.text not in (default, f"{default}.0")
    ]
    return f"{text}{''.join(', ' + part for part in parts)}."


def design_words(scenario: Scenario) -> str:
    """One sentence about where the samples lie."""
    nested = "; more samples keep the first ones" if scenario.rule.nested else ""
    return f"Samples are {_DESIGNS[scenario.design]}{nested}."
