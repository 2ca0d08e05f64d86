"""A whole translation unit: what is fixed at compile time, the emitted functions, the entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from twinml.lowering.noise_text import noise_text
from twinml.lowering.printer import Dialect, print_function
from twinml.lowering.rosenbrock_text import rosenbrock_text
from twinml.lowering.tableau_text import stochastic_text, tableau_text
from twinml.lowering.tangent_text import Moving, event_tangents, tangent_text
from twinml.solve.methods import method_named
from twinml.solve.rosenbrock import RosenbrockTableau
from twinml.solve.stochastic import StochasticTableau
from twinml.solve.tableau import ButcherTableau

if TYPE_CHECKING:
    from twinml.lowering import Lowered

ACTION_CODES = {"set": 0, "multiply": 1, "add": 2}


@final
@dataclass(frozen=True)
class Fragment:
    """Emitted text of a part of the kernel: macros, and functions that follow the prelude."""

    defines: str = ""
    functions: str = ""


@final
@dataclass(frozen=True)
class UnitSpec:
    """What a kernel is compiled for.

    Args:
        method: Name of the method.
        sizes: How many state components, parameters and inputs the model has.
        bits: Width of numbers, 64 or 32.
        fixed: Whether steps have a given size.
        hand_over: Whether rows that turn stiff leave.
        plain: Whether all rows take the same fixed steps.
        signals: Number of the input and whether it is linear, for each ``Signal``.
        changes: Number of the target (parameters, then inputs) and its action, each change.
        constants: How many constants quantities know.
        outputs: How many outputs are observed, 0 where quantities are kept.
        save: Whether trajectories are kept.
        events: Whether the model's events are watched.
        noise: Whether there is a Brownian path.
        record: Whether accepted steps are written down.
        registers: Vector registers a pack has on a CPU.
        moving: What derivatives are taken of, None for no derivatives.
        tape: Whether accepted steps are kept for derivatives that follow them backward.
    """

    method: str
    sizes: tuple[int, int, int]
    bits: int = 64
    fixed: bool = False
    hand_over: bool = False
    plain: bool = False
    signals: tuple[tuple[int, bool], ...] = ()
    changes: tuple[tuple[int, str], ...] = ()
    constants: int = 0
    outputs: int = 0
    save: bool = False
    events: bool = False
    noise: bool = False
    record: bool = False
    registers: int = 1
    moving: Moving | None = None
    tape: bool = False


def unit_text(
    lowered: Lowered,
    spec: UnitSpec,
    events: Fragment | None = None,
    functionals: Fragment | None = None,
    dialect: Dialect = "cpp",
) -> str:
    """The text of a kernel.

    Args:
        lowered: The model's programs.
        spec: What it is compiled for.
        events: Guards, resets and their macros; None without events.
        functionals: Quantities and their macros; None where trajectories or ends are kept.
        dialect: "cpp" or "cuda".
    """
    method = method_named(spec.method)
    dense = spec.save or events is not None or functionals is not None
    states, parameters, inputs = spec.sizes
    defines = [
        ("TW_BITS", spec.bits),
        ("TW_REGS", spec.registers),
        ("TW_N", states),
        ("TW_P", parameters),
        ("TW_U", inputs),
        ("TW_CONSTANTS", spec.constants),
        ("TW_SIGNALS", len(spec.signals)),
        ("TW_CHANGES", len(spec.changes)),
        ("TW_LINEAR", int(any(linear for _, linear in spec.signals))),
        ("TW_ADAPTIVE", int(not spec.fixed)),
        ("TW_HANDOVER", int(spec.hand_over)),
        ("TW_SAVE", int(spec.save)),
        ("TW_NOISE", int(spec.noise)),
        ("TW_RECORD", int(spec.record)),
        ("TW_STIFF_METHOD", int(isinstance(method, RosenbrockTableau))),
        ("TW_STOCHASTIC", int(isinstance(method, StochasticTableau))),
        ("TW_DENSE", int(dense)),
        ("TW_PLAIN", int(spec.plain)),
        ("TW_M", spec.outputs),
    ]
    if events is None:
        defines.append(("TW_EVENTS", 0))
    if functionals is None:
        defines.append(("TW_FUNCTIONALS", 0))
    if spec.tape:
        defines.append(("TW_TAPE", 1))
    method_defines, functions = _method(lowered, spec, dense, dialect)
    parts = [part for part in (events, functionals) if part is not None]
    if spec.moving is not None:
        linear = [place for place, linear in spec.signals if linear]
        more, text = tangent_text(
            method, lowered.programs["rhs"], spec.sizes, spec.moving, linear, dense
        )
        method_defines, functions = method_defines + more, [*functions, *text]
        if events is not None:
            functions += event_tangents(lowered.programs, spec.sizes, spec.moving)
    if spec.outputs:
        functions.append(print_function(lowered.programs["outputs"], "outputs", dialect))
    body = "\n".join([*functions, *(part.functions for part in parts)])
    defines += [
        ("TW_USES_LINEAR", int("linear<" in body)),
        ("TW_USES_TABLE", int("table_" in body)),
    ]
    blocks = [
        "\n".join(f"#define {name} {value}" for name, value in defines),
        method_defines,
        *(part.defines for part in parts),
        '#include "prelude.h"\n',
        "namespace tw {\n",
        forcing_tables(spec, inputs),
        *([lowered.header] if lowered.header else []),
        body,
        "}  // namespace tw\n",
        '#include "run.h"',
    ]
    return "\n".join(blocks) + "\n"


def _method(
    lowered: Lowered, spec: UnitSpec, dense: bool, dialect: Dialect
) -> tuple[str, list[str]]:  # fmt: skip
    """Macros of the method and the equations it evaluates."""
    method = method_named(spec.method)
    functions = [print_function(lowered.programs["rhs"], "rhs", dialect)]
    if isinstance(method, ButcherTableau):
        return tableau_text(method, not spec.fixed, dense, spec.hand_over), functions
    if isinstance(method, StochasticTableau):
        macros = stochastic_text(method)
        if spec.noise:
            more, text = noise_text(lowered.programs["noise"], dialect)
            macros, functions = macros + more, [*functions, text]
        return macros, functions
    moving = [place for place, linear in spec.signals if linear]
    return rosenbrock_text(method, lowered.programs["rhs"], moving, dialect, dense, spec.bits)


def forcing_tables(spec: UnitSpec, inputs: int) -> str:
    """Tables known at compile time, as ``kernels/forcing.h`` reads them."""
    signal_of = [-1] * inputs
    for number, (place, _) in enumerate(spec.signals):
        signal_of[place] = number
    return (
        "\n".join(
            [
                table_text("INPUT_SIGNAL", signal_of),
                table_text("SIGNAL_INPUT", [place for place, _ in spec.signals]),
                table_text("SIGNAL_LINEAR", [int(linear) for _, linear in spec.signals]),
                table_text("CHANGE_TARGET", [target for target, _ in spec.changes]),
                table_text("CHANGE_ACTION", [ACTION_CODES[action] for _, action in spec.changes]),
            ]
        )
        + "\n"
    )


def table_text(name: str, values: Sequence[int]) -> str:
    """A table of whole numbers under a name."""
    # An array may not be empty.
    return f"TW_TABLE int {name}[] = {{{', '.join(map(str, values or [0]))}}};"
