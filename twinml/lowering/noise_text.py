"""What a kernel knows at compile time of a model's noise, for ``kernels/brownian.h``."""

from __future__ import annotations

from twinml.lowering.printer import Dialect, print_function
from twinml.lowering.program import Constant, Program


def noise_text(program: Program, dialect: Dialect = "cpp") -> tuple[str, str]:
    """The macros and functions of the noise: which components have any, and its size.

    Args:
        program: The noise coefficient of every state component.
        dialect: "cpp" or "cuda".
    """
    nodes = [program.nodes[place] for place in program.outputs]
    noisy = [
        component
        for component, node in enumerate(nodes)
        if not (isinstance(node, Constant) and node.value == 0.0)
    ]
    # An array may not be empty.
    table = f"TW_TABLE int NOISY[] = {{{', '.join(map(str, noisy or [0]))}}};\n"
    function = print_function(program, "noise", dialect)
    return f"#define TW_NOISY {len(noisy)}\n", table + function
