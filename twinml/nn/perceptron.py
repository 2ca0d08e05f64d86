"""A small fully connected network whose arguments are physical quantities, one by one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional

from twinml.errors import ArgumentError, ShapeError, nearest

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "silu": functional.silu,
    "gelu": functional.gelu,
    "softplus": functional.softplus,
    "sigmoid": torch.sigmoid,
}


@final
class Perceptron(nn.Module):
    """Fully connected network called with one tensor per input: ``net(omega, current)``.

    Weights follow the dtype of what they are called with, so the same weights serve float32
    training and float64 simulation.
    """

    def __init__(self, inputs: int, outputs: int, hidden: Sequence[int], activation: str) -> None:
        super().__init__()
        self.inputs, self.outputs, self.activation = inputs, outputs, activation
        widths = [inputs, *hidden, outputs]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(widths))

    def forward(self, *columns: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Evaluate.

        Args:
            columns: ``inputs`` tensors of shape (*batch,).

        Returns:
            One tensor (*batch,) for a single output, else a tuple of them.

        Raises:
            ShapeError: another number of columns than declared.
        """
        if len(columns) != self.inputs:
            raise ShapeError(
                f"mlp was called with {len(columns)} tensors; expected {self.inputs}, one per "
                "input."
            )
        x = torch.stack(columns, dim=-1)
        act = ACTIVATIONS[self.activation]
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, nn.Linear)
            x = functional.linear(x, layer.weight.to(x.dtype), layer.bias.to(x.dtype))
            if index + 1 < len(self.layers):
                x = act(x)
        return x[..., 0] if self.outputs == 1 else x.unbind(-1)


def mlp(
    inputs: int,
    outputs: int = 1,
    hidden: Sequence[int] = (32, 32),
    activation: str = "tanh",
    zero: bool = True,
    seed: int = 0,
) -> Perceptron:
    """A learned term for a right-hand side.

    Args:
        inputs: Number of scalar inputs.
        outputs: Number of scalar outputs.
        hidden: Widths of the hidden layers.
        activation: One of ``ACTIVATIONS``.
        zero: Start with a last layer of zeros, so that the model begins as the pure physics.
        seed: Seed of the initial weights; the global generator is left untouched.

    Raises:
        ArgumentError: a width below 1 or an unknown activation.
    """
    if activation not in ACTIVATIONS:
        raise ArgumentError(
            f"mlp has activation={activation!r}; expected one of {sorted(ACTIVATIONS)}."
            + nearest(str(activation), ACTIVATIONS)
        )
    if min([inputs, outputs, *hidden]) < 1:
        raise ArgumentError(
            f"mlp has inputs={inputs}, outputs={outputs}, hidden={tuple(hidden)}; "
            "expected widths from 1 up."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Perceptron(inputs, outputs, hidden, activation)
    if zero:
        last = net.layers[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    return net
