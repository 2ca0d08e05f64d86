"""A field operation compiled for the CPU, or taken out of the kernel cache."""

from __future__ import annotations

import functools

from twinml.engines.native.library import Library, load
from twinml.errors import CompileError, NoCompilerError
from twinml.fields.declaration import FieldSpec
from twinml.fields.text import Kind, unit_text


@functools.lru_cache(maxsize=256)
def library_for(spec: FieldSpec, kind: Kind, bits: int) -> Library:
    """The operation's library; compiled once, then out of the cache on disk.

    Raises:
        NoCompilerError: there is no compiler.
        CompileError: the user's text does not compile; the message has its file and line.
    """
    try:
        return load(unit_text(spec, kind, bits))
    except NoCompilerError as error:
        raise NoCompilerError(
            f"field_op '{spec.name}' is a kernel that is compiled on this machine, and no C++ "
            "compiler can be used. Install one (apt-get install g++, dnf install gcc-c++, "
            "xcode-select --install, or pip install 'twinml[native]'), or name one by TWINML_CXX. "
            "No engine runs it without."
        ) from error
    except CompileError as error:
        raise CompileError(worded(spec, kind, str(error))) from error


# Lines of a message that name files and not what the compiler said.
_FILES = ("  source:", "  log:", "  command:", "  options:")


def worded(spec: FieldSpec, kind: Kind, told: str) -> str:
    """The compiler's own lines, which name the user's text, without advice for generated units."""
    lines = [line for line in told.splitlines() if line.startswith("  ")]
    said = [line for line in lines if not line.startswith(_FILES)]
    files = [line for line in lines if line not in said]
    if not said or "error" not in told:
        return told
    hint = ""
    if kind == "tangent":
        hint = (
            " This is the tangent build, where Real is a number with its derivative (kernels/"
            "dual.h): stiff methods and forward-mode derivatives need it."
        )
    return (
        f"field_op '{spec.name}' does not compile; expected C++ in the types of kernels/lane.h "
        f"(Real(0.5), not 0.5; select(mask, a, b), not if).{hint} The compiler says:\n"
        + "\n".join([*said, *files])
        + "\nCorrect the text."
    )
