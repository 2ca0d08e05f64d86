"""``KernelPhysics``: a model whose right-hand side is a function in a C++/CUDA header."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from torch import Tensor

from twinml.errors import DeclarationError, KernelError, nearest
from twinml.physics.kernel_source import RHS, KernelSource, read_kernel
from twinml.physics.model import Physics

# Words of C++ that are names in Python, and the lane's own types.
_WORDS = """
alignas alignof and_eq asm auto bitand bitor bool case catch char compl const const_cast constexpr
decltype default delete do double dynamic_cast enum explicit export extern false float friend goto
inline int long mutable namespace new noexcept not_eq nullptr operator or_eq private protected
public register reinterpret_cast short signed sizeof static static_assert static_cast struct switch
template this thread_local throw true typedef typeid typename union unsigned using virtual void
volatile wchar_t xor xor_eq
Real Int Mask State Rates Parameters Inputs
"""
_TAKEN = frozenset(_WORDS.split())
_SHOWN = 10  # headers that an error lists


class KernelPhysics(Physics):
    """A model in continuous time whose ``rhs`` is a device function in a header.

    States, parameters, inputs, outputs and units are declared as in ``Physics``; ``outputs``,
    ``initial``, ``noise`` and events are torch methods as there. ``kernel`` names a header, found
    beside the file of the class, else in the working directory. It holds::

        TW_FN void rhs(const Real t, const State& y, const Parameters& p, const Inputs& u, Rates& d)
        {
          const Real outflow = p.k1 * sqrt0(y.h1);
          d.h1 = p.k4 * u.pump - outflow;
          d.h2 = outflow - p.k3 * sqrt0(y.h2);
        }

    The structs are made from the declarations: a member for each name, an array for a state with
    a size (``y.cell[3]``). Every member of ``d`` is to be set. The text is written in ``Real`` and
    ``Mask`` and the functions of ``kernels/lane.h`` and ``kernels/math.h``; numbers are
    ``Real(0.5)``, switches ``select(mask, a, b)``. One text serves the CPU and the GPU, float64
    and float32. No standard header is included; headers beside this one may be.

    An ``rhs`` in torch beside it is the header's twin: both are compared at random points before
    the first use, and gradients and the Jacobian of stiff methods are those of the twin. Without
    one the header may hold ``rhs_jvp``, the derivative along a direction::

        TW_FN void rhs_jvp(const Real t, const State& y, const Parameters& p, const Inputs& u,
                           const Real dt, const State& dy, const Parameters& dp, const Inputs& du,
                           Rates& d)

    which is compared with the twin, or with differences. Without either a gradient is an error,
    and rows that turn stiff stay on the explicit method.

    The eager engine evaluates the twin where there is one, which takes no compiler and so is not
    compared; else the compiled header.

    Raises:
        DeclarationError: when the class is made, if names, units or bounds contradict.
        KernelError: when the class is made, if there is no such header.
    """

    kernel: ClassVar[str] = ""
    _rhs_is_elsewhere: ClassVar[bool] = True
    _kernel_path: ClassVar[Path | None] = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not cls.declared.states:
            return
        for group in (cls.declared.states, cls.declared.parameters, cls.declared.inputs):
            for name in group:
                _check_member(cls, name)
        cls._kernel_path = _found(cls)

    def derivatives(self, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Stacked ``rhs`` of the torch twin, (n, B).

        Raises:
            KernelError: there is none.
        """
        if not has_twin(self):
            raise KernelError(
                f"{type(self).__name__} has no rhs in torch, only that of {self.kernel}, which an "
                "engine runs. Use tw.simulate, or write rhs beside it."
            )
        return super().derivatives(values, like)


def has_twin(model: Physics) -> bool:
    """Whether there is an ``rhs`` in torch."""
    return RHS in model.equations


_sources: WeakKeyDictionary[type, KernelSource] = WeakKeyDictionary()


def kernel_source(model: KernelPhysics) -> KernelSource:
    """The header as it is now; read again when a file of it was edited.

    Raises:
        KernelError: it is missing, or cannot be used.
    """
    cls = type(model)
    known = _sources.get(cls)
    if known is None or not known.current:
        path = cls._kernel_path
        if path is None or not path.is_file():
            path = cls._kernel_path = _found(cls)
        known = _sources[cls] = read_kernel(cls.kernel, path)
    return known


def _check_member(cls: type, name: str) -> None:
    if name in _TAKEN or name.startswith("TW_") or not name.isascii():
        raise DeclarationError(
            f"{cls.__name__} declares '{name}', which cannot be a member of a struct in its "
            "kernel: it is a word of C++ or of the kernels, or not plain ASCII. Choose another "
            "name."
        )


def _found(cls: type[KernelPhysics]) -> Path:
    """The file of the header: beside the class that names it, else in the working directory."""
    name = cls.kernel
    if not isinstance(name, str) or not name:
        raise DeclarationError(
            f"{cls.__name__} has kernel={name!r}; expected the name of the header that holds its "
            'rhs, such as kernel = "reactor.h". For equations in torch derive from tw.Physics.'
        )
    owner = next(base for base in cls.__mro__ if "kernel" in vars(base))
    file = getattr(sys.modules.get(owner.__module__), "__file__", None)
    folders = [Path(file).resolve().parent] if file else []
    folders.append(Path.cwd())
    for folder in folders:
        path = folder / name
        if path.is_file():
            return path
    near = sorted({header.name for folder in folders for header in folder.glob("*.h")})
    shown = [*near[:_SHOWN], f"and {len(near) - _SHOWN} more"] if len(near) > _SHOWN else near
    looked = " or ".join(dict.fromkeys(map(str, folders)))
    raise KernelError(
        f"{cls.__name__}.kernel = '{name}' is not in {looked}; headers there: {shown or 'none'}."
        f"{nearest(name, near)} The name is relative to the file of the class, else "
        "to the working directory; a wheel must list the header as package data."
    )
