"""The ``Physics`` base class: declarations collected and names bound when a class is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from twinml.errors import DeclarationError, EquationError, ShapeError, TwinmlError, nearest
from twinml.frames import own_line, own_place
from twinml.physics.binding import NOISE, bind, collect
from twinml.physics.declarations import Declarations, check_bounds
from twinml.units import check_unit, quantity, same_dimension


class Physics(nn.Module):
    """A model in continuous time: dx/dt = rhs, observed through outputs.

    Subclasses declare ``State``, ``Parameter``, ``Input`` and ``Output`` as class attributes and
    write ``rhs`` (and ``outputs``, ``initial`` where needed) asking for what they use by name
    among ``t``, states, inputs and parameters. Each argument is a tensor of shape (*batch,), or
    (*batch, k) for a state of size k; ``rhs`` returns a dict with one derivative per state.
    ``noise``, where written, returns diffusion coefficients: with g of a state, that state moves
    by g dW besides (Ito, one independent Brownian motion for each scalar component), so g has
    the state's unit over the root of the time unit. A subclass with ``noise = None`` has none.
    Learned terms are ordinary ``nn.Module`` members.

    Raises:
        DeclarationError: when the class is made, if names, units or bounds contradict.
    """

    time_unit: ClassVar[str] = "s"
    declared: ClassVar[Declarations] = Declarations()
    _arguments: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    _rhs_is_elsewhere: ClassVar[bool] = False  # a class of its own kind may do without a method

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.declared = collect(cls, Physics)
        if cls.time_unit != "s":
            check_unit(cls.time_unit, f"{cls.__name__}.time_unit")
            if cls.time_unit != "1" and not same_dimension(cls.time_unit, "s"):
                raise DeclarationError(
                    f"{cls.__name__} has time_unit={cls.time_unit!r}, which does not measure time. "
                    "Use 's', 'min', 'h', 'day' or another unit of time, or '1' for equations "
                    "without dimension."
                )
        cls._arguments = bind(cls, Physics)

    def __init__(self) -> None:
        super().__init__()
        self._defaults: dict[str, float] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in type(self).declared.events:
            raise DeclarationError(
                f"{type(self).__name__}.{name} is declared as an event and cannot be assigned on "
                "the instance. Declare it again in a subclass."
            )
        if name in type(self).declared.names:
            raise DeclarationError(
                f"{type(self).__name__}.{name} is declared as "
                f"{type(getattr(type(self), name)).__name__} and cannot be assigned on the "
                "instance. Pass values to simulate(parameters=...), or use set_defaults(...)."
            )
        super().__setattr__(name, value)

    def set_defaults(self, **values: float | str) -> Physics:
        """Replace defaults of parameters on this instance; text may carry a unit ("12 kg").

        Returns:
            The model itself, so that calls can be chained.

        Raises:
            DeclarationError: unknown parameter, or a value outside its bounds.
            UnitError: a unit of another dimension.
        """
        parameters = self.declared.parameters
        for name, value in values.items():
            if name not in parameters:
                raise DeclarationError(
                    f"{type(self).__name__} has no parameter '{name}'; it has {list(parameters)}."
                    + nearest(name, parameters)
                )
            declared = parameters[name]
            number = quantity(value, declared.unit, f"parameter '{name}'")
            check_bounds("parameter", name, number, "value", declared.low, declared.high)
            self._defaults[name] = number
        return self

    def default(self, name: str) -> float | None:
        """Value of a parameter or input when a call gives none."""
        if name in self.declared.inputs:
            return self.declared.inputs[name].default
        return self._defaults.get(name, self.declared.parameters[name].default)

    def rhs(self, *args: Any) -> Mapping[str, Tensor]:
        """Time derivative of every state, per time unit. Written by the subclass."""
        raise NotImplementedError

    def derivatives(self, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Stacked ``rhs``.

        Args:
            values: Tensors by name, each (B,) or (B, k).
            like: The stacked state (n, B), which fixes shape and dtype.

        Returns:
            Derivatives, shape (n, B).

        Raises:
            ShapeError: ``rhs`` returned other names or shapes than the states.
        """
        return self._stack(self._call("rhs", values), like, "rhs", tuple(self.declared.states))

    @property
    def has_noise(self) -> bool:
        """Whether the equations are stochastic."""
        return NOISE in self._arguments

    def noise_states(self, values: Mapping[str, Tensor]) -> tuple[str, ...]:
        """States that ``noise`` names, in their order."""
        result = self._call(NOISE, values)
        states = self.declared.states
        for name in result:
            if name not in states:
                raise ShapeError(
                    f"{type(self).__name__}.noise returns '{name}', which is not a state; expected "
                    f"some of {list(states)}, a state left out has no noise."
                    + nearest(str(name), states)
                )
        return tuple(name for name in states if name in result)

    def noise_coefficients(self, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
        """Stacked ``noise``, zero for states that it does not name.

        Args:
            values: Tensors by name, each (B,) or (B, k).
            like: The stacked state (n, B), which fixes shape and dtype.

        Returns:
            Diffusion coefficients, shape (n, B).

        Raises:
            ShapeError: ``noise`` returned an unknown name, or a shape that is not the state's.
        """
        result = dict(self._call(NOISE, values))
        states = self.declared.states
        if any(name not in states for name in result):
            self.noise_states(values)
        complete = {name: result.get(name, 0.0) for name in states}
        return self._stack(complete, like, NOISE, tuple(states))

    def observe(self, values: Mapping[str, Tensor], like: Tensor) -> dict[str, Tensor]:
        """``outputs`` by name, each of shape (B,), in the dtype of ``like`` (n, B)."""
        if not self.declared.outputs:
            return {}
        result = self._call("outputs", values)
        expected = tuple(self.declared.outputs)
        self._check_names(result, expected, "outputs")
        return {
            name: _fit(result[name], None, like, f"{type(self).__name__}.outputs", name)
            for name in expected
        }

    def tied_initial(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Initial values that ``initial()`` derives from others; {} when it is not written."""
        if "initial" not in self._arguments:
            return {}
        result = self._call("initial", values)
        unknown = [name for name in result if name not in self.declared.states]
        if unknown:
            raise ShapeError(
                f"{type(self).__name__}.initial returns '{unknown[0]}', which is not a state; "
                f"expected some of {list(self.declared.states)}."
                + nearest(unknown[0], self.declared.states)
            )
        return dict(result)

    def arguments(self, equation: str) -> tuple[str, ...]:
        """Names that an equation asks for; () when it is not written."""
        return self._arguments.get(equation, ())

    @property
    def equations(self) -> tuple[str, ...]:
        """The equations that are written, "rhs" first."""
        return tuple(self._arguments)

    def forward(self, equation: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """One equation evaluated on values by name; "<event>.reset" is the reset of an event."""
        arguments = [values[name] for name in self._arguments[equation]]
        event, _, reset = equation.partition(".")
        if reset:
            return self.declared.events[event].apply(self, arguments)
        return getattr(self, equation)(*arguments)

    def _evaluate(self, equation: str, values: Mapping[str, Tensor]) -> Any:
        try:
            return self.forward(equation, values)
        except (TwinmlError, MemoryError, torch.OutOfMemoryError):
            raise
        except (Exception, SystemExit) as error:
            raise EquationError(
                f"{type(self).__name__}.{equation} failed: {own_line(error)}.{_advice(error)}"
            ) from error

    def _call(self, equation: str, values: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        origin = f"{type(self).__name__}.{equation}"
        result = self._evaluate(equation, values)
        if not isinstance(result, Mapping):
            named = self.declared.outputs if equation == "outputs" else self.declared.states
            what = "nothing" if result is None else type(result).__name__
            raise ShapeError(
                f"{origin} returned {what}; expected a dict that names each value, such as "
                f"{{{', '.join(f'{name!r}: ...' for name in named)}}}."
                + (" Is its 'return' missing?" if result is None else "")
            )
        return result

    def _check_names(
        self, result: Mapping[str, Any], expected: tuple[str, ...], where: str
    ) -> None:
        missing = [name for name in expected if name not in result]
        unknown = [name for name in result if name not in expected]
        if missing or unknown:
            parts = []
            if missing:
                parts.append(f"does not return {missing}")
            if unknown:
                parts.append(f"returns {unknown}, which is not declared")
            raise ShapeError(
                f"{type(self).__name__}.{where} {' and '.join(parts)}; expected exactly "
                f"{list(expected)}, one entry each. Correct the returned dict or the declarations."
                + (nearest(unknown[0], expected) if unknown else "")
            )

    def _stack(
        self, result: Mapping[str, Any], like: Tensor, where: str, expected: tuple[str, ...]
    ) -> Tensor:
        self._check_names(result, expected, where)
        origin = f"{type(self).__name__}.{where}"
        rows = []
        for name in expected:
            size = self.declared.states[name].size
            value = _fit(result[name], size, like, origin, name)
            if size is None:
                rows.append(value.unsqueeze(0))
            else:
                rows.append(value.movedim(-1, 0))
        return torch.cat(rows) if len(rows) > 1 else rows[0]


def _advice(error: BaseException) -> str:
    """What to write instead, where the mistake is one that many make."""
    text = str(error)
    if "Boolean value of Tensor" in text:
        return " An equation sees all rows at once: choose with torch.where(condition, a, b)."
    if "only one element tensors" in text or "converted to Python scalars" in text:
        return " An equation sees all rows at once: use torch's functions instead of math's."
    return " Correct that line." if own_place(error) else ""


def _fit(value: Any, size: int | None, like: Tensor, origin: str, name: str) -> Tensor:
    """One returned value, brought to (B,) or (B, k) in the dtype of the state."""
    batch = like.shape[1]
    shape = (batch,) if size is None else (batch, size)
    if isinstance(value, (int, float)):
        return like.new_full(shape, float(value))
    if not isinstance(value, Tensor):
        raise ShapeError(
            f"{origin} returns {type(value).__name__} for '{name}'; expected a tensor of shape "
            f"{shape}, one value per row of the batch. Compute it from the arguments with torch."
        )
    if value.is_complex():
        raise ShapeError(
            f"{origin} returns complex values for '{name}'; expected real ones. Take the real part "
            "where that is meant."
        )
    if value.dtype != like.dtype:
        value = value.to(like.dtype)
    if value.shape != shape:
        # Only a value shared by all rows may be spread; anything else hides a mistake.
        if value.ndim == 0 or value.shape == (1,) or (size is not None and value.shape == (size,)):
            return value.expand(shape)
        raise ShapeError(
            f"{origin} returns shape {tuple(value.shape)} for '{name}'; expected {shape}, one "
            "value per row of the batch. Use elementwise operations on the arguments."
        )
    return value
