"""Emitted functions, compiled with the kernels' headers, against the interpreter."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

import twinml as tw
from tests.lowering.models import Hybrid, OneFunction, OneVector
from twinml.library import BouncingBall, CascadedTanks, HeaterPair, Lorenz
from twinml.lowering import evaluate, lower, print_function

KERNELS = Path(__file__).resolve().parents[2] / "kernels"
FLAGS = [
    "-O2", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
    "-fno-exceptions", "-fno-rtti", "-fPIC", "-shared", "-march=x86-64-v3",
]  # fmt: skip
ROWS = 16

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")

EACH = """
extern "C" void run_{name}(const tw::real* t, const tw::real* y, const tw::real* p,
                           const tw::real* u, const tw::Weights w, tw::real* out) {{
  using namespace tw;
  for (int i = 0; i < {rows}; i += TW_LANES) {{
    Real ys[{n} + 1], ps[{p} + 1], us[{u} + 1], outs[{m} + 1];
    for (int k = 0; k < {n}; ++k) ys[k] = load(y + k * {rows} + i);
    for (int k = 0; k < {p}; ++k) ps[k] = load(p + k * {rows} + i);
    for (int k = 0; k < {u}; ++k) us[k] = load(u + k * {rows} + i);
    {name}(load(t + i), ys, ps, us, nullptr, w, outs);
    for (int k = 0; k < {m}; ++k) store(out + k * {rows} + i, outs[k]);
  }}
}}
"""


class Network(tw.Physics):
    """Layers of every width that the blocks of ``linear`` part differently."""

    x = tw.State("1", initial=0.5, size=3)

    def __init__(self) -> None:
        super().__init__()
        self.nets = torch.nn.ModuleList(
            tw.nn.mlp(3, 3, hidden=(width, 2 * width + 1), zero=False, seed=width)
            for width in (1, 4, 7, 8, 11, 12, 13, 16, 17)
        )

    def rhs(self, x):
        total = 0.0
        for net in self.nets:
            total = total + torch.stack(net(*x.unbind(-1)), dim=-1)
        return {"x": total}


def switches(x, y, z):
    calm = (x > -1.0) & ~(y >= z) | torch.isnan(z) ^ torch.signbit(x)
    chosen = torch.where(calm, torch.clamp(x, min=y).clamp(max=1.0), torch.minimum(x, z))
    return chosen + torch.where(torch.isfinite(z), torch.round(x) - torch.floor(y), x % 2.0)


MODELS = {
    "Lorenz": Lorenz,
    "CascadedTanks": CascadedTanks,
    "HeaterPair": HeaterPair,
    "BouncingBall": BouncingBall,
    "Hybrid": Hybrid,
    "Network": Network,
    "tests": lambda: OneFunction(switches),
    "vector": lambda: OneVector(lambda m, v, a: v @ m.weight.T - 0.5 * v.roll(1, -1) / a[:, None]),
}


@pytest.fixture(scope="module", params=[(64, 1), (32, 1), (32, 2)], ids=str)
def library(request, tmp_path_factory):
    """All functions of all models, in one library."""
    bits, registers = request.param
    parts = [f"#define TW_BITS {bits}\n#define TW_REGS {registers}"]
    parts += [f'#include "{name}"' for name in ("lane.h", "math.h", "linear.h", "table.h")]
    for key, make in MODELS.items():
        model = make()
        declared = model.declared
        for name, program in lower(model).programs.items():
            function = f"{key}_{name}"
            parts.append(f"namespace tw {{\n{print_function(program, function)}}}")
            sizes = {"n": declared.width, "p": len(declared.parameters), "u": len(declared.inputs)}
            parts.append(EACH.format(name=function, rows=ROWS, m=len(program.outputs), **sizes))
    folder = tmp_path_factory.mktemp("compiled")
    source = folder / "all.cpp"
    source.write_text("\n".join(parts))
    binary = folder / "all.so"
    command = ["g++", *FLAGS, f"-I{KERNELS}", str(source), "-o", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return bits, ctypes.CDLL(str(binary))


def called(function, dtype, arrays, weights, results):
    out = np.full((results, ROWS), 7.0, dtype=dtype)
    held = [np.ascontiguousarray(array, dtype=dtype) for array in arrays]
    pointers = (ctypes.c_void_p * (len(weights) + 1))(*[w.ctypes.data for w in weights], None)
    function(*(ctypes.c_void_p(a.ctypes.data) for a in held), pointers,
             ctypes.c_void_p(out.ctypes.data))  # fmt: skip
    return out


@pytest.mark.parametrize("key", MODELS)
def test_a_compiled_function_computes_what_the_interpreter_does(library, key):
    bits, binary = library
    dtype = np.float64 if bits == 64 else np.float32
    lowered = lower(MODELS[key]())
    model = MODELS[key]()
    random = np.random.default_rng(0)
    declared = model.declared

    def rows(count, low, high):
        return random.uniform(low, high, (count, ROWS)).astype(dtype)

    t, y = rows(1, 0.0, 3.0), rows(declared.width, -1.5, 2.5)
    p, u = rows(len(declared.parameters), 0.2, 3.0), rows(len(declared.inputs), -1.0, 2.0)
    y[:, :8] *= np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-9, 40.0, 1.0], dtype=dtype)
    weights = [w.numpy() for w in lowered.read(torch.float64 if bits == 64 else torch.float32)]
    for name, program in lowered.programs.items():
        found = called(
            getattr(binary, f"run_{key}_{name}"), dtype, (t, y, p, u), weights,
            len(program.outputs),
        )  # fmt: skip
        values = {"t": t[0], "y": y, "p": p, "u": u, "w": weights}
        for row, expected in enumerate(evaluate(program, values)):
            expected = np.broadcast_to(expected, found[row].shape)
            tolerance = 1e-11 if bits == 64 else 2e-4
            with np.errstate(all="ignore"):
                near = np.abs(found[row] - expected) <= tolerance * (1.0 + np.abs(expected))
                same = (found[row] == expected) | (np.isnan(found[row]) & np.isnan(expected))
                same |= (np.abs(expected) > 1e37) & (bits == 32)
            assert (near | same).all(), (name, row, found[row], expected)
