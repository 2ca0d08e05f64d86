"""Physics written once: declarations, name-bound equations, inputs over time."""

from twinml.physics.declarations import Input, Output, Parameter, State
from twinml.physics.dimensions import DimensionReport, check_dimensions
from twinml.physics.event import event
from twinml.physics.functions import sqrt0
from twinml.physics.interpolation import interp
from twinml.physics.kernel_physics import KernelPhysics
from twinml.physics.model import Physics
from twinml.physics.signal import Signal

__all__ = [
    "DimensionReport",
    "Input",
    "KernelPhysics",
    "Output",
    "Parameter",
    "Physics",
    "Signal",
    "State",
    "check_dimensions",
    "event",
    "interp",
    "sqrt0",
]
