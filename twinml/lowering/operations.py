"""The table of operations: a handler for each name that torch gives a function, method or operator.

Handlers stand in the modules of ``twinml.lowering`` whose names say what they do; importing those
enters them here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor

from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    Refused,
    Traced,
    elementwise,
    is_traced,
)

Handler = Callable[..., Any]
TABLE: dict[str, Handler] = {}


def operation(*names: str) -> Callable[[Handler], Handler]:
    """Enter a handler ``(recorder, *args, **kwargs)`` under these torch names."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def pointwise(*names: str, tensors: int = 1) -> Callable[[Handler], Handler]:
    """Enter ``(emit, *places, *options)``, done for each element.

    Args:
        names: In torch.
        tensors: How many of the first arguments are tensors; the others are plain numbers.
    """

    def enter(function: Handler) -> Handler:
        signature = inspect.signature(function)
        order = list(signature.parameters)[1:]

        def handler(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
            bound = signature.bind(None, *args, **kwargs)
            values = [recorder.value(bound.arguments[name]) for name in order[:tensors]]
            options = {n: v for n, v in bound.arguments.items() if n in order[tensors:]}
            for name, option in options.items():
                if is_traced(option) or isinstance(option, Tensor):
                    raise Refused(
                        f"its '{name}' is a tensor", "Write a plain number, or arithmetic."
                    )
            return elementwise(recorder, lambda emit, *p: function(emit, *p, **options), values)

        for name in names:
            TABLE[name] = handler
        return function

    return enter


def plain(op: str, tensors: int) -> Handler:
    def handler(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
        operands = [*args, *kwargs.values()]
        kwargs.pop("inplace", None)
        if len(operands) < tensors or any(k not in _OPERAND_NAMES for k in kwargs):
            raise TypeError(f"{op} with {list(kwargs)}")
        values = [recorder.value(operand) for operand in operands[:tensors]]
        return elementwise(recorder, lambda emit, *places: emit(op, *places), values)

    return handler


_OPERAND_NAMES = ("input", "other", "exponent", "self")
