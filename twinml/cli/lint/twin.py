"""A twin's file against its schema, its class, its record and its calibration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.lint.keys import key_problems, without
from twinml.cli.lint.place import Problem, Source
from twinml.cli.schema import build
from twinml.cli.twin import NOT_SET, TwinKeys, build_model, build_record, load_posterior
from twinml.errors import TwinmlError, nearest
from twinml.units import conversion

if TYPE_CHECKING:
    from twinml.physics import Physics


def read_twin(source: Source) -> tuple[TwinKeys, list[Problem]]:
    """The twin as far as its keys are good, and what is wrong with the others."""
    values = {name: item for name, item in source.values.items() if name != "defaults"}
    wrong = list(key_problems(TwinKeys, values))
    good = without(values, [problem.key for problem in wrong])
    good.setdefault("name", source.path.stem)
    data = os.environ.get("TWINML_DATA")
    if data is not None:
        good = _replaced(good, NOT_SET, data)
    return build(TwinKeys, good), wrong


def bare_model(twin: TwinKeys) -> Physics:
    """The twin's model without its fixed values.

    Raises:
        TwinmlError: the class cannot be imported or built.
    """
    return build_model(build(TwinKeys, {"name": twin.name, "model": twin.model}))


def twin_problems(source: Source) -> tuple[list[Problem], str]:
    """Everything found, and what the file is."""
    twin, problems = read_twin(source)
    try:
        model = bare_model(twin)
    except TwinmlError as error:
        return [*problems, Problem(("model",), str(error))], "a twin"
    what = f"a twin of {type(model).__name__}"
    before = len(problems)
    problems += _values(twin, model)
    problems += _columns(twin, model)
    problems += _fitted(twin, model)
    if twin.calibration is not None:
        problems += _tried(("calibration",), lambda: load_posterior(twin, model, None))
    if twin.data is not None and twin.data.path is not None and len(problems) == before:
        if NOT_SET in str(twin.data.path):
            what += "; its record was not looked at, as TWINML_DATA is not set"
        else:
            problems += _tried(("data",), lambda: build_record(twin, model))
    return problems, what


def advice(source: Source) -> list[str]:
    """Terms of the equations whose units do not fit: nothing is refused for them.

    A sum in other units than the declared ones gives numbers that look like any other.
    """
    from twinml.physics import check_dimensions

    try:
        report = check_dimensions(bare_model(read_twin(source)[0]))
    except TwinmlError:
        return []  # a problem already, or simulate names it
    return [str(finding) for finding in report.findings]


def _values(twin: TwinKeys, model: Physics) -> Iterator[Problem]:
    for name, value in twin.parameters.items():
        yield from _tried(
            ("parameters", name), lambda n=name, v=value: model.set_defaults(**{n: v})
        )


def _columns(twin: TwinKeys, model: Physics) -> Iterator[Problem]:
    declared = model.declared
    for group, given, known in (
        ("outputs", twin.outputs, declared.outputs),
        ("inputs", twin.inputs, declared.inputs),
    ):
        for name, keys in given.items():
            if name not in known:
                yield _unknown((group, name), name, f"{group[:-1]}s", known, model)
            elif keys.unit is not None:
                unit, target = keys.unit, declared.unit(name)
                yield from _tried(
                    (group, name, "unit"),
                    lambda u=unit, t=target, n=name: conversion(u, t, f"'{n}'"),
                )
    for name, keys in twin.outputs.items():
        if keys.noise is not None and not keys.noise > 0:
            yield Problem(
                ("outputs", name, "noise"),
                f"outputs.{name}.noise={keys.noise:g} is no standard deviation; expected a "
                "positive number, or null to have it estimated.",
            )
    if twin.time.unit is not None:
        unit = twin.time.unit
        yield from _tried(
            ("time", "unit"), lambda: conversion(unit, model.time_unit, "the record's time")
        )


def _fitted(twin: TwinKeys, model: Physics) -> Iterator[Problem]:
    declared = model.declared
    for group, names, words, known in (
        ("fit", twin.calibrate.fit, "parameters", declared.parameters),
        ("fit_initial", twin.calibrate.fit_initial, "states", declared.states),
    ):
        for index, name in enumerate(names):
            if name not in known:
                yield _unknown(("calibrate", group, str(index)), name, words, known, model)


def _unknown(
    key: tuple[str, ...], name: str, words: str, known: Iterable[str], model: Physics
) -> Problem:
    listed = ", ".join(known) or "none"
    return Problem(
        key,
        f"'{name}' is not among the {words} of {type(model).__name__}.{nearest(name, known)} "
        f"Known are: {listed}.",
    )


def _tried(key: tuple[str, ...], work: Any) -> Iterator[Problem]:
    try:
        work()
    except TwinmlError as error:
        yield Problem(key, str(error))


def _replaced(node: Any, text: str, by: str) -> Any:
    if isinstance(node, dict):
        return {name: _replaced(value, text, by) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, text, by) for value in node]
    return node.replace(text, str(Path(by))) if isinstance(node, str) else node
