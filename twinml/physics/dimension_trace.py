"""Values that carry their unit through torch operations."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from twinml.units import Measure

# Frames of these folders are not the user's text.
_OURS = (str(Path(__file__).parent), str(Path(torch.__file__).parent))
# Numbers below this size are taken as guards against division by zero, not as quantities.
_TINY = 1e-6


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SAME = _words(
    "add sub rsub iadd isub minimum maximum fmin fmax hypot fmod remainder clamp clip clamp_min "
    "clamp_max lerp"
)
_COMPARE = _words("lt le gt ge eq ne isclose")
_KEEP = _words(
    "abs neg positive relu clone contiguous detach sum mean getitem reshape view squeeze unsqueeze "
    "expand movedim permute flatten cumsum roll index_select narrow select T to double float "
    "nan_to_num floor ceil round trunc amax amin unbind split chunk"
)
_PURE = _words(
    "exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh acosh "
    "atanh sigmoid softplus silu gelu erf erfc softmax logit"
)
# zeros_like is left out: a zero has any unit.
_NUMBER = _words("sign heaviside ones_like new_ones isfinite isnan")


@final
@dataclass(frozen=True)
class Finding:
    """One place where units disagree.

    Args:
        equation: Class and method, such as "Kiln.rhs".
        kind: "dimension", "scale", "argument" or "offset".
        message: What disagrees and what to do.
        file, line: The user's text, or "" and 0 where unknown.
    """

    equation: str
    kind: str
    message: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        where = f" ({Path(self.file).name}:{self.line})" if self.file else ""
        return f"{self.equation}{where}: {self.message}"


@final
class Ledger:
    """Collects findings; knows which equation is being followed."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.equation = ""

    def add(self, kind: str, message: str, file: str | None = None, line: int = 0) -> None:
        if file is None:
            file, line = _user_line()
        found = Finding(self.equation, kind, message, file, line)
        if found not in self.findings:
            self.findings.append(found)

    def returned(self, what: str, value: Any, expected: Measure) -> bool:
        """Check a result against its declaration; False when its unit is unknown."""
        if not isinstance(value, Traced):
            return isinstance(value, (int, float))
        if value.measure is None:
            return False
        factor = value.measure.factor(expected)
        if factor is None:
            self.add(
                "dimension",
                f"{what} is returned in {value.measure}, and its declaration asks for {expected}.",
                "",
            )
        elif not _explained(factor, value.numbers):
            self.add(
                "scale",
                f"{what} is returned in {value.measure}, and its declaration asks for {expected}: "
                f"they differ by a factor of {factor:g}. Multiply by it, or declare units that "
                "agree.",
                "",
            )
        return True


@final
class Traced(Tensor):
    """A tensor with a unit; ``measure`` is None once it cannot be followed.

    ``numbers`` are the factors written as numbers: one of them may convert between units.
    """

    measure: Measure | None
    numbers: tuple[float, ...]
    ledger: Ledger

    @staticmethod
    def of(
        plain: Tensor, measure: Measure | None, ledger: Ledger, numbers: tuple[float, ...] = ()
    ) -> Traced:
        value = plain.as_subclass(Traced)
        value.measure, value.ledger, value.numbers = measure, ledger, numbers
        return value

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "").strip("_")
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
        if name in ("get", "set"):  # attributes such as shape and dtype
            return result
        operands = [a for a in _flat((*args, *kwargs.values())) if _counts(a)]
        ledger = next(a.ledger for a in operands if isinstance(a, Traced))
        measure, numbers = _rule(name, args, operands, ledger)

        def wrap(part: Any) -> Any:
            if not isinstance(part, Tensor):
                return part
            # The same tensor may come back, as from ``to``; its unit must not be overwritten.
            return Traced.of(part.as_subclass(Tensor), measure, ledger, numbers)

        if isinstance(result, (tuple, list)):
            return type(result)(wrap(part) for part in result)
        return wrap(result)


_Result = tuple[Measure | None, tuple[float, ...]]


