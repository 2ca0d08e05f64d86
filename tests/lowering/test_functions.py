"""Every scalar operation, printed, compiled and compared with the interpreter at the edges."""

from __future__ import annotations

import ctypes
import itertools
import re
import shutil
import subprocess

import numpy as np
import pytest

from tests.lowering.test_compiled import FLAGS, KERNELS
from tests.lowering.test_operations import EDGES
from twinml.lowering.evaluate import evaluate
from twinml.lowering.printer import print_function
from twinml.lowering.program import OPERATIONS, Builder, Program

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")

EACH = """
extern "C" void run_{name}(const tw::real* y, tw::count rows, tw::real* out) {{
  using namespace tw;
  for (count i = 0; i < rows; i += TW_LANES) {{
    Real ys[3], result[1];
    for (int k = 0; k < 3; ++k) ys[k] = load(y + k * rows + i);
    {name}(Real(real(0)), ys, nullptr, nullptr, nullptr, nullptr, result);
    store(out + i, result[0]);
  }}
}}
"""


def program_of(op: str) -> Program:
    """The operation on states 0, 1, 2; tests among operands and as result by comparison with 0."""
    builder, known = Builder(), OPERATIONS[op]
    places = []
    for index, letter in enumerate(known.operands):
        place = builder.symbol("y", index)
        if letter == "b":
            place = builder.apply("gt", place, builder.constant(0.0))
        places.append(place)
    result = builder.apply(op, *places)
    if known.result == "bool":
        one, zero = builder.constant(1.0), builder.constant(0.0)
        result = builder.apply("select", result, one, zero)
    return builder.program([result])


@pytest.fixture(scope="module", params=[64, 32])
def compiled(request, tmp_path_factory):
    bits = request.param
    parts = [f"#define TW_BITS {bits}", '#include "lane.h"', '#include "math.h"']
    parts += [
        "namespace tw {\ntypedef const real* const* Weights;\ntypedef long long count;",
        *(print_function(program_of(op), f"op_{op}") for op in OPERATIONS),
        "}",
        *(EACH.format(name=f"op_{op}") for op in OPERATIONS),
    ]
    folder = tmp_path_factory.mktemp("functions")
    (folder / "all.cpp").write_text("\n".join(parts))
    command = ["g++", *FLAGS, f"-I{KERNELS}", str(folder / "all.cpp"), "-o", str(folder / "all.so")]
    done = subprocess.run(command, capture_output=True, text=True)
    missing = sorted(set(re.findall("‘(\\w+)’ was not declared", done.stderr)))
    assert not missing, f"kernels/math.h has no {missing}"
    assert done.returncode == 0, done.stderr[:3000]
    return bits, ctypes.CDLL(str(folder / "all.so"))


@pytest.mark.parametrize("op", OPERATIONS)
def test_a_printed_operation_computes_what_the_interpreter_does(compiled, op):
    bits, binary = compiled
    dtype = np.float64 if bits == 64 else np.float32
    random = np.random.default_rng(0)
    count = len(OPERATIONS[op].operands)
    with np.errstate(all="ignore"):
        edges = np.array(EDGES).astype(dtype)
    table = np.array(list(itertools.product(edges, repeat=min(count, 2)))).T
    points = np.concatenate([table, random.normal(0, 3, (table.shape[0], 400))], axis=1)
    points = points[:, : points.shape[1] // 16 * 16]
    points = np.concatenate([points, random.permuted(points[:1].repeat(3, 0), axis=1)])[:3]
    y = np.ascontiguousarray(points, dtype=dtype)
    if op in ("fmod", "remainder"):
        with np.errstate(all="ignore"):
            # The whole quotient must be a number of the dtype.
            y[1] = np.where(np.abs(y[0] / y[1]) < 2.0 ** (20 if bits == 32 else 48), y[1], 1.5)
            y[0] = np.where(np.abs(y[0]) < 1e6, y[0], 2.25)
    out = np.zeros(y.shape[1], dtype=dtype)
    getattr(binary, f"run_op_{op}")(
        ctypes.c_void_p(y.ctypes.data), ctypes.c_longlong(y.shape[1]),
        ctypes.c_void_p(out.ctypes.data),
    )  # fmt: skip
    expected = np.broadcast_to(evaluate(program_of(op), {"y": y.astype(np.float64)})[0], out.shape)
    with np.errstate(all="ignore"):
        rounded = expected.astype(dtype)
        tolerance = 4 * np.finfo(dtype).eps
        if op in ("fma", "fms", "fnma"):
            tolerance = 1e-12 if bits == 64 else 1e-4
        # gelu: x/2 (1 + erf) cancels on the left, in torch as here.
        slack = tolerance * np.abs(rounded) + np.finfo(dtype).tiny
        if op == "gelu":
            slack = slack + 4 * np.finfo(dtype).eps * np.minimum(np.abs(y[0]), 20.0)
        if op == "silu":
            slack = slack + 1e-36  # far left, where it has vanished
        near = np.abs(out - rounded) <= slack
        same = (out == rounded) | (np.isnan(out) & np.isnan(rounded))
        # A result at the end of the range may round to either side of it.
        same |= np.abs(expected) >= 0.999999 * np.finfo(dtype).max
    good = near | same
    assert good.all(), list(zip(*(c[~good][:4] for c in (*y[:count], out, rounded)), strict=True))
