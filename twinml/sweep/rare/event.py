"""An event in words, and how far a sample is from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ScenarioError
from twinml.expression import Binary, Comparison, Expression, Functional, Name, parse

if TYPE_CHECKING:
    from twinml.scenario import Scenario

LIMIT_STATE = "limit_state"


@final
@dataclass(frozen=True)
class Event:
    """Something that happens in a sample or does not.

    Args:
        text: As written, e.g. "peak > 400".
        limit_state: Above zero where it happens, and the larger the nearer.
        inclusive: Whether zero belongs to it, as for ``>=`` and ``<=``.
        name: The limit state's among the quantities of ``scenario``.
        scenario: The scenario with the limit state as one more quantity.
    """

    text: str
    limit_state: Expression
    inclusive: bool
    name: str
    scenario: Scenario

    def values(self, quantities: Mapping[str, np.ndarray], failed: np.ndarray) -> np.ndarray:
        """The limit state of simulated rows, (N,): above zero exactly where the event is.

        nan where a row failed or the quantity is undefined.
        """
        values = quantities[self.name]
        if self.inclusive:  # the next number above: zero becomes positive, nothing else changes
            values = np.nextafter(values, np.inf)
        return np.where(failed, np.nan, values)


def read_event(source: str, scenario: Scenario) -> Event:
    """An event of a scenario: one comparison of quantities and expressions of the path.

    Args:
        source: E.g. "peak > 400", "max(level) - rim >= 0.2", "first_time(x > 3) <= 10". Names of
            the scenario's quantities stand for their expressions.

    Raises:
        ScenarioError: Not one comparison by <, <=, > or >=.
        ExpressionError: Text outside the language.
    """
    tree = parse(source, where="event")
    if not isinstance(tree, Comparison) or tree.operator not in ("<", "<=", ">", ">="):
        raise ScenarioError(
            f"event is '{source}'; expected one comparison by <, <=, > or >=, whose two sides say "
            f"how far a sample is from it, e.g. '{next(iter(scenario.quantities))} > 1'."
        )
    left, right = (_spelt_out(side, scenario.quantities) for side in (tree.left, tree.right))
    if tree.operator in ("<", "<="):
        left, right = right, left
    limit_state = Binary("-", left, right)
    name = LIMIT_STATE
    while name in scenario.quantities or name in scenario.vary:
        name += "_"
    quantities = {**scenario.quantities, name: limit_state}
    return Event(
        tree.text,
        limit_state,
        tree.operator in ("<=", ">="),
        name,
        replace(scenario, quantities=quantities),
    )


def _spelt_out(expression: Expression, quantities: Mapping[str, Expression]) -> Expression:
    """The expression with the names of quantities replaced by what they are.

    Not inside functionals, where a name is of the path: ``max(level)`` is of the output.
    """
    if isinstance(expression, Name):
        return quantities.get(expression.name, expression)
    if isinstance(expression, Functional):
        return expression
    node: Any = expression
    changed: dict[str, Any] = {}
    for key, value in vars(node).items():
        if isinstance(value, Expression):
            changed[key] = _spelt_out(value, quantities)
        elif key == "arguments":
            changed[key] = tuple(_spelt_out(item, quantities) for item in value)
    return replace(node, **changed) if changed else expression
