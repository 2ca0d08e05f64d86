"""Timed changes as written: when, what to do, to which parameter or input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from twinml.errors import ScenarioError
from twinml.expression import Expression, check_numbers, parse
from twinml.scenario.keys import check_keys
from twinml.solve.change import ACTIONS, Action


@final
@dataclass(frozen=True)
class TimedChange:
    """One action on one target, with expressions of varied names and parameters.

    Args:
        at: Time from which it holds, in the horizon's unit.
        action: ``set``, ``multiply`` or ``add``.
        target: A parameter or an input.
        value: In the target's unit (a bare factor for ``multiply``).
        until: Time at which it ends; None for never.
    """

    at: Expression
    action: Action
    target: str
    value: Expression
    until: Expression | None = None

    @property
    def times(self) -> tuple[Expression, ...]:
        """The expressions that are times."""
        return (self.at,) if self.until is None else (self.at, self.until)

    def to_mapping(self) -> dict[str, Any]:
        """The keys one would write in YAML."""
        timing = {"at": self.at.text}
        if self.until is not None:
            timing = {"from": self.at.text, "until": self.until.text}
        return {**timing, self.action: {self.target: self.value.text}}


def read_changes(data: Any) -> tuple[TimedChange, ...]:
    """Changes in the order written; an entry with several targets gives several.

    Raises:
        ScenarioError: An entry without a time or an action, or with an unknown key.
        ExpressionError: A time or value is outside the language.
    """
    if data is None:
        return ()
    if not isinstance(data, list | tuple):
        raise ScenarioError(
            f"changes is {data!r}; expected a list, e.g. [{{at: 5, multiply: {{rate: 0.5}}}}]."
        )
    changes: list[TimedChange] = []
    for number, entry in enumerate(data, start=1):
        if isinstance(entry, TimedChange):
            changes.append(entry)
        else:
            changes.extend(_read_entry(entry, f"change {number}"))
    return tuple(changes)


def _read_entry(entry: Any, where: str) -> list[TimedChange]:
    given = check_keys(entry, (), ("at", "from", "until", *ACTIONS), where)
    if ("at" in given) == ("from" in given):
        raise ScenarioError(
            f"{where} has {'both at and from' if 'at' in given else 'neither at nor from'}; "
            "write 'at: time' for good, or 'from: time, until: time' for a while."
        )
    if "at" in given and "until" in given:
        raise ScenarioError(f"{where} has at and until; write 'from: ..., until: ...'.")
    actions: list[Action] = [action for action in ACTIONS if action in given]
    if len(actions) != 1:
        raise ScenarioError(
            f"{where} has {len(actions)} actions; expected exactly one of {', '.join(ACTIONS)}, "
            "so that the order is plain. Write one entry for each."
        )
    targets = given[actions[0]]
    if not isinstance(targets, Mapping) or not targets:
        raise ScenarioError(
            f"{where}: {actions[0]} is {targets!r}; expected targets with values, e.g. "
            f"{{{actions[0]}: {{rate: 0.5}}}}."
        )

    def read(value: Any, what: str) -> Expression:
        place = f"{where}, {what}"
        expression = parse(value, where=place, allow_functionals=False)
        check_numbers(expression, place)
        return expression

    start = read(given.get("at", given.get("from")), "at" if "at" in given else "from")
    until = None if given.get("until") is None else read(given["until"], "until")
    return [
        TimedChange(start, actions[0], str(target), read(value, f"{actions[0]} {target}"), until)
        for target, value in targets.items()
    ]