def _rule(name: str, args: tuple[Any, ...], operands: list[Any], ledger: Ledger) -> _Result:
    one = Measure.of("1")
    first = args[0] if args else None
    if name == "where":
        return _same("chooses between", operands[1:] or operands, ledger)
    if name in ("stack", "cat", "concat", "hstack"):
        # A vector of unlike values usually feeds a network: nothing to say about it.
        return _alike(operands)
    if name in _COMPARE:
        _same("compares", operands, ledger)
        return one, ()
    if name in _SAME:
        return _same("combines" if name in ("hypot", "lerp") else _WORDS.get(name, "limits"),
                     operands, ledger)  # fmt: skip
    if name == "atan2":
        _same("takes the angle of", operands, ledger)
        return one, ()
    if name in ("mul", "imul", "rmul", "multiply"):
        return _product(operands[0], operands[1])
    if name in ("div", "truediv", "itruediv", "true_divide", "divide"):
        _no_offset("divides by", operands[1], ledger)
        return _ratio(operands[0], operands[1])
    if name in ("rdiv", "rtruediv"):
        _no_offset("divides by", operands[0], ledger)
        return _ratio(operands[1], operands[0])
    if name in ("dot", "matmul", "inner"):
        return _product(operands[0], operands[1])
    if name in ("pow", "float_power", "ipow", "rpow", "square", "sqrt", "rsqrt", "reciprocal",
                "sqrt0"):  # fmt: skip
        return _power(name, operands, ledger)
    if name in ("deg2rad", "rad2deg"):
        given, made = ("deg", "rad") if name == "deg2rad" else ("rad", "deg")
        return _turned(first, Measure.of(given), Measure.of(made), ledger), ()
    if name in _PURE:
        _pure(name, first, ledger)
        return one, ()
    if name in _NUMBER:
        return one, ()
    if name in _KEEP and isinstance(first, Traced):
        return first.measure, first.numbers
    return None, ()


_WORDS = {"add": "adds", "iadd": "adds", "sub": "subtracts", "isub": "subtracts",
          "rsub": "subtracts", "remainder": "divides", "fmod": "divides"}  # fmt: skip


def _same(word: str, operands: list[Any], ledger: Ledger) -> _Result:
    """Operands that must agree; the result is in the unit of the first that is known."""
    known = [a for a in operands if isinstance(a, Traced) and a.measure is not None]
    if not known:
        return None, ()
    base, one = known[0], Measure.of("1")
    measure = base.measure
    assert measure is not None
    # A value that was followed and one that was not: the sum has the unit of the first.
    for other in known[1:]:
        assert other.measure is not None
        factor = other.measure.factor(measure)
        if factor is None:
            hint = ""
            if base.numbers or other.numbers:
                hint = " A constant written as a number has no unit: declare it as a tw.Parameter."
            ledger.add("dimension", f"{word} values in {measure} and {other.measure}.{hint}")
        elif not _explained(factor, (*base.numbers, *other.numbers)):
            ledger.add(
                "scale",
                f"{word} values in {measure} and {other.measure}, which differ by a factor of "
                f"{factor:g}. Convert one of them.",
            )
    for number in (a for a in operands if not isinstance(a, Tensor)):
        if abs(number) < _TINY or math.isinf(number) or measure.factor(one) is not None:
            continue
        if abs(number) == 273.15 and word in ("adds", "subtracts"):
            measure = Measure(measure.unit)  # degC to kelvin, by hand
            continue
        ledger.add(
            "dimension",
            f"{word} a value in {measure} and the bare number {number:g}. Make the number a "
            "tw.Parameter with a unit.",
        )
    offsets = sum(a.measure is not None and a.measure.offset for a in known)
    if word == "subtracts" and offsets == 2:
        measure = Measure(measure.unit)
    return measure, base.numbers


def _alike(operands: list[Any]) -> _Result:
    first = operands[0] if operands else None
    if not isinstance(first, Traced) or first.measure is None:
        return None, ()
    for other in operands[1:]:
        if not isinstance(other, Traced) or other.measure is None:
            return None, ()
        if other.measure.factor(first.measure) != 1.0:
            return None, ()
    return first.measure, first.numbers


