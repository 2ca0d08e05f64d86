"""The error tree: every error a user can meet sits under ``TwinmlError``.

Two branches carry the exit code of the command line: ``InputError`` (2, the user's
input, found before any work) and ``WorkError`` (1, the work itself failed or a check
said no). Texts say what arrived, what was expected and why, and what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TwinmlError(Exception):
    """Base of all errors raised on purpose by this package."""

    exit_code = 1


class InputError(TwinmlError):
    """Something the user gave cannot be used; nothing has been computed yet."""

    exit_code = 2


class WorkError(TwinmlError):
    """The input was good, the work failed or a check said no."""

    exit_code = 1


class DeclarationError(InputError):
    """A ``Physics`` class contradicts itself."""


class UnitError(InputError):
    """A unit does not parse, or two units measure different things."""


class ShapeError(InputError):
    """A tensor has a shape that does not fit its role."""


class ArgumentError(InputError):
    """A verb was called with a value it cannot use."""


class NoGradientError(ArgumentError):
    """A kernel has no derivative of what was asked for; ``engine="auto"`` then runs eager."""


class ConfigError(InputError):
    """A configuration key, group or value is wrong."""


class DataError(InputError):
    """A record or table cannot be read as it stands."""


class ExpressionError(InputError):
    """An expression is outside the language or names something unknown."""


class ScenarioError(InputError):
    """A scenario contradicts itself or its twin."""


class EquationError(InputError):
    """The user's own code in a model raised; the text shows their line."""


class LoweringError(InputError):
    """An equation cannot be turned into a kernel; ``engine="auto"`` then runs eager."""


class KernelError(InputError):
    """A kernel that the user wrote cannot be used; the text shows their file and line."""


class DerivativeError(InputError):
    """A derivative is needed of a kernel that gives none."""


class LockedError(InputError):
    """Another process works in the same directory."""


class MissingDependencyError(InputError):
    """An optional package is needed and not installed."""


class NoCompilerError(MissingDependencyError):
    """Generated kernels need a C++ compiler, and none was found."""


class CompileError(WorkError):
    """A generated kernel could not be compiled, stored or loaded.

    Args:
        text: The message.
        log: All that the compiler said, or "".
    """

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(text)
        self.log = log


class SolveError(WorkError):
    """Every row of a simulation failed, or a result was asked for that does not exist."""


class DeviceError(WorkError):
    """A GPU failed, was lost, or does not take a kernel."""


class OutOfMemoryError(WorkError, MemoryError):
    """What a run must hold at once does not fit into this machine's memory."""


class CalibrationError(WorkError):
    """No start of a calibration reached a usable fit."""


class SweepError(WorkError):
    """A sweep could not be executed or its stored result is not whole."""


class DiskFullError(SweepError):
    """The disk of a sweep's folder took no more; what was finished before is whole."""


class LauncherError(WorkError):
    """A batch system did not take a job, lost it or killed it."""


class WorkerError(SweepError):
    """A worker cannot compute a sweep's rows as it was planned; the text names its host."""


class SurrogateError(WorkError):
    """A surrogate could not be fitted to the rows it was given."""


class ExportError(WorkError):
    """An artifact could not be written."""


class ParityError(WorkError):
    """An artifact computes other numbers than the model it came from."""


class IntegrityError(WorkError):
    """A stored file is not, byte for byte, what was written."""


class ReproductionError(WorkError):
    """A run, done again, gave other numbers."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The clause "; did you mean 'x'?" for a misspelt name, or an empty string."""
    match = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean '{match[0]}'?" if match else ""
