"""What the equations of a model depend on besides their arguments: its tensors and plain values."""

from __future__ import annotations

import functools
import hashlib
import marshal
import types
from collections.abc import Iterator
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from twinml.lowering.recorder import Member
from twinml.physics.kernel_physics import KernelPhysics, kernel_source
from twinml.physics.model import Physics

# What torch keeps in every module, and the defaults of parameters, which are arguments.
_BARE = len(vars(nn.Module()))
_SKIPPED = frozenset(vars(nn.Module())) | {"_defaults"}
_PLAIN = (float, int, str, bool, complex, bytes, type(None))
_DEPTH = 6
_CONTAINERS = (tuple, list, dict, set, frozenset, np.ndarray, np.generic)
# What is code or declaration and not a value; closures and globals of functions are read once.
_CODE = (
    type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType,
    classmethod, staticmethod, property, functools.cached_property,
)  # fmt: skip
_HOOKS = ("_forward_hooks", "_forward_pre_hooks")
# Arrays above this size count by a digest: the look is taken at every call.
_COMPARED = 4096
# Names of a class that hold values, and how many attributes it had when they were looked for.
_names: WeakKeyDictionary[type, tuple[int, tuple[str, ...]]] = WeakKeyDictionary()


def fingerprint(model: Physics) -> tuple[bytes, tuple[Any, ...]]:
    """Equal for two moments between which no number and no tensor of the model was exchanged.

    Numbers, texts and containers of them count by value, on the model, its submodules, its
    classes and objects it holds; tensors by identity, so that training in place changes nothing.

    Returns:
        The values, and the objects whose identity is among them: as long as they are kept, no
        other object can take their place.
    """
    # torch.tensor(0.1) in an equation has the default dtype.
    flat: list[Any] = [str(torch.get_default_dtype())]
    kept: list[Any] = []
    _module(model, flat, kept, 0)
    if isinstance(model, KernelPhysics):
        flat.append(kernel_source(model).digest)
    # Version 2 writes floats bit by bit and knows no sharing, so equal values give equal bytes.
    return marshal.dumps(flat, 2), tuple(kept)


def _walk(attributes: dict[str, Any], flat: list[Any], kept: list[Any], depth: int) -> None:
    for name, value in attributes.items():
        if name in _SKIPPED:
            continue
        flat.append(name)
        if type(value) in _PLAIN:
            flat.append(value)
        else:
            _value(value, flat, kept, depth)


def _classes(kind: type, flat: list[Any], kept: list[Any], depth: int) -> None:
    """Values that stand on a class of the user's own and its bases."""
    for cls in kind.__mro__:
        if cls is Physics or cls is nn.Module or cls is object:
            break
        attributes = vars(cls)
        known = _names.get(cls)
        if known is None or known[0] != len(attributes):
            known = _names[cls] = (len(attributes), _values_of(cls))
        for name in known[1]:
            flat.append(name)
            _value(attributes.get(name), flat, kept, depth + 1)


def _values_of(cls: type) -> tuple[str, ...]:
    if cls.__module__.partition(".")[0] == "torch":
        return ()
    declared = cls.declared if issubclass(cls, Physics) else None
    names = () if declared is None else {*declared.names, *declared.outputs, *declared.events}
    return tuple(
        name
        for name, value in vars(cls).items()
        if not (name.startswith("__") and name.endswith("__"))
        and name not in names
        and name not in ("declared", "_arguments", "time_unit", "_kernel_path")
        and (type(value) in _PLAIN or isinstance(value, _CONTAINERS) or _is_object(value))
    )


def _is_object(value: Any) -> bool:
    """Whether something holds values of its own, callable or not."""
    if isinstance(value, (*_CODE, Tensor)):
        return False
    return hasattr(value, "__dict__") or hasattr(type(value), "__slots__")


def _attributes(value: Any) -> dict[str, Any]:
    """Attributes of an object, those in slots included, and what a partial function holds."""
    if isinstance(value, functools.partial):
        return {"func": value.func, "args": value.args, "keywords": value.keywords}
    found = dict(getattr(value, "__dict__", {}))
    for cls in type(value).__mro__:
        slots = getattr(cls, "__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name not in ("__dict__", "__weakref__") and hasattr(value, name):
                found[name] = getattr(value, name)
    return found


def _module(module: nn.Module, flat: list[Any], kept: list[Any], depth: int) -> None:
    """A module's tensors by identity, then what else it holds; the common case is kept short."""
    attributes = module.__dict__
    flat.append(type(module).__name__)
    for group in (attributes["_parameters"], attributes["_buffers"]):
        for name, tensor in group.items():
            flat.append(name)
            flat.append(id(tensor))
            kept.append(tensor)
    for name, part in attributes["_modules"].items():
        flat.append(name)
        if part is not None:
            _module(part, flat, kept, depth + 1)
    if len(attributes) > _BARE:
        _walk(attributes, flat, kept, depth)
    flat.append(attributes["training"])
    for name in _HOOKS:
        for hook in attributes[name].values():
            kept.append(hook)
            flat.append(id(hook))
    _classes(type(module), flat, kept, depth)


def _value(value: Any, flat: list[Any], kept: list[Any], depth: int) -> None:
    kind = type(value)
    if kind in _PLAIN:
        flat.append(value)
    elif isinstance(value, Tensor) or depth > _DEPTH:
        kept.append(value)
        flat.append(id(value))
    elif isinstance(value, nn.Module):
        _module(value, flat, kept, depth + 1)
    elif isinstance(value, dict):
        flat.append(len(value))
        for key, part in value.items():
            _value(key, flat, kept, depth + 1)
            _value(part, flat, kept, depth + 1)
    elif kind in (tuple, list, set, frozenset):
        flat.append(len(value))
        for part in value:
            _value(part, flat, kept, depth + 1)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        content = value.tobytes()
        if value.size > _COMPARED:
            content = hashlib.blake2b(content).digest()
        flat.append((content, str(value.dtype), value.shape))
    elif isinstance(value, np.generic):
        flat.append(value.tobytes())
    elif _is_object(value):
        flat.append(kind.__name__)
        _walk(_attributes(value), flat, kept, depth + 1)
        _classes(kind, flat, kept, depth)
    else:
        kept.append(value)
        flat.append(id(value))


def members(model: Physics) -> dict[int, Member]:
    """Every tensor that a model holds, by identity, with the path it was found under."""
    found: dict[int, Member] = {}
    for path, tensor in _tensors(model, "", 0):
        found.setdefault(id(tensor), Member(path, tensor))
    return found


def _tensors(value: Any, path: str, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield path, value
    elif depth > _DEPTH:
        return
    elif isinstance(value, nn.Module):
        for name, part in vars(value).items():
            if name in ("_parameters", "_buffers", "_modules"):
                for key, inner in part.items():
                    yield from _tensors(inner, f"{path}.{key}".lstrip("."), depth + 1)
            elif name not in _SKIPPED:
                yield from _tensors(part, f"{path}.{name}".lstrip("."), depth + 1)
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _tensors(part, f"{path}[{key!r}]", depth + 1)
    elif isinstance(value, (tuple, list)):
        for place, part in enumerate(value):
            yield from _tensors(part, f"{path}[{place}]", depth + 1)
    elif _is_object(value):
        for name, part in _attributes(value).items():
            yield from _tensors(part, f"{path}.{name}", depth + 1)
