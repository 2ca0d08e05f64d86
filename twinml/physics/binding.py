"""What a ``Physics`` class declares, and what its equations ask for, found when it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from torch import nn

from twinml.errors import DeclarationError, nearest
from twinml.physics.declarations import (
    Declaration,
    Declarations,
    Input,
    Output,
    Parameter,
    State,
)
from twinml.physics.event import Event
from twinml.physics.event import collect as collect_events

D = TypeVar("D", bound=Declaration)

_EQUATIONS = ("rhs", "outputs", "initial")
# An equation too, but a name that a parameter may have in a model without noise.
NOISE = "noise"
# Names that instances of torch modules use, such as "training", and the equations.
_TAKEN = frozenset((*vars(nn.Module()), *_EQUATIONS))


def collect(cls: type, base: type) -> Declarations:
    """What a class and its bases declare, the most basic first.

    Args:
        cls: The class that is made.
        base: ``Physics``, whose attributes no declaration may hide.

    Raises:
        DeclarationError: a name that is taken, or a declaration that contradicts itself.
    """
    found: dict[str, Declaration] = {}
    for parent in reversed(cls.__mro__):
        for name, value in vars(parent).items():
            if isinstance(value, (State, Parameter, Input, Output)):
                found.pop(name, None)
                found[name] = value
            elif name in found:
                if isinstance(value, Event):
                    raise DeclarationError(
                        f"{cls.__name__}.{name} is an event, and a base declares "
                        f"{type(found[name]).__name__} '{name}'. Give the event another name."
                    )
                del found[name]
    events = collect_events(cls.__name__, [vars(parent) for parent in reversed(cls.__mro__)])
    for name in events:
        _check_free(cls, base, name)
    for name, value in found.items():
        _check_free(cls, base, name)
        value.check(name)

    def of(kind: type[D]) -> dict[str, D]:
        return {name: value for name, value in found.items() if isinstance(value, kind)}

    return Declarations(of(State), of(Parameter), of(Input), of(Output), events)


def _check_free(cls: type, base: type, name: str) -> None:
    if name == "t" or name.startswith("_") or hasattr(base, name) or name in _TAKEN:
        raise DeclarationError(
            f"{cls.__name__} declares '{name}', a name that is already taken by time or by "
            "torch modules. Choose another name."
        )


def bind(cls: Any, base: Any) -> dict[str, tuple[str, ...]]:
    """Equation -> the names it asks for, checked against what the class declares.

    Raises:
        DeclarationError: an equation missing, without what it needs, or with an unknown argument.
    """
    declared = cls.declared
    bound: dict[str, tuple[str, ...]] = {}
    bare = cls.rhs is base.rhs
    if bare and not (declared.states and cls._rhs_is_elsewhere):
        if declared.states:
            raise DeclarationError(
                f"{cls.__name__} declares states {list(declared.states)} but has no rhs. Write "
                "rhs(self, ...) returning the time derivative of each."
            )
        return bound
    if not declared.states:
        raise DeclarationError(
            f"{cls.__name__} has an rhs but no state. Declare at least one tw.State(...)."
        )
    spread = getattr(cls, NOISE, None)
    if spread is not None and not callable(spread) and NOISE not in declared.names:
        raise DeclarationError(
            f"{cls.__name__}.noise is {spread!r}; expected a method noise(self, ...) that returns "
            "diffusion coefficients by state, or None for none."
        )
    known = ("t", *declared.states, *declared.inputs, *declared.parameters)
    for equation in (*_EQUATIONS, NOISE):
        function = getattr(cls, equation, None)
        if callable(function) and not (bare and equation == "rhs"):
            bound[equation] = _names(cls, equation, function, known)
    for name, event in declared.events.items():
        bound[name] = _names(cls, name, event.guard, known)
        if event.action is not None:
            bound[f"{name}.reset"] = _names(cls, f"{name}.reset", event.action, known)
    if declared.outputs and "outputs" not in bound:
        raise DeclarationError(
            f"{cls.__name__} declares outputs {list(declared.outputs)} but has no outputs(). "
            "Write outputs(self, ...) returning each by name."
        )
    if "outputs" in bound and not declared.outputs:
        raise DeclarationError(
            f"{cls.__name__} has outputs() but declares no tw.Output(...). Declare each "
            "with a unit."
        )
    return bound


def _names(
    cls: type, equation: str, function: Callable[..., Any], known: tuple[str, ...]
) -> tuple[str, ...]:
    origin = f"{cls.__name__}.{equation}"
    names = []
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise DeclarationError(
                f"{origin} takes *{parameter.name}; arguments are bound by name, so each must be "
                f"written out, among {list(known)}."
            )
        if parameter.kind is parameter.KEYWORD_ONLY:
            raise DeclarationError(
                f"{origin} takes '{parameter.name}' after a bare *; arguments are passed in order. "
                "Leave the * out."
            )
        if parameter.default is not parameter.empty:
            raise DeclarationError(
                f"{origin} gives '{parameter.name}' a default value; defaults belong in the "
                f"declaration, such as {parameter.name} = tw.Parameter(unit, default=...)."
            )
        if parameter.name not in known:
            raise DeclarationError(
                f"{origin} asks for '{parameter.name}', which is not declared; known here: "
                f"{list(known)}." + nearest(parameter.name, known)
            )
        names.append(parameter.name)
    return tuple(names)
