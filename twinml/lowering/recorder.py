"""Follows an equation: every torch operation it does is entered into a program.

The equation runs once, as it stands, with stand-ins for its arguments. A torch function mode, which
other threads do not see, receives what it does with them and with tensors of the model; tensors
that it makes of numbers alone are computed by torch and become constants.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from twinml.errors import LoweringError, TwinmlError
from twinml.frames import calling_place
from twinml.lowering.program import Builder
from twinml.lowering.values import (
    ROWS,
    STATE_DTYPE,
    Emit,
    Refused,
    Traced,
    is_bool,
    is_traced,
    literal,
    places_shape,
    shown,
)

# Tensors up to this size are read element by element; larger ones only by a linear layer.
_ELEMENTS = 4096


def words(text: str) -> frozenset[str]:
    """The words of a text: names read better so than as a list of strings."""
    return frozenset(text.split())


_RANDOM = words(
    "rand randn randint rand_like randn_like randint_like normal bernoulli poisson multinomial "
    "randperm dropout feature_dropout alpha_dropout rrelu binomial"
)
_INPLACE = words("iadd isub imul itruediv idiv ifloordiv imod ipow imatmul iand ior ixor setitem")
# What may be asked of a tensor of the model without reading its values.
_ABOUT = words(
    "shape ndim dtype device layout requires_grad is_leaf grad_fn names size dim numel len stride "
    "is_floating_point is_complex is_contiguous element_size nelement ndimension"
)
# What makes Python or numpy values of a tensor, and what to write instead.
_TRUTH = (
    "it asks whether a tensor is true, and each row has its own answer",
    "Choose with torch.where(condition, a, b); for Python's max, min, and, or, not write "
    "torch.maximum, torch.minimum, &, |, ~.",
)
_NUMBER = (
    "it makes one Python number of a tensor",
    "Use torch's functions instead of math's, and the tensor itself instead of float(...).",
)
_CHANCE = (
    "its result is random",
    "Declare noise(self, ...) for diffusion, or an Input for a signal of your own.",
)
_ARRAY = ("it takes a tensor out of torch", "Use torch's function of that name.")
_CONVERSIONS: Mapping[str, tuple[str, str]] = {
    "__bool__": _TRUTH,
    "__iter__": (
        "it goes through a tensor row by row",
        "Go through the components by x.unbind(-1).",
    ),
    "__contains__": ("it looks for a value in a tensor", "Compare by ==."),
    **dict.fromkeys(
        ("__float__", "__int__", "__index__", "__complex__", "item", "tolist"), _NUMBER
    ),
    **dict.fromkeys(("__array__", "numpy", "cpu", "cuda"), _ARRAY),
}

# What to write instead of operations without a kernel.
_OTHERWISE = "Write it by arithmetic, torch.where and the functions of one value that torch has."
_TABLE = "Use tw.interp(x, knots, values) for a table."
_ELIMINATION = "Write the solution out, or make the unknowns states."
_INSTEAD = {
    "einsum": "Use torch.nn.functional.linear(x, A) for A x, or (a * b).sum(-1).",
    **dict.fromkeys(("searchsorted", "bucketize", "gather", "take", "embedding"), _TABLE),
    **dict.fromkeys(("linalg_solve", "linalg_inv", "inverse", "det", "linalg_det"), _ELIMINATION),
    **dict.fromkeys(
        ("sort", "argmax", "argmin", "median", "topk"), "Use torch.amax(x, dim=-1) or torch.where."
    ),
    "grad": "Write the derivative out.",
    "erfc": "Write 1 - torch.erf(x) where x stays below about 3.",
    "cumprod": "Multiply the components of x.unbind(-1) one after another.",
    "batch_norm": "Scale the values by numbers of your own.",
}

Handler = Callable[..., Any]


@final
@dataclass(frozen=True)
class Member:
    """A tensor of a model and the path of attributes under which it was found."""

    path: str
    tensor: Tensor


@final
class Members:
    """The tensors of a model, numbered in the order in which its equations read them.

    Args:
        found: By identity.
    """

    def __init__(self, found: Mapping[int, Member]) -> None:
        self.found = found
        self.used: list[Member] = []
        self._numbers: dict[int, int] = {}

    def number(self, tensor: Tensor) -> int:
        key = id(tensor)
        if key not in self._numbers:
            self._numbers[key] = len(self.used)
            self.used.append(self.found[key])
        return self._numbers[key]


@final
class Recorder(TorchFunctionMode):
    """Receives the operations of one equation.

    Args:
        origin: Class and equation, such as "Kiln.rhs".
        builder: Of the program.
        members: Tensors of the model.
        table: Handler of each operation by name.
        device: What the equation is told when it asks.
    """

    def __init__(
        self,
        origin: str,
        builder: Builder,
        members: Members,
        table: Mapping[str, Handler],
        device: torch.device,
    ) -> None:
        super().__init__()
        self.origin, self.builder, self.members, self.table = origin, builder, members, table
        self.device = device
        self.emit = Emit(builder)
        # Kept alive, so that their identities stay theirs.
        self._literals: dict[int, Tensor] = {}

    # What torch calls

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", str(func))
        try:
            if name in ("__get__", "__set__"):
                return self._property(func, name, args)
            tensors = list(_tensors((args, kwargs)))
            if any(is_traced(tensor) for tensor in tensors):
                return self.call(name, args, kwargs)
            mine = [tensor for tensor in tensors if id(tensor) in self.members.found]
            if mine and canonical(name) not in _ABOUT:
                return self.call(name, args, kwargs)
            self._refuse_foreign(tensors)
            return self._of_numbers(func, canonical(name), args, kwargs)
        except Refused as refused:
            raise self.error(name, refused) from None

    def _property(self, func: Any, access: str, args: tuple[Any, ...]) -> Any:
        name, tensor = func.__self__.__name__, args[0]
        if access == "__set__":
            raise Refused(f"it sets .{name} of a tensor", "Leave the tensor as it is.")
        if name in _ABOUT or id(tensor) in self._literals:
            return self._kept(func(*args))
        if id(tensor) in self.members.found:
            return self.attribute(self.value(tensor), name)
        self._refuse_foreign([tensor])

    def _of_numbers(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """An operation on numbers alone: done by torch, now."""
        if name in _RANDOM or kwargs.get("generator") is not None:
            raise Refused(*_CHANCE)
        if name.startswith("empty"):
            raise Refused("it makes a tensor without values", "Use torch.stack([...], dim=-1).")
        if kwargs.get("out") is not None:
            raise Refused("it writes into a tensor", "Assign the result to a name.")
        if kwargs.get("dtype") is STATE_DTYPE:
            kwargs = {**kwargs, "dtype": torch.float64}
        args = tuple(torch.float64 if arg is STATE_DTYPE else arg for arg in args)
        if ROWS in _flat_numbers((args, kwargs)):
            return self._per_row(func, name, args, kwargs)
        return self._kept(func(*args, **kwargs))

    def _per_row(
        self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Traced:
        """``torch.zeros(x.shape)`` and the like: one row stands for all."""
        if name not in ("zeros", "ones", "full"):
            raise Refused(
                "it uses the number of rows of the batch",
                "Write the equation for one row, with elementwise operations.",
            )
        made: Tensor = func(*args, **kwargs)
        axes = [axis for axis, size in enumerate(made.shape) if size == ROWS]
        single = literal(self, made.narrow(axes[0], 0, 1))
        return Traced(self, single._places, axes[0])

    def _kept(self, result: Any) -> Any:
        for tensor in _tensors(result):
            self._literals[id(tensor)] = tensor
        return result

    def _refuse_foreign(self, tensors: list[Any]) -> None:
        for tensor in tensors:
            if id(tensor) not in self._literals and id(tensor) not in self.members.found:
                raise Refused(
                    f"it uses a tensor of shape {tuple(tensor.shape)} that the model does not hold",
                    "Keep it as self.register_buffer('name', tensor), or write the number itself.",
                )

    # What stand-ins call

    def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """An operation by torch's name for it.

        Raises:
            LoweringError: it has no kernel.
        """
        plain = canonical(name)
        try:
            if plain in _INPLACE or (name.endswith("_") and not name.startswith("__")):
                raise Refused(
                    "it changes a tensor in place",
                    "Make a new value: x = x + u instead of x += u, torch.stack([...], dim=-1) "
                    "instead of filling x[..., i].",
                )
            if kwargs.get("out") is not None:
                raise Refused("it writes into a tensor", "Assign the result to a name.")
            if plain in _RANDOM and not (plain.endswith("dropout") and plain in self.table):
                raise Refused(*_CHANCE)
            if name in _CONVERSIONS:
                raise Refused(*_CONVERSIONS[name])
            handler = self.table.get(plain)
            if handler is None:
                raise Refused("it has no kernel", _INSTEAD.get(plain, _OTHERWISE))
            if "axis" in kwargs:
                kwargs = {"dim" if k == "axis" else k: v for k, v in kwargs.items()}
            with torch._C.DisableTorchFunction():  # a handler's own use of torch is not recorded
                return handler(self, *args, **kwargs)
        except Refused as refused:
            raise self.error(name, refused) from None
        except TwinmlError:
            raise
        except (TypeError, ValueError, IndexError) as error:
            refused = Refused(
                f"this form of it is not known to kernels ({error})",
                "Write it in the form of torch's documentation, with plain numbers as options.",
            )
            raise self.error(name, refused) from error

    def attribute(self, value: Traced, name: str) -> Any:
        """An attribute or a method of a stand-in."""
        if name == "shape":
            return torch.Size(places_shape(value))
        if name == "ndim":
            return len(places_shape(value))
        if name == "dtype":
            return torch.bool if is_bool(value) else STATE_DTYPE
        if name == "device":
            return self.device
        if name in ("requires_grad", "is_cuda", "is_sparse", "is_nested", "is_quantized"):
            return False
        if name in ("T", "mT", "data"):
            return value if name == "data" else self.call(name, (value,), {})
        if name in ("grad", "grad_fn"):
            return None
        if not hasattr(Tensor, name):
            raise AttributeError(f"'Tensor' object has no attribute '{name}'")
        return lambda *args, **kwargs: self.call(name, (value, *args), kwargs)

    def value(self, item: Any) -> Traced:
        """A stand-in for anything an operation may be given.

        Raises:
            Refused: it is no number and no known tensor.
        """
        if is_traced(item):
            return item
        if isinstance(item, Tensor):
            if id(item) in self._literals:
                return literal(self, item)
            self._refuse_foreign([item])
            if not item.is_floating_point() and item.dtype != torch.bool:
                raise Refused(
                    f"it reads '{self.members.found[id(item)].path}' of dtype {item.dtype}",
                    "Kernels read floating tensors and masks: keep it as float64, or as a Python "
                    "number on self.",
                )
            number = self.members.number(item)
            return Traced(self, None, None, tensor=number, shape=tuple(item.shape))
        if isinstance(item, (bool, int, float, np.generic)):
            return literal(self, item.item() if isinstance(item, np.generic) else item)
        raise Refused(f"it is given {type(item).__name__}", "Give it tensors and plain numbers.")

    def is_bool(self, tensor: int | None) -> bool:
        return tensor is not None and self.members.used[tensor].tensor.dtype == torch.bool

    def small(self, value: Traced) -> None:
        """Refuse to read a large tensor element by element."""
        count = int(np.prod(value._own_shape, dtype=int))
        if count > _ELEMENTS:
            assert value._tensor is not None
            path = self.members.used[value._tensor].path
            raise Refused(
                f"it reads '{path}' of shape {shown(value._own_shape)} element by element, and "
                f"{count} are too many",
                "Use torch.nn.functional.linear(x, weight) for large matrices.",
            )

    def error(self, name: str, refused: Refused) -> LoweringError:
        place = calling_place()
        where = f" ({place})" if place else ""
        return LoweringError(
            f"{self.origin} cannot become a kernel: in {_written(name)} {refused.reason}{where}. "
            f'{refused.rewrite} engine="eager" runs it as it is.'
        )


def canonical(name: str) -> str:
    """One name for a function, a method and an operator: ``__radd__`` and ``add_`` keep theirs."""
    return name[2:-2] if name.startswith("__") and name.endswith("__") else name


def _written(name: str) -> str:
    operators = {
        "add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "matmul": "@",
        "iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ipow": "**=",
        "setitem": "x[...] = value", "getitem": "x[...]", "bool": "if", "floordiv": "//",
        "mod": "%", "iter": "a loop over a tensor",
    }  # fmt: skip
    plain = canonical(name)
    return f"'{operators.get(plain, plain) if plain != name else name}'"


def _tensors(value: Any) -> Any:
    if is_traced(value) or isinstance(value, Tensor):
        yield value
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _tensors(part)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _tensors(part)


def _flat_numbers(value: Any) -> list[int]:
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [value]
    if isinstance(value, (tuple, list)):
        return [n for part in value for n in _flat_numbers(part)]
    if isinstance(value, dict):
        return [n for part in value.values() for n in _flat_numbers(part)]
    return []
