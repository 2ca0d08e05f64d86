"""The formats a surrogate can be exported to, as data.

A new target is one file with ``pack``, ``check``, ``unpack`` and ``load`` and one line here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from twinml.errors import ArgumentError, nearest
from twinml.export import torchscript


@dataclass(frozen=True)
class Target:
    """One format.

    Attributes:
        name: The word users type.
        file: Name of the model file in the artifact's folder.
        runs_on: Where the file can be used.
        pack: ``(module, extra files) -> bytes``, the sealed model file.
        check: ``(bytes, name) -> None``, IntegrityError if one bit differs from what was written.
        unpack: ``(bytes, name) -> extra files`` of a checked file.
        load: ``(bytes) -> callable`` from a tensor (B, k) to the five outputs.
    """

    name: str
    file: str
    runs_on: str
    pack: Callable[[torch.nn.Module, Mapping[str, bytes]], bytes]
    check: Callable[[bytes, str], None]
    unpack: Callable[[bytes, str], Mapping[str, bytes]]
    load: Callable[[bytes], Callable[[torch.Tensor], Any]]


TARGETS: Mapping[str, Target] = {
    "torchscript": Target(
        name="torchscript",
        file="model.pt",
        runs_on="Python, LibTorch (C++), Triton",
        pack=torchscript.pack,
        check=torchscript.check,
        unpack=torchscript.unpack,
        load=torchscript.load,
    ),
}


def find_target(name: str) -> Target:
    """The target of that name, or ArgumentError with the names there are."""
    if name not in TARGETS:
        raise ArgumentError(
            f"target is {name!r}; expected one of: {', '.join(TARGETS)}."
            f"{nearest(str(name), TARGETS)}"
        )
    return TARGETS[name]
