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
from twinml.scenario.scenario import OPTIONAL

if TYPE_CHECKING:
    from twinml.physics import Physics

PLACES = (
    (re.compile(r"vary ([\w.]+)|^'([\w.]+)' comes from the calibration"), "vary"),
    (re.compile(r"change (\d+)"), "changes"),
    (re.compile(r"constraint (\d+)"), "constraints"),
    (re.compile(r"profile (\w+)"), "profiles"),
    (re.compile(r"correlation (?:of|names) '?([\w.]+)'?(?: and ([\w.]+))?"), "correlation"),
    (re.compile(r"[Qq]uantity (?:name )?'?(\w+)"), "quantities"),
    (re.compile(r"exceedance (?:names '|)(\w+)"), "exceedance"),
    (re.compile(r"the unknown key '(\w+)'"), ""),
    (re.compile(rf"(?:the )?(horizon|quantities|{'|'.join(OPTIONAL)})\b"), ""),
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
            own = {*scenario.vary, *scenario.profiles}
            scenario.check(model, None, [name for name in given if name not in own])

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
            follows = _follows(text, lost)
            again = key in found
            if not follows and not again:
                found[key] = Problem(key, text)
            if not key:
                break
            part = _part(data, key)
            lost |= set(re.findall(r"\w+", str(part)))
            if key[0] in ("vary", "profiles"):
                lost.add(key[-1].split(".")[-1])
            if not _put_aside(data, key, model, again or follows):
                break
    return list(found.values())


# What is said of the rest once a part has been put aside, with the name that was lost.
FOLLOWING = (
    re.compile(r"vary ([\w.]+): .* no change, profile, constraint or quantity uses it"),
    re.compile(r"correlation names '([\w.]+)'"),
    re.compile(r"'([\w.]+)' of \w+ has no default"),
)


def _follows(text: str, lost: set[str]) -> bool:
    """Whether a refusal is only about what was put aside before."""
    for pattern in FOLLOWING:
        if (match := pattern.search(text)) and match.group(1).split(".")[-1] in lost:
            return True
    if "holds nothing that varies" in text or "trial samples" in text:
        return bool(lost & set(re.findall(r"\w+", text)))
    return False


def _place(text: str, data: Mapping[str, Any]) -> Key:
    """The part of the scenario that a refusal is about; () when it names none."""
    for pattern, group in PLACES:
        match = pattern.search(text.split(";")[0])
        if match is None:
            continue
        name = next(word for word in match.groups() if word is not None)
        if group == "correlation":
            if key := _pair(data.get(group), [word for word in match.groups() if word]):
                return key
            continue
        if group in ("changes", "constraints"):
            return (group, str(int(name) - 1))
        if group and isinstance(data.get(group), Mapping) and name in data[group]:
            return (group, name)
        if not group:
            return (name,)
    return ()


def _pair(rows: Any, names: list[str]) -> Key:
    """The pair of quantities in question, or the row of one; () when neither is there."""
    if not isinstance(rows, Mapping):
        return ()
    for one, row in rows.items():
        for other in row if isinstance(row, Mapping) else ():
            if set(names) == {one, other} or names == [other]:
                return ("correlation", one, other)
    return ("correlation", names[0]) if names[0] in rows else ()


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
    if len(key) > 2:
        del data[key[0]][key[1]][key[2]]
        return True
    group, name = list(key)
    if group == "changes":
        targets = list(model.declared.parameters) if model is not None else ["x"]
        calm = {"at": 0, "multiply": {targets[0]: 1}} if targets else None
        if calm is None or data[group][int(name)] == calm:
            return False
        data[group][int(name)] = calm
        return True
    if group == "constraints":
        return _ease(data, int(name))
    if group == "profiles":
        del data[group][name]
        data.setdefault("vary", {})[name] = _typical(name, model) or 1.0
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


def _ease(data: dict[str, Any], place: int) -> bool:
    """A condition that every sample meets instead of one, so that the others keep their numbers."""
    spread = [n for n, v in data.get("vary", {}).items() if isinstance(v, Mapping)]
    easy = f"{spread[0]} < 1e300" if spread else None
    if easy is None or data["constraints"][place] == easy:
        return data.pop("constraints", None) is not None
    data["constraints"][place] = easy
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
