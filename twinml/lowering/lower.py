"""``lower``: the programs of a model, kept as long as the model stays as it is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from twinml.errors import EquationError, LoweringError
from twinml.lowering.check import check_jacobian, check_values
from twinml.lowering.header import header_program, header_text, with_twins
from twinml.lowering.points import Points, sample
from twinml.lowering.program import Program
from twinml.lowering.recorder import Members
from twinml.lowering.simplify import fused
from twinml.lowering.trace import programs, rhs_program
from twinml.lowering.version import fingerprint, members
from twinml.physics.kernel_physics import KernelPhysics, has_twin, kernel_source
from twinml.physics.model import Physics


@final
@dataclass(frozen=True)
class TensorRef:
    """A tensor of the model that programs read by its number.

    Args:
        path: Attributes that lead to it, such as "friction.layers.0.weight".
        shape: Of the tensor; read in row-major order.
        tensor: The tensor itself: training in place is seen at the next launch.
    """

    path: str
    shape: tuple[int, ...]
    tensor: Tensor


@final
@dataclass(frozen=True)
class Lowered:
    """What ``lower`` gives.

    Args:
        model: Name of the class.
        programs: By name: "rhs", and "outputs", "noise", "guards", "reset_<k>" where there are.
        tensors: In the order of the pointers of a launch.
        digest: Of the programs; equal for equal equations, whatever the weights' values.
        header: Text that the functions of the programs call: that of a ``KernelPhysics``, or "".
        twinless: Why there is no program of an ``rhs`` in torch beside a header, or "".
    """

    model: str
    programs: Mapping[str, Program]
    tensors: tuple[TensorRef, ...]
    digest: str
    header: str = ""
    twinless: str = ""

    def followed(self) -> Program | None:
        """The right-hand side as it can be followed backward, headers by their twins; or None."""
        return with_twins(self.programs["rhs"])

    def read(self, dtype: torch.dtype) -> list[Tensor]:
        """Current values of the tensors, contiguous, in ``dtype``, on their own devices."""
        return [ref.tensor.detach().to(dtype).contiguous() for ref in self.tensors]


@final
@dataclass(frozen=True)
class _Entry:
    values: bytes
    kept: tuple[Any, ...]
    result: Lowered | LoweringError

    @property
    def reshaped(self) -> bool:
        """Whether a tensor was given another shape in place."""
        tensors = () if isinstance(self.result, LoweringError) else self.result.tensors
        return any(ref.tensor.shape != ref.shape for ref in tensors)


# Programs whose derivatives were found right in this process.
_checked: set[str] = set()
_cache: WeakKeyDictionary[Physics, _Entry] = WeakKeyDictionary()


def lower(model: Physics) -> Lowered:
    """The programs of a model's equations.

    Cached for each model until one of its numbers, tensors or submodules is exchanged; values of
    weights may change. Numbers of the module that holds the equations are read once.

    Raises:
        LoweringError: an equation has no kernel; the text names the line and a rewrite.
        ShapeError, EquationError: an equation does not return what it should.
    """
    entry = _cache.get(model)
    if entry is None or entry.values != fingerprint(model)[0] or entry.reshaped:
        entry = _cache[model] = _lowered(model)
    if isinstance(entry.result, LoweringError):
        raise entry.result.with_traceback(None)
    return entry.result


def _lowered(model: Physics) -> _Entry:
    points, wrong = None, None
    try:
        points = sample(model)
    except EquationError as error:
        wrong = error  # perhaps only of many rows at once, as `if x > 0:` is
    values, kept = fingerprint(model)
    try:
        return _Entry(values, kept, _followed(model, values, points, wrong))
    except LoweringError as error:
        return _Entry(values, kept, error)


def _followed(
    model: Physics, version: bytes, points: Points | None, wrong: EquationError | None
) -> Lowered:
    tensors = Members(members(model))
    before = [(module, dict(vars(module))) for module in model.modules()]
    try:
        plain = programs(model, tensors)
        twin, without = _twin(model, tensors)
        changed = fingerprint(model)[0] != version
    finally:
        _restore(before)
    if changed:
        raise LoweringError(
            f"{type(model).__name__} sets an attribute of its own while its equations are "
            "evaluated, which a kernel cannot do. Return what is to be seen as an Output. "
            'engine="eager" runs it as it is.'
        )
    if points is None:
        assert wrong is not None
        raise wrong
    references = tuple(
        TensorRef(member.path, tuple(member.tensor.shape), member.tensor) for member in tensors.used
    )
    final_programs = {name: fused(program) for name, program in plain.items()}
    traced, header = dict(final_programs), ""
    if isinstance(model, KernelPhysics):
        source = kernel_source(model)
        if twin is not None:
            traced = {"rhs": fused(twin), **final_programs}
        call = header_program(model.declared, source, traced.get("rhs"))
        final_programs = {"rhs": call, **final_programs}
        header = header_text(model.declared, source)
    text = "\n".join(f"{name}\n{program.text()}" for name, program in final_programs.items())
    digest = hashlib.sha256(text.encode()).hexdigest()
    name = type(model).__name__
    lowered = Lowered(name, final_programs, references, digest, header, without)
    weights = lowered.read(torch.float64)
    check_values(model, traced, weights, points)
    if digest not in _checked:
        if "rhs" in traced:
            check_jacobian(model, traced["rhs"], weights, points)
        _checked.add(digest)
    return lowered


def _twin(model: Physics, members: Members) -> tuple[Program | None, str]:
    """The program of an ``rhs`` that stands beside a header, or why there is none."""
    if not isinstance(model, KernelPhysics):
        return None, ""
    if not has_twin(model):
        return None, f"{type(model).__name__} has no rhs in torch"
    try:
        return rhs_program(model, members), ""
    except LoweringError as error:
        return None, str(error)


def _restore(before: list[tuple[nn.Module, dict[str, Any]]]) -> None:
    """Take back what equations have set on their model: stand-ins of tensors are no values."""
    for module, attributes in before:
        now = vars(module)
        for name in [name for name in now if name not in attributes]:
            del now[name]
        now.update((n, v) for n, v in attributes.items() if n not in now or now[n] is not v)
