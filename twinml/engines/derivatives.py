"""Which derivatives a model's right-hand side has, and which methods they allow.

Torch derives every equation. A right-hand side in a header has the derivatives of its twin in
torch, else the first ones of its own ``rhs_jvp``, else none.
"""

from __future__ import annotations

from collections.abc import Sequence

from twinml.errors import DerivativeError
from twinml.physics import KernelPhysics, Physics
from twinml.physics.kernel_physics import has_twin, kernel_source
from twinml.solve.methods import AUTO, AUTO_NOISE, AUTO_PAIR, method_named, partners
from twinml.solve.problem import Problem
from twinml.solve.rosenbrock import RosenbrockTableau

_MANY = 2


def order_of_derivatives(model: Physics) -> int:
    """How often the right-hand side can be derived: 0, 1, or 2 for as often as anyone asks."""
    if not isinstance(model, KernelPhysics) or has_twin(model):
        return _MANY
    return int(kernel_source(model).has_jvp)


def methods_for(problem: Problem, method: str, derived: bool = False) -> Sequence[str]:
    """The methods of a run, in the order in which rows are handed over.

    Args:
        problem: What is run.
        method: As in ``simulate``.
        derived: Whether the steps will be derived, by which a stiff method's Jacobian is too.
    """
    if method != AUTO:
        return (method,)
    if problem.path is not None:
        return (AUTO_NOISE,)
    explicit = problem.dt is not None or order_of_derivatives(problem.model) < 1 + derived
    return partners(problem.y0.shape[0], explicit)


def check_derivatives(problem: Problem, method: str, derived: bool) -> None:
    """Refuse what needs derivatives that there are not.

    Raises:
        DerivativeError: names the method or the gradient, and what to write.
    """
    order = order_of_derivatives(problem.model)
    stiff = method != AUTO and isinstance(method_named(method), RosenbrockTableau)
    if order >= derived + stiff:
        return
    model = problem.model
    assert isinstance(model, KernelPhysics)
    where = f"{type(model).__name__}, whose rhs stands in {model.kernel} alone"
    if derived and order == 0:
        raise DerivativeError(
            f"A gradient is asked for of {where}: neither rhs in torch beside it nor rhs_jvp in "
            "the header gives one. Write either (tw.KernelPhysics shows both); torch.no_grad() "
            "says that none is needed."
        )
    if derived:
        raise DerivativeError(
            f"A gradient is asked for with method={method!r} of {where}: that takes second "
            "derivatives, and rhs_jvp gives first ones. Write rhs in torch beside it, or use "
            "method='tsit5'."
        )
    raise DerivativeError(
        f"method={method!r} needs the Jacobian of {where}: neither rhs in torch beside it nor "
        "rhs_jvp in the header gives it. Write either (tw.KernelPhysics shows both), or use "
        "method='tsit5'."
    )


def remark(problem: Problem, method: str, derived: bool) -> str:
    """What to add to the reason of a run whose stiff rows are not handed over, or nothing."""
    if method != AUTO or problem.path is not None or problem.dt is not None:
        return ""
    order = order_of_derivatives(problem.model)
    if order >= 1 + derived:
        return ""
    lacking = "its gradient would take second derivatives" if order else "it has no Jacobian"
    name = type(problem.model).__name__
    return f"; rows of {name} that turn stiff stay on {AUTO_PAIR[0]}, since {lacking}"
