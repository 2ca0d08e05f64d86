"""From the equations of a model to programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from twinml.errors import LoweringError, TwinmlError
from twinml.frames import model_place
from twinml.lowering import (  # noqa: F401  # they enter operations
    activations,
    arithmetic,
    axes,
    choices,
    folds,
    layers,
    shapes,
)
from twinml.lowering.operations import TABLE
from twinml.lowering.program import Builder, Program
from twinml.lowering.recorder import Members, Recorder
from twinml.lowering.simplify import rewrite
from twinml.lowering.values import (
    Refused,
    Traced,
    elementwise,
    is_bool,
    is_traced,
    places_of,
    places_shape,
    shown,
)
from twinml.physics.binding import NOISE
from twinml.physics.kernel_physics import KernelPhysics
from twinml.physics.model import Physics

# Where the program of one argument's components lives: symbol kind and first index.
Argument = tuple[str, int, int | None]


def programs(model: Physics, members: Members) -> dict[str, Program]:
    """The programs of a model by name, in a fixed order.

    "rhs" (n results) unless a header has it, "outputs" (m), "noise" (n, zero where the model names
    none), "guards" (one for each event) and "reset_<k>" (n, for event k) where the model has them.

    Args:
        model: A model whose equations return what they should.
        members: Its tensors; numbered here as they are read.

    Raises:
        LoweringError: an equation has no kernel.
    """
    declared = model.declared
    found = {}
    if not isinstance(model, KernelPhysics):
        found["rhs"] = rhs_program(model, members)
    if declared.outputs:
        found["outputs"] = _single(model, members, "outputs", tuple(declared.outputs))
    if model.has_noise:
        found["noise"] = _stacked(model, members, NOISE, _zero)
    if declared.events:
        found["guards"] = _guards(model, members)
        for number, (name, event) in enumerate(declared.events.items()):
            if event.action is not None:
                found[f"reset_{number}"] = _stacked(model, members, f"{name}.reset", _unchanged)
    return found


def rhs_program(model: Physics, members: Members) -> Program:
    """The program of ``rhs`` as it is written in torch."""
    return _stacked(model, members, "rhs", _zero)


def _zero(builder: Builder, row: int) -> int:
    return builder.constant(0.0)


def _unchanged(builder: Builder, row: int) -> int:
    return builder.symbol("y", row)


def _stacked(
    model: Physics, members: Members, equation: str, missing: Callable[[Builder, int], int]
) -> Program:
    """An equation that names states; ``missing`` gives the components of those it leaves out."""
    builder = Builder(rewrite)
    recorder = _recorder(model, members, equation, builder)
    result = _follow(model, equation, recorder)
    places: list[int] = []
    for name, rows in model.declared.slices.items():
        if name not in result:
            places += [missing(builder, row) for row in range(rows.start, rows.stop)]
            continue
        places += _fitted(recorder, result[name], model.declared.states[name].size, name)
    return builder.program(places)


def _single(model: Physics, members: Members, equation: str, names: tuple[str, ...]) -> Program:
    builder = Builder(rewrite)
    recorder = _recorder(model, members, equation, builder)
    result = _follow(model, equation, recorder)
    return builder.program([p for n in names for p in _fitted(recorder, result[n], None, n)])


def _guards(model: Physics, members: Members) -> Program:
    builder = Builder(rewrite)
    places: list[int] = []
    for name in model.declared.events:
        recorder = _recorder(model, members, name, builder)
        places += _fitted(recorder, _follow(model, name, recorder), None, name)
    return builder.program(places)


def _recorder(model: Physics, members: Members, equation: str, builder: Builder) -> Recorder:
    devices = {member.tensor.device for member in members.found.values()}
    device = next(iter(devices)) if len(devices) == 1 else torch.device("cpu")
    return Recorder(f"{type(model).__name__}.{equation}", builder, members, TABLE, device)


def arguments(model: Physics) -> Mapping[str, Argument]:
    """Symbol kind, first index and size (None for a scalar) of every name an equation may ask."""
    declared = model.declared
    found: dict[str, Argument] = {"t": ("t", 0, None)}
    for name, rows in declared.slices.items():
        found[name] = ("y", rows.start, declared.states[name].size)
    for kind, names in (("p", declared.parameters), ("u", declared.inputs)):
        for index, name in enumerate(names):
            found[name] = (kind, index, None)
    return found


def _follow(model: Physics, equation: str, recorder: Recorder) -> Any:
    """What an equation returns, followed."""
    known = arguments(model)
    values = {name: _argument(recorder, known[name]) for name in model.arguments(equation)}
    try:
        with recorder:
            result = model.forward(equation, values)  # pyright: ignore[reportArgumentType]
    except TwinmlError:
        raise
    except Refused as refused:
        raise recorder.error("the equation", refused) from None
    except Exception as error:
        # The equation computes on numbers, so it is the stand-ins that it cannot take.
        place = model_place(error)
        raise LoweringError(
            f"{recorder.origin} cannot become a kernel: followed without numbers it raises "
            f"{type(error).__name__}: {error}{f' ({place})' if place else ''}. Write it by torch's "
            'operations on its arguments. engine="eager" runs it as it is.'
        ) from error
    if equation not in model.declared.events and not isinstance(result, Mapping):
        raise LoweringError(
            f"{recorder.origin} returned {type(result).__name__}; expected a dict that names each "
            "value."
        )
    return result


def _argument(recorder: Recorder, argument: Argument) -> Traced:
    kind, first, size = argument
    symbols = [recorder.builder.symbol(kind, first + i) for i in range(size or 1)]
    places = np.array(symbols, dtype=np.intp)
    return Traced(recorder, places if size is None else places[None], 0)


def _fitted(recorder: Recorder, value: Any, size: int | None, name: str) -> list[int]:
    """Places of the components of a returned value, spread as ``Physics`` does."""
    wanted = 1 if size is None else size
    with torch._C.DisableTorchFunction():
        traced = value if is_traced(value) else recorder.value(value)
        if is_bool(traced):
            traced = elementwise(recorder, lambda emit, x: x, [traced])
        shape = places_shape(traced)
        places = places_of(traced).ravel().tolist()
    whole = traced._batch == 0 and len(shape) == (1 if size is None else 2)
    shared = traced._batch is None and shape in ((), (1,), (size,))
    if not (whole or shared) or len(places) not in (1, wanted):
        raise LoweringError(
            f"{recorder.origin} returns shape {shown(shape)} for '{name}'; expected "
            f"{'(B,)' if size is None else f'(B, {size})'}. Use elementwise operations on the "
            "arguments."
        )
    return places * wanted if len(places) == 1 else places


def function_program(
    function: Callable[..., Any], names: tuple[str, ...], results: tuple[str, ...], origin: str
) -> Program:
    """The program of a function of numbers, not of a model; its arguments are ``y`` in their order.

    Args:
        function: Called with one stand-in for each name, shape (B,).
        names: Of its arguments.
        results: What it returns by name in a dict; a single result may stand alone.
        origin: Words that errors begin with.

    Raises:
        LoweringError: it has no kernel.
    """
    builder = Builder(rewrite)
    recorder = Recorder(origin, builder, Members({}), TABLE, torch.device("cpu"))
    values = {name: _argument(recorder, ("y", place, None)) for place, name in enumerate(names)}
    try:
        with recorder:
            found = function(**values)
    except TwinmlError:
        raise
    except Refused as refused:
        raise recorder.error("the function", refused) from None
    except Exception as error:
        place = model_place(error)
        raise LoweringError(
            f"{origin} cannot become a kernel: followed without numbers it raises "
            f"{type(error).__name__}: {error}{f' ({place})' if place else ''}. Write it by torch's "
            "operations on its arguments."
        ) from error
    if not isinstance(found, Mapping) and len(results) == 1:
        found = {results[0]: found}
    if not isinstance(found, Mapping) or set(found) != set(results):
        shown_as = list(found) if isinstance(found, Mapping) else type(found).__name__
        raise LoweringError(
            f"{origin} returned {shown_as}; expected a dict that names each of {list(results)}."
        )
    return builder.program([p for n in results for p in _fitted(recorder, found[n], None, n)])
