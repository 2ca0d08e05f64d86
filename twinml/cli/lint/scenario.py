"""A scenario's file by itself and against a model.

``Scenario`` refuses the first thing that is wrong. Here the part that it names is noted and put
aside, and the rest is read again, until nothing is left to say.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twinml.cli.lint.place import Key, Problem
from twinml.errors import TwinmlError
from twinml.scenario import Scenario

if TYPE_CHECKING:
    from twinml.physics import Physics

PLACES = (
    (re.compile(r"vary ([\w.]+)|^'([\w.]+)' comes from the calibration"), "vary"),
    (re.compile(r"change (\d+)"), "changes"),
    (re.compile(r"[Qq]uantity (?:name )?'?(\w+)"), "quantities"),
    (re.compile(r"exceedance (?:names '|)(\w+)"), "exceedance"),
    (re.compile(r"the unknown key '(\w+)'"), ""),
    (re.compile(r"(?:the )?(horizon|design|except|vary|changes|quantities|exceedance)\b"), ""),
)
MOST = 50  # problems of one file; more would be the same mistake again
PROBE = "lint_probe"


def scenario_problems(
    values: Mapping[str, Any], model: Physics | None, given: tuple[str, ...] = ()
) -> list[Problem]:
    """Everything found; ``given`` are inputs that a record drives."""

    def attempt(data: dict[str, Any]) -> None:
        scenario = Scenario.from_mapping(data)
        if model is not None:
            scenario.check(model, None, [name for name in given if name not in scenario.vary])

    return _peeled(values, attempt, model)


def calibrated_problems(values: Mapping[str, Any], fitted: tuple[str, ...], twin: str) -> list[Any]:
    """Quantities said to be calibrated that the twin does not fit."""
    vary = values.get("vary")
    asked = [
        name
        for name, entry in (vary.items() if isinstance(vary, Mapping) else ())
        if isinstance(entry, Mapping) and entry.get("distribution") == "calibrated"
    ]
    return [
        Problem(
            ("vary", name),
            f"vary {name}: it is drawn from the calibration, but twin '{twin}' fits "
            f"{', '.join(fitted) or 'nothing'}. Fit it too, or give it a distribution.",
        )
        for name in asked
        if name not in fitted
    ]


def _peeled(
    values: Mapping[str, Any], attempt: Callable[[dict[str, Any]], None], model: Physics | None
) -> list[Problem]:
    data = copy.deepcopy(dict(values))
    found: dict[Key, Problem] = {}
    lost: set[str] = set()  # words of the parts put aside
    while len(found) < MOST:
        try:
            attempt(data)
            break
        except TwinmlError as error:
            text = str(error)
            key = _place(text, data)
            follows = "no change or quantity uses it" in text and len(key) > 1 and key[1] in lost
            again = key in found
            if not follows and not again:
                found[key] = Problem(key, text)
            if not key:
                break
            part = _part(data, key)
            lost |= set(re.findall(r"\w+", str(part)))
            if not _put_aside(data, key, model, again or follows):
                break
    return list(found.values())


def _place(text: str, data: Mapping[str, Any]) -> Key:
    """The part of the scenario that a refusal is about; () when it names none."""
    for pattern, group in PLACES:
        match = pattern.search(text.split(";")[0])
        if match is None:
            continue
        name = next(word for word in match.groups() if word is not None)
        if group == "changes":
            return (group, str(int(name) - 1))
        if group and isinstance(data.get(group), Mapping) and name in data[group]:
            return (group, name)
        if not group:
            return (name,)
    return ()


def _part(data: Mapping[str, Any], key: Key) -> Any:
    node: Any = data
    for name in key:
        node = node[int(name)] if isinstance(node, list) else (node or {}).get(name)
    return node


def _put_aside(data: dict[str, Any], key: Key, model: Physics | None, gone: bool) -> bool:
    """Makes one part harmless, or removes it; whether that could be done."""
    harmless: dict[str, Any] = {"horizon": {"start": 0, "stop": 1}, "quantities": {PROBE: "1"}}
    if len(key) == 1:
        if key[0] in harmless:
            if data.get(key[0]) == harmless[key[0]]:
                return False
            data[key[0]] = harmless[key[0]]
            return True
        return data.pop(key[0], None) is not None
    group, name = key
    if group == "changes":
        targets = list(model.declared.parameters) if model is not None else ["x"]
        calm = {"at": 0, "multiply": {targets[0]: 1}} if targets else None
        if calm is None or data[group][int(name)] == calm:
            return False
        data[group][int(name)] = calm
        return True
    value = _typical(name, model) if group == "vary" and not gone else None
    if value is not None:
        data[group][name] = value
    else:
        del data[group][name]
        if group == "quantities":
            data.get("exceedance", {}).pop(name, None)
            data[group].setdefault(PROBE, "1")
    return True


def _typical(name: str, model: Physics | None) -> float | None:
    """A value that a varied name may have, so that expressions with it can still be checked."""
    if model is None:
        return 1.0
    state = name.removeprefix("initial.")
    if name.startswith("initial.") and state in model.declared.states:
        return model.declared.states[state].initial
    if name in model.declared.parameters or name in model.declared.inputs:
        return model.default(name)
    return 1.0
