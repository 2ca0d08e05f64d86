"""From a model's torch equations to scalar programs, and from those to C++ and CUDA text.

No compiler and no device: ``lower`` traces, ``print_function`` prints, ``evaluate`` interprets.
"""

from twinml.lowering.program import Program

__all__ = ["Program"]
