"""Field kernels as functions that torch differentiates, forward and backward."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor

from twinml.errors import ArgumentError
from twinml.fields import launch
from twinml.fields.declaration import FieldSpec
from twinml.fields.layout import Layout


@final
class FieldFunction(torch.autograd.Function):
    """Results of a field operation; backward by its vector-Jacobian kernel."""

    @staticmethod
    def forward(spec: FieldSpec, at: Layout, *arguments: Tensor) -> tuple[Tensor, ...]:
        return launch.forward(spec, at, arguments)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.spec, ctx.at, *arguments = inputs
        ctx.save_for_backward(*arguments)
        ctx.save_for_forward(*arguments)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        spec: FieldSpec = ctx.spec
        if spec.vjp is None:
            raise ArgumentError(
                f"A gradient through field_op '{spec.name}' was asked for, and it has no vjp. Pass "
                "vjp=..., the product of cotangents with its Jacobian, or evaluate under "
                "torch.no_grad()."
            )
        wanted = tuple(ctx.needs_input_grad[2:])
        arguments = ctx.saved_tensors
        if torch.is_grad_enabled():  # someone will derive the gradient once more
            arguments = tuple(_Once.apply(spec.name, argument) for argument in arguments)
        return None, None, *_Adjoint.apply(spec, ctx.at, wanted, *arguments, *cotangents)

    @staticmethod
    def jvp(ctx: Any, *along: Any) -> tuple[Tensor, ...]:
        arguments = ctx.saved_tensors
        # Without a tangent is zero; as a function of its own, so that what derives the derivative
        # (a stiff method's Jacobian inside a gradient) is told that it cannot.
        moves = tuple(m if isinstance(m, Tensor) else None for m in along[2:])
        return _Tangent.apply(ctx.spec, ctx.at, *arguments, *moves)


@final
class _Tangent(torch.autograd.Function):
    """The derivative along a direction, linear in it: backward by that is the adjoint."""

    @staticmethod
    def forward(spec: FieldSpec, at: Layout, *tensors: Tensor | None) -> tuple[Tensor, ...]:
        count = len(spec.arguments)
        arguments = [tensor for tensor in tensors[:count] if tensor is not None]
        return launch.tangent(spec, at, arguments, tensors[count:])

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.spec, ctx.at, *tensors = inputs
        ctx.save_for_backward(*tensors[: len(ctx.spec.arguments)])

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, ...]:
        count = len(ctx.spec.arguments)
        if any(ctx.needs_input_grad[2 : 2 + count]):
            raise ArgumentError(
                f"A second derivative of field_op '{ctx.spec.name}' was asked for: the gradient of "
                "a run by a stiff method takes that of its Jacobian, and a field operation has "
                "none. Use an explicit method such as 'tsit5'; a grid of few cells has its "
                "gradient with engine='native'."
            )
        if ctx.spec.vjp is None:
            raise ArgumentError(
                f"A gradient through field_op '{ctx.spec.name}' was asked for, and it has no vjp. "
                "Pass vjp=..., the product of cotangents with its Jacobian."
            )
        wanted = tuple(ctx.needs_input_grad[2 + count :])
        found = launch.adjoint(ctx.spec, ctx.at, ctx.saved_tensors, cotangents, wanted)
        return None, None, *(None for _ in range(count)), *found


@final
class _Adjoint(torch.autograd.Function):
    """The vector-Jacobian product, linear in its cotangents: backward by them is the tangent."""

    @staticmethod
    def forward(
        spec: FieldSpec, at: Layout, wanted: tuple[bool, ...], *tensors: Tensor
    ) -> tuple[Tensor | None, ...]:
        count = len(spec.arguments)
        return launch.adjoint(spec, at, tensors[:count], tensors[count:], wanted)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.spec, ctx.at, _, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors[: len(ctx.spec.arguments)])

    @staticmethod
    def backward(ctx: Any, *along: Tensor | None) -> tuple[Any, ...]:
        arguments: tuple[Tensor, ...] = ctx.saved_tensors
        moved = launch.tangent(ctx.spec, ctx.at, arguments, along)
        moved = tuple(_Once.apply(ctx.spec.name, m, *arguments) for m in moved)
        return None, None, None, *(None for _ in arguments), *moved


@final
class _Once(torch.autograd.Function):
    """The first of its tensors as it is; a derivative by any of them does not exist."""

    @staticmethod
    def forward(name: str, value: Tensor, *others: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        ctx.name = inputs[0]

    @staticmethod
    def backward(ctx: Any, *cotangents: Any) -> Any:
        raise ArgumentError(
            f"A second derivative of field_op '{ctx.name}' was asked for; it has a forward kernel "
            "and a vector-Jacobian product, and no derivative of that. Leave out "
            "create_graph=True, or take differences of gradients."
        )
