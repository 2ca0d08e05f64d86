"""A user's header evaluated for rows of numbers, outside any stepping, with its derivatives.

The eager engine steps by it where a model has no ``rhs`` in torch, and the check of a header
against its twin reads it.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from twinml.engines.native.header_log import header_error
from twinml.engines.native.library import Library, load
from twinml.errors import CompileError, DerivativeError
from twinml.lowering.header import call_text, header_text
from twinml.physics.kernel_physics import KernelPhysics, kernel_source

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_longlong
_ARRAYS = ("t", "y", "p", "u", "dt", "dy", "dp", "du", "out")


class _CallArgs(ctypes.Structure):
    """The same members in the same order as ``tw::CallArgs`` of ``kernels/call.h``."""

    _fields_ = [("bytes", _COUNT), ("rows", _COUNT), *((name, _POINTER) for name in _ARRAYS)]


@final
@dataclass(frozen=True, eq=False)
class HeaderCall:
    """A compiled header.

    Args:
        library: With the entry ``tw_call``.
        widths: How many states, parameters and inputs the model has.
        jvp: Whether it has ``rhs_jvp``.
        name: Of the class, for messages.
    """

    library: Library
    widths: tuple[int, int, int]
    jvp: bool
    name: str

    def __call__(self, point: tuple[Tensor, ...], unset: float = float("nan")) -> Tensor:
        """Results (n, B) at ``t`` (B,), ``y`` (n, B), ``p``, ``u``, and, for the derivative along a
        direction, that direction in the same order; all of one dtype. What the function does not
        set is ``unset``."""
        given = [value.detach().cpu().contiguous() for value in point]
        y = given[1]
        out = torch.full_like(y, unset)
        args = _CallArgs(ctypes.sizeof(_CallArgs), y.shape[1])
        for name, value in zip(_ARRAYS, given, strict=False):
            setattr(args, name, value.data_ptr())
        args.out = out.data_ptr()
        if self.library.handle.tw_call(ctypes.byref(args)):
            raise CompileError(
                "A compiled header and this version of twinml disagree on the layout of their "
                f"arguments ({self.library.path}). Empty the kernel cache and run again."
            )
        return out.to(point[1].device)

    def slopes(self, model: KernelPhysics, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """``rhs`` (n, B) of values by name; torch can derive it as far as ``rhs_jvp`` goes."""
        return _Value.apply(self, *point_of(model, values, like))


def header_call(model: KernelPhysics, bits: int = 64) -> HeaderCall:
    """The header of a model, compiled.

    Raises:
        KernelError: the compiler refuses the header; the text shows its line.
        NoCompilerError, CompileError: there is no compiler, or it fails otherwise.
    """
    declared, source = model.declared, kernel_source(model)
    widths = (declared.width, len(declared.parameters), len(declared.inputs))
    try:
        library = load(call_text(header_text(declared, source), widths, bits))
    except CompileError as error:
        raise header_error(type(model).__name__, source, error) from error
    return HeaderCall(library, widths, source.has_jvp, type(model).__name__)


def point_of(
    model: KernelPhysics, values: Mapping[str, Tensor], like: Tensor
) -> tuple[Tensor, ...]:
    """Values by name as a header takes them: ``t`` (B,), ``y`` (n, B), ``p``, ``u``."""
    declared = model.declared
    rows = [
        values[name].unsqueeze(0) if state.size is None else values[name].movedim(-1, 0)
        for name, state in declared.states.items()
    ]

    def stacked(names: Any) -> Tensor:
        chosen = [values[name].to(like.dtype) for name in names]
        return torch.stack(chosen) if chosen else like.new_zeros((0, like.shape[1]))

    y = torch.cat(rows)
    return (values["t"].to(like.dtype), y, stacked(declared.parameters), stacked(declared.inputs))


def _along(call: HeaderCall, point: tuple[Tensor, ...], direction: tuple[Tensor, ...]) -> Tensor:
    if not call.jvp:
        raise DerivativeError(
            f"A gradient of {call.name} is asked for, and its header gives none: write rhs in "
            "torch beside it, or rhs_jvp in the header."
        )
    return call((*point, *direction))


class _Value(Function):
    """``rhs`` of a header; forward and backward by its ``rhs_jvp``."""

    @staticmethod
    def forward(call: HeaderCall, *point: Tensor) -> Tensor:
        return call(point)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.call, point = inputs[0], inputs[1:]
        ctx.save_for_backward(*point)
        ctx.save_for_forward(*point)

    @staticmethod
    def jvp(ctx: Any, _: None, *direction: Tensor | None) -> Tensor:
        point = ctx.saved_tensors
        full = [
            torch.zeros_like(p) if d is None else d for p, d in zip(point, direction, strict=True)
        ]
        return _Slope.apply(ctx.call, *point, *full)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        return (None, *_Back.apply(ctx.call, ctx.needs_input_grad[1:], gradients[0],
                                   *ctx.saved_tensors))  # fmt: skip


class _Slope(Function):
    """The derivative along a direction; it has none itself."""

    @staticmethod
    def forward(call: HeaderCall, *both: Tensor) -> Tensor:
        return _along(call, both[:4], both[4:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.call = inputs[0]

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise _second(ctx.call)


class _Back(Function):
    """The gradient by the arguments, one direction after the other; it has none itself."""

    @staticmethod
    def forward(
        call: HeaderCall, needed: tuple[bool, ...], gradient: Tensor, *point: Tensor
    ) -> tuple[Tensor | None, ...]:
        results: list[Tensor | None] = []
        for place, value in enumerate(point):
            if not needed[place]:
                results.append(None)
                continue
            found = torch.zeros_like(value)
            flat = found.view(-1, gradient.shape[1])
            for row in range(flat.shape[0]):
                direction = [torch.zeros_like(part) for part in point]
                direction[place].view_as(flat)[row] = 1.0
                flat[row] = (_along(call, point, tuple(direction)) * gradient).sum(0)
            results.append(found)
        return tuple(results)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.call = inputs[0]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *_: Tensor) -> Any:
        raise _second(ctx.call)


def _second(call: HeaderCall) -> DerivativeError:
    return DerivativeError(
        f"A second derivative of the header of {call.name} is needed, which rhs_jvp does not give. "
        "Write rhs in torch beside it; explicit methods need first derivatives only."
    )