def _product(a: Any, b: Any) -> _Result:
    (left, m), (right, n) = _measured(a), _measured(b)
    return (left.times(right) if left and right else None), (*m, *n)


def _ratio(a: Any, b: Any) -> _Result:
    (left, m), (right, n) = _measured(a), _measured(b)
    return (left.over(right) if left and right else None), (*m, *(1.0 / v for v in n if v))


def _power(name: str, operands: list[Any], ledger: Ledger) -> _Result:
    fixed = {"square": 2.0, "sqrt": 0.5, "sqrt0": 0.5, "rsqrt": -0.5, "reciprocal": -1.0}
    base, exponent = operands[0], fixed.get(name)
    if exponent is None:
        base, raised = (operands[1], operands[0]) if name == "rpow" else operands[:2]
        if isinstance(raised, Traced):
            _pure("a power", raised, ledger)
            # A power that is itself a parameter: only numbers without dimension may be raised.
            _pure("a varying power", base, ledger)
            return Measure.of("1"), ()
        exponent = float(raised) if not isinstance(raised, Tensor) else None
    measure, numbers = _measured(base)
    if measure is None or exponent is None:
        return None, ()
    if exponent != 1.0:
        _no_offset("takes a power of", base, ledger)
    return measure.power(exponent), tuple(_raised(v, exponent) for v in numbers)


def _raised(number: float, exponent: float) -> float:
    try:
        return abs(number) ** exponent
    except (OverflowError, ZeroDivisionError):
        return 1.0


def _pure(name: str, value: Any, ledger: Ledger) -> None:
    """The argument of a function that is defined for numbers without dimension only."""
    if not isinstance(value, Traced) or value.measure is None:
        return
    factor = value.measure.factor(Measure.of("1"))
    if factor is None:
        ledger.add(
            "argument",
            f"takes {name} of a value in {value.measure}; only a number without dimension has "
            "one. Divide by a reference value.",
        )
    elif not _explained(factor, value.numbers):
        ledger.add(
            "argument",
            f"takes {name} of a value in {value.measure}, which is {factor:g} in plain numbers. "
            "Convert it first.",
        )


def _turned(value: Any, given: Measure, made: Measure, ledger: Ledger) -> Measure | None:
    """Degrees to radians or back, for an angle or the rate of one."""
    if not isinstance(value, Traced) or value.measure is None:
        return None
    plain = value.measure.factor(Measure.of("1"))
    if plain is not None and value.measure.factor(given) != 1.0:
        ledger.add("argument", f"converts a value in {value.measure} as if it were in {given}.")
    return value.measure.over(given).times(made) if value.measure is not None else None


def _no_offset(word: str, value: Any, ledger: Ledger) -> None:
    if isinstance(value, Traced) and value.measure is not None and value.measure.offset:
        ledger.add(
            "offset",
            f"{word} a value in {value.measure}, whose zero is arbitrary. Convert it to kelvin "
            "first, or use a difference.",
        )


def _measured(value: Any) -> _Result:
    if isinstance(value, Traced):
        return value.measure, value.numbers
    if isinstance(value, Tensor):
        return None, ()
    return Measure.of("1"), (float(value),)


def _explained(factor: float, numbers: tuple[float, ...]) -> bool:
    """Whether units agree, or a number in the text is the factor between them."""

    def close(a: float, b: float) -> bool:
        return math.isclose(a, b, rel_tol=1e-9)

    total = math.prod(numbers)
    return close(factor, 1.0) or any(
        close(factor, abs(v)) or close(1.0, factor * abs(v)) for v in (*numbers, total)
    )


def _counts(value: Any) -> bool:
    return isinstance(value, (Tensor, int, float)) and not isinstance(value, bool)


def _flat(values: Any) -> list[Any]:
    result: list[Any] = []
    for value in values:
        result += _flat(value) if isinstance(value, (tuple, list)) else [value]
    return result


def _user_line() -> tuple[str, int]:
    """File and line of the innermost frame that is neither torch's nor this package's."""
    frame = sys._getframe(1)
    while frame is not None:
        if not frame.f_code.co_filename.startswith(_OURS):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return "", 0
