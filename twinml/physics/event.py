"""Events: a guard that a model watches, and what happens when it reaches zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MethodType
from typing import Any, final, overload

from twinml.errors import DeclarationError

DIRECTIONS = (-1, 0, 1)
Method = Callable[..., Any]


@final
class Event:
    """A guard and what follows from it; made by ``@tw.event``, never by hand.

    The guard is a method that asks for values by name, as ``rhs`` does, and returns one number
    per row. The event happens when that number reaches zero from the side of ``direction``.

    Args:
        guard: The method, unbound.
        direction: -1 for a guard that falls to zero, 1 for one that rises, 0 for both.
        terminal: Whether the event ends the row.
        action: Method that returns the states the event changes; None for none.
    """

    def __init__(
        self,
        guard: Method,
        direction: int = 0,
        terminal: bool = False,
        action: Method | None = None,
    ) -> None:
        self.guard, self.direction, self.terminal, self.action = guard, direction, terminal, action
        self.name: str = getattr(guard, "__name__", "event")
        self.__doc__ = guard.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Event: ...
    @overload
    def __get__(self, instance: object, owner: type) -> MethodType: ...
    def __get__(self, instance: object | None, owner: type) -> Event | MethodType:
        return self if instance is None else MethodType(self.guard, instance)

    def apply(self, model: object, arguments: Iterable[Any]) -> Any:
        """What the reset of a model returns; an empty dict for an event without one."""
        return {} if self.action is None else self.action(model, *arguments)

    def reset(self, action: Method) -> Event | Reset:
        """Mark the method that returns the states this event changes, by name.

        It may have the name of the event, as a property's setter has that of the property, or
        one of its own; in a subclass it replaces an inherited one.
        """
        if getattr(action, "__name__", None) == self.name:
            return Event(self.guard, self.direction, self.terminal, action)
        return Reset(self, action)


@final
class Reset:
    """A reset under a name of its own; still an ordinary method of the model."""

    def __init__(self, event: Event, action: Method) -> None:
        self.event, self.action = event, action
        self.__doc__ = action.__doc__

    def __get__(self, instance: object | None, owner: type) -> Any:
        return self if instance is None else MethodType(self.action, instance)


def event(direction: int = 0, terminal: bool = False) -> Callable[[Method], Event]:
    """Mark a method of a ``Physics`` as the guard of an event.

    An event happens when the guard reaches zero: falling to it for ``direction=-1``, rising for
    1, either for 0. A guard that starts at zero, or that its own reset leaves there, first has
    to leave zero. Guards are read at the ends and at four points inside each step: one that crosses
    zero twice between them, such as a fast function of time, needs ``max_step``. ``@<name>.reset``
    marks what the event does to the states.

    Several events at one instant are taken in the order declared. Events that follow ever
    faster, as the bounces of a ball that never rests, end their row as a failure
    (``EVENT_LIMIT``) once rounding hides them or ``max_events`` is spent; give such a model a
    state in which it rests, as ``twinml.library.BouncingBall`` has.

    Args:
        direction: -1, 0 or 1.
        terminal: End the row at the event (after its reset, if it has one).

    Raises:
        DeclarationError: another direction, or the decorator without its parentheses.
    """
    if callable(direction):
        raise DeclarationError(
            f"@tw.event stands on '{getattr(direction, '__name__', direction)}' without "
            "parentheses; write @tw.event(), or @tw.event(direction=-1) for a guard that falls."
        )
    if isinstance(direction, bool) or direction not in DIRECTIONS:
        raise DeclarationError(
            f"@tw.event has direction={direction!r}; expected -1 (the guard falls to zero), 1 (it "
            "rises) or 0 (both)."
        )
    if not isinstance(terminal, bool):
        raise DeclarationError(f"@tw.event has terminal={terminal!r}; expected True or False.")
    return lambda guard: Event(guard, int(direction), terminal)


def collect(owner: str, namespaces: Iterable[Mapping[str, Any]]) -> dict[str, Event]:
    """Events of a class by name, in the order declared.

    A subclass that declares an event again keeps its inherited reset unless it writes one.

    Args:
        owner: Name of the class, for messages.
        namespaces: Attributes of its bases and itself, the most basic first.

    Raises:
        DeclarationError: a reset without its event, or an event replaced by a plain method.
    """
    found: dict[str, Event] = {}
    resets: dict[str, str] = {}  # resets with a name of their own, and their event
    for attributes in namespaces:
        for name, value in attributes.items():
            if isinstance(value, Event):
                if value.action is None and name in found:
                    value = _with_action(value, name, found[name].action)
                found[name] = value
            elif isinstance(value, Reset):
                target = value.event.name
                if target not in found:
                    raise DeclarationError(
                        f"{owner}.{name} is a reset of '{target}', which is no event of {owner}; "
                        f"known here: {list(found)}. Declare the event in this class or a base."
                    )
                found[target] = _with_action(found[target], target, value.action)
                resets[name] = target
            elif name in resets and callable(value):
                found[resets[name]] = _with_action(found[resets[name]], resets[name], value)
            elif name in found:
                if value is not None:
                    kind = "plain method" if callable(value) else type(value).__name__
                    raise DeclarationError(
                        f"{owner}.{name} replaces an inherited event by a {kind}, and nothing "
                        f"would watch it. Put @tw.event(...) on a guard, choose another name, "
                        f"or write {name} = None to remove the event."
                    )
                del found[name]
    return found


def _with_action(event: Event, name: str, action: Method | None) -> Event:
    changed = Event(event.guard, event.direction, event.terminal, action)
    changed.name = name
    return changed
