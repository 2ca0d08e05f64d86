"""The CUDA form of field kernels: compiled by NVRTC, and run on the CPU thread by thread."""

from __future__ import annotations

import ctypes
import functools
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.engines.cuda.standin import HERE
from tests.fields.test_field_op import LOADS_FORWARD_MODE, SPREAD, SPREAD_VJP, SPRING
from tests.fields.test_transport import SHEET, sheet, sheet_values
from twinml import resources
from twinml.engines.cuda.compiler import command_line, compiled, usage
from twinml.engines.cuda.packages import nvrtc_version
from twinml.engines.native.targets import default_target
from twinml.errors import MissingDependencyError
from twinml.fields import field_op, gpu, launch, layout
from twinml.fields.text import unit_text
from twinml.library.reactor_bed import _BED


def need_nvrtc() -> None:
    """Skip where NVRTC cannot compile."""
    try:
        nvrtc_version()
    except MissingDependencyError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("kind", ["pair", "tangent"])
@pytest.mark.parametrize("op", [SHEET.op, _BED.op], ids=lambda op: op.spec.name)
def test_nvrtc_compiles_it_without_spills_and_in_its_own_precision(op, kind, bits):
    need_nvrtc()
    found = compiled(unit_text(op.spec, kind, bits), command_line("sm_90"), resources.kernels())
    assert found.binary, found.log
    assert usage(found.log).spills == 0
    assert bits == 64 or not re.search(r"\.f64", found.assembly)


def test_nvrtc_names_the_users_line():
    need_nvrtc()
    op = field_op("kiln", "u", "\nout.rate = at.uu();")
    found = compiled(unit_text(op.spec, "pair", 64), command_line("sm_90"), resources.kernels())
    assert not found.binary and re.search(r"forward of 'kiln'\(2\): error.*uu", found.log)


@functools.cache
def emulated(text: str, entries: tuple[str, ...]) -> ctypes.CDLL:
    """The unit as CUDA reads it, for one thread a block."""
    calls = "\n".join(
        f"static const tw::FieldArgs* {name}_args;\n"
        f"static void {name}_one() {{ tw_field_{name}(*{name}_args); }}\n"
        f'extern "C" __attribute__((visibility("default"))) void launch_{name}('
        "const tw::FieldArgs* args, unsigned blocks) {\n"
        f"  {name}_args = args;\n  emulation::run_grid({name}_one, blocks, 1);\n}}"
        for name in entries
    )
    whole = (
        f'#define TW_WARP 1\n#define FD_THREADS 1\n#include "{HERE}/emulation.h"\n'
        "#define __shared__ static\n#define __launch_bounds__(n)\n"
        f"static inline void __syncthreads() {{}}\n{text}\n{calls}\n"
    )
    folder = Path(tempfile.mkdtemp(dir=os.environ["TWINML_CACHE"]))
    unit, made = folder / "unit.cpp", folder / "unit.so"
    unit.write_text(whole)
    flags = ("-O1", "-std=c++17", "-ffp-contract=off", "-fPIC", "-shared", "-w",
             f"-march={default_target()}")  # fmt: skip
    # Not -I: the C library's math.h is meant as well.
    words = ["g++", *flags, "-iquote", str(resources.kernels()), str(unit), "-o", str(made), "-lm"]
    subprocess.run(words, check=True)
    return ctypes.CDLL(str(made))


@pytest.fixture
def on_threads(monkeypatch):
    """Field operations run by their CUDA form."""
    if shutil.which("g++") is None:
        pytest.skip("the stand-in for a GPU is compiled by g++")

    def run(spec, kind, entry, bits, args, work):
        pair = ("forward", "adjoint") if spec.vjp is not None else ("forward",)
        entries = pair if kind == "pair" else ("forward", "tangent")
        handle = emulated(unit_text(spec, kind, bits), entries)
        call = getattr(handle, entry.replace("tw_field", "launch"))
        call.restype = None
        call(ctypes.byref(args), 3)

    of = layout.Layout.of
    monkeypatch.setattr(launch, "_on_cpu", run)
    monkeypatch.setattr(
        layout.Layout, "of", classmethod(lambda _, *given: replace(of(*given), gpu=True))
    )


@LOADS_FORWARD_MODE
def test_threads_give_what_packs_give(on_threads):
    values = sheet_values(9)
    for along_rows in (False, True):
        if along_rows:
            wide = values[0].detach().T.contiguous().T.requires_grad_()
            values = [wide, *values[1:]]
        found, want = sheet(*values), sheet(*values, plain=True)
        assert torch.allclose(found, want, rtol=1e-12, atol=1e-12)
        seed = torch.rand_like(found)
        ours = torch.autograd.grad(found, values, seed)
        theirs = torch.autograd.grad(want, values, seed)
        for a, b in zip(ours, theirs, strict=True):
            assert torch.allclose(a, b, rtol=1e-10, atol=1e-11)
    assert torch.autograd.gradcheck(sheet, sheet_values(2), check_forward_ad=True)


def test_sums_over_several_tiles_are_whole(on_threads):
    op = field_op("spread", "u s", SPREAD, SPREAD_VJP, coefficients="d", results="du",
                  header=SPRING, periodic=True)  # fmt: skip
    u = torch.rand(2, 2500, dtype=torch.float64)
    d = torch.rand(2, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(op(u, u, d).sum(), d)
    around = u.roll(1, -1) - 2 * u + u.roll(-1, -1)
    assert torch.allclose(found, around.sum(-1), rtol=0, atol=1e-11)


def test_a_grid_has_a_thread_for_each_cell_and_a_block_or_thread_for_each_sum():
    rows, cells = 300, (2500, 1)
    across = layout.Layout(rows, cells, along_rows=False, gpu=True)
    along = layout.Layout(rows, cells, along_rows=True, gpu=True)
    spec = SHEET.op.spec
    assert gpu.grid(spec, "tw_field_forward", across) == -(-rows * 2500 // gpu.THREADS)
    assert gpu.grid(spec, "tw_field_adjoint", across) == rows * 3
    assert gpu.grid(spec, "tw_field_adjoint", along) == -(-rows * 157 // gpu.THREADS)
    header = Path(resources.kernels(), "field_run.h").read_text()
    assert f"#define FD_THREADS {gpu.THREADS}" in header


@pytest.mark.gpu
def test_a_gpu_gives_what_the_cpu_gives():
    if not torch.cuda.is_available():
        pytest.skip("torch sees no GPU")
    here = sheet_values(9)
    there = [x.detach().cuda().requires_grad_() for x in here]
    a, b = sheet(*here), sheet(*there)
    assert torch.allclose(a, b.cpu(), rtol=1e-13, atol=1e-13)
    for x, y in zip(
        torch.autograd.grad(a.sum(), here), torch.autograd.grad(b.sum(), there), strict=True
    ):
        assert torch.allclose(x, y.cpu(), rtol=1e-11, atol=1e-11)
