"""Activations of networks and changes of type, by their torch names."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from twinml.lowering.operations import Handler, operation, pointwise
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    STATE_DTYPE,
    Emit,
    Refused,
    Traced,
    elementwise,
    is_bool,
)


@pointwise("softplus")
def _softplus(emit: Emit, input: int, beta: float = 1, threshold: float = 20) -> int:
    if beta == 1 and threshold == 20:
        return emit("softplus", input)
    scaled = emit("mul", input, float(beta))
    soft = emit("div", emit("log1p", emit("exp", scaled)), float(beta))
    return emit("select", emit("gt", scaled, float(threshold)), input, soft)


@pointwise("gelu")
def _gelu(emit: Emit, input: int, approximate: str = "none") -> int:
    if approximate == "none":
        return emit("gelu", input)
    cube = emit("mul", emit("mul", input, input), input)
    inner = emit("add", input, emit("mul", 0.044715, cube))
    inner = emit("mul", math.sqrt(2.0) * (2.0 / math.sqrt(math.pi)) * 0.5, inner)
    return emit("mul", emit("mul", 0.5, input), emit("add", 1.0, emit("tanh", inner)))


@pointwise("leaky_relu")
def _leaky_relu(emit: Emit, input: int, negative_slope: float = 0.01, inplace: bool = False) -> int:
    less = emit("mul", input, float(negative_slope))
    return emit("select", emit("gt", input, 0.0), input, less)


@pointwise("elu")
def _elu(emit: Emit, input: int, alpha: float = 1.0, inplace: bool = False) -> int:
    less = emit("mul", emit("expm1", input), float(alpha))
    # Where it is not above zero, so that nan goes into expm1.
    return emit("select", emit("gt", input, 0.0), input, less)


@pointwise("logsigmoid", "log_sigmoid")
def _logsigmoid(emit: Emit, input: int) -> int:
    low = emit("minimum", input, 0.0)
    return emit("sub", low, emit("log1p", emit("exp", emit("neg", emit("abs", input)))))


@pointwise("softsign")
def _softsign(emit: Emit, input: int) -> int:
    return emit("div", input, emit("add", emit("abs", input), 1.0))


@pointwise("tanhshrink")
def _tanhshrink(emit: Emit, input: int) -> int:
    return emit("sub", input, emit("tanh", input))


@pointwise("mish")
def _mish(emit: Emit, input: int, inplace: bool = False) -> int:
    return emit("mul", input, emit("tanh", emit("log1p", emit("exp", input))))


@operation("dropout")
def _dropout(
    recorder: Recorder, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Traced:
    if training and p:
        raise Refused("its result is random", "Call model.eval(), or leave the layer out.")
    return recorder.value(input)


def _cast(name: str) -> Handler:
    def handler(recorder: Recorder, input: Any, *args: Any, **kwargs: Any) -> Traced:
        value = recorder.value(input)
        wanted = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, torch.dtype)]
        if name in ("to", "type"):
            dtype = wanted[0] if wanted else None
            for arg in (*args, kwargs.get("other")):
                if isinstance(arg, (Traced, Tensor)):
                    dtype = arg.dtype
        else:
            dtype = {"double": torch.float64, "float": torch.float32, "half": torch.float16,
                     "bfloat16": None, "bool": torch.bool}[name]  # fmt: skip
        if dtype is None or dtype is STATE_DTYPE:
            return elementwise(recorder, lambda emit, x: x, [value]) if is_bool(value) else value
        if dtype == torch.bool:
            return elementwise(recorder, lambda emit, x: emit.truth(x), [value], numbers=False)
        if dtype.is_floating_point and (is_bool(value) or _of_model(recorder, value, dtype)):
            # A test is 1 or 0, and a weight its own value, in every dtype.
            return elementwise(recorder, lambda emit, x: x, [value]) if is_bool(value) else value
        raise Refused(
            f"it casts to {dtype}, and a kernel computes in one dtype",
            "Write x.to(y.dtype) for the dtype of the state, or leave the cast out.",
        )

    return handler


def _of_model(recorder: Recorder, value: Traced, dtype: torch.dtype) -> bool:
    """Whether a cast of a tensor of the model changes none of its digits."""
    if value._tensor is None:
        return False
    own = recorder.members.used[value._tensor].tensor.dtype
    return torch.finfo(own).bits <= torch.finfo(dtype).bits


for _name in ("to", "type", "double", "float", "half"):
    operation(_name)(_cast(_name))


@operation("type_as")
def _type_as(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _cast("to")(recorder, input, other)


@operation("detach")
def _detach(recorder: Recorder, input: Any) -> Traced:
    value = recorder.value(input)
    if value._tensor is None:
        raise Refused("it cuts the gradient", "Leave it out where its derivative is meant too.")
    return value


@operation("clone", "contiguous", "alias")
def _same(recorder: Recorder, input: Any, *args: Any, **kwargs: Any) -> Traced:
    return recorder.value(input)


@operation("result_type", "promote_types")
def _result_type(recorder: Recorder, *args: Any) -> torch.dtype:
    return STATE_DTYPE


@operation("is_floating_point")
def _is_floating_point(recorder: Recorder, input: Any) -> bool:
    return not is_bool(recorder.value(input))


@operation("is_complex", "is_inference")
def _never(recorder: Recorder, input: Any) -> bool:
    return False
