"""From a model's torch equations to scalar programs, and from those to C++ and CUDA text.

No compiler and no device: ``lower`` follows equations, ``print_function`` prints programs,
``evaluate`` interprets them.
"""

from twinml.lowering.evaluate import evaluate
from twinml.lowering.lower import Lowered, TensorRef, lower
from twinml.lowering.printer import print_function
from twinml.lowering.program import Program

__all__ = ["Lowered", "Program", "TensorRef", "evaluate", "lower", "print_function"]
