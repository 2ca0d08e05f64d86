"""What goes wrong with a GPU is said, with what to do, and the process lives."""

from __future__ import annotations

import sys
import warnings

import pytest
import torch

import twinml as tw
from tests.engines.cuda.standin import CUDADriverError, CUDARuntimeError
from twinml import library
from twinml.engines import choice
from twinml.engines.cuda import device, engine, packages
from twinml.engines.cuda import library as cuda_library
from twinml.errors import ArgumentError, CompileError, DeviceError

pytestmark = [pytest.mark.usefixtures("compiler"), pytest.mark.real_auto]
T = [0.0, 1.0]


def run(**given):
    return tw.simulate(library.Pendulum(), T, engine="cuda", method="rk4", dt=0.1, **given)


def test_a_device_lost_on_the_way_is_an_error_and_the_process_goes_on(standin):
    standin.fail = [CUDADriverError("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure")]
    with pytest.raises(DeviceError) as caught:
        run()
    text = str(caught.value)
    for part in ("a stand-in for a GPU", "CUDA_ERROR_LAUNCH_FAILED", "nvidia-smi", "native"):
        assert part in text
    assert run().ok.all()


def test_an_error_of_our_own_is_not_laid_at_the_door_of_the_device(standin):
    standin.fail = [ValueError("something else")]
    with pytest.raises(ValueError, match="something else"):
        run()


@pytest.mark.parametrize(
    "said", ["CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image", "CUDA_ERROR_INVALID_IMAGE: bad"]
)
def test_a_driver_that_does_not_take_the_binary_is_named_with_what_it_needs(standin, said):
    standin.loading = [CUDADriverError(said)]
    with pytest.raises(DeviceError, match=r"sm_90 with CUDA 13\.0, which needs driver 580") as e:
        run()
    assert said in str(e.value)


def test_a_driver_older_than_the_compiler_is_seen_before_any_work(standin):
    standin.driver = 12080
    with pytest.raises(ArgumentError) as caught:
        run()
    for part in ("driver runs CUDA up to 12.8", "NVRTC 13.0", "driver 580 or newer", "cuda12"):
        assert part in str(caught.value)
    assert not standin.launches


def test_a_missing_cupy_is_named_with_the_extra(standin, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)  # an import then fails
    for version, extra in (("12.8", "cuda12"), ("13.0", "cuda13"), (None, "cuda13")):
        monkeypatch.setattr(torch.version, "cuda", version)
        reason = engine.unavailable()
        assert reason and "cupy" in reason and f"pip install 'twinml[{extra}]'" in reason
    with pytest.raises(ArgumentError, match=r"engine='cuda' cannot run here: .*cupy.*native"):
        run()


def test_a_missing_compiler_is_named_with_the_extra(standin, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    with pytest.raises(packages.MissingDependencyError, match=r"cuda-bindings.*twinml\[cuda13\]"):
        packages.nvrtc()


def test_packages_of_another_cuda_than_torch_are_named(standin, monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    with pytest.raises(ArgumentError, match="cupy is for CUDA 13 and torch for CUDA 12") as caught:
        run()
    assert "pip install 'twinml[cuda12]'" in str(caught.value)
    standin.runtime = 12080
    assert "NVRTC is for CUDA 13 and torch for CUDA 12" in str(engine.unavailable())


def test_no_driver_is_no_crash(standin, monkeypatch):
    def none():
        raise CUDARuntimeError("cudaErrorInsufficientDriver")

    monkeypatch.setattr(sys.modules["cupy"].cuda.runtime, "driverGetVersion", none)
    assert packages.driver_version() == 0 and packages.mismatch() is None


def test_a_unit_that_nvrtc_refuses_is_told_with_its_line_and_kept(standin, monkeypatch):
    log = (
        'mine.h(12): error: identifier "frictoin" is undefined\n  out[0] = frictoin;\n\n'
        '1 error detected in the compilation of "unit.cu".'
    )
    refused = cuda_library.compiler.Compiled(b"", "", log, 0.1)
    monkeypatch.setattr(cuda_library.compiler, "compiled", lambda *_: refused)
    monkeypatch.setattr(cuda_library, "SCHEMA", "emulated/refused")
    with pytest.raises(CompileError) as caught:
        run()
    text = str(caught.value)
    assert 'mine.h(12): error: identifier "frictoin" is undefined' in text
    assert caught.value.log == log
    assert "out[0] = frictoin;" in text and "source: " in text and "a file of your own" in text
    source = next(line for line in text.splitlines() if "source: " in line).split("source: ")[1]
    with open(source) as file:
        assert "TW_BITS" in file.read()
    monkeypatch.setattr(cuda_library.compiler, "compiled", None)
    with pytest.raises(CompileError, match="frictoin"):  # known, not compiled again
        run()


def test_auto_on_a_gpu_goes_on_without_a_kernel_that_does_not_compile(standin, monkeypatch):
    problem = tw.engines.normalise.build_problem(library.Pendulum(), T, method="rk4", dt=0.1)
    monkeypatch.setattr(
        choice, "engine_named",
        lambda name: engine.CudaEngine() if name == "native" else choice.EagerEngine(),
    )  # fmt: skip
    outcome, name, reason = choice.run_with("auto", problem, "rk4", "frozen")
    assert name == "cuda" and reason == "auto: a generated kernel"
    refused = cuda_library.compiler.Compiled(b"", "", "error: no", 0.1)
    monkeypatch.setattr(cuda_library.compiler, "compiled", lambda *_: refused)
    monkeypatch.setattr(cuda_library, "_loaded", {})
    monkeypatch.setattr(cuda_library, "SCHEMA", "emulated/refused too")
    with pytest.warns(UserWarning, match="engine='auto' goes on without kernels"):
        again, name, reason = choice.run_with("auto", problem, "rk4", "frozen")
    assert name == "eager" and "NVRTC refused" in reason
    assert torch.allclose(again.states, outcome.states, rtol=1e-12)


def test_another_device_beside_the_engine_is_refused(standin, monkeypatch):
    monkeypatch.setattr(device, "is_gpu", lambda where: where.type == "cuda")
    with pytest.raises(ArgumentError, match="runs on a GPU and device='cpu' was asked for"):
        run(device="cpu")


def test_without_a_gpu_the_engine_says_so_before_any_work():
    reason = engine.unavailable()
    if reason is None:
        pytest.skip("there is a GPU")
    with pytest.raises(ArgumentError, match="engine='cuda' cannot run here"):
        run()
    assert "CPU build" in reason or "no GPU" in reason or "pip install" in reason


def test_a_gradient_is_an_obstacle_with_its_reason(standin):
    y = torch.tensor([0.1, 0.2], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ArgumentError, match="kernels on a GPU have none yet"):
        run(initial={"theta": y})


def test_a_binary_that_was_changed_on_disk_is_compiled_again(standin):
    run()
    (entry,) = cuda_library._loaded.values()
    assert standin.compiled <= 1
    content = bytearray(entry.path.read_bytes())
    content[len(content) // 2] ^= 1
    entry.path.chmod(0o600)
    # In place of the file: the old one is still mapped.
    changed = entry.path.with_suffix(".new")
    changed.write_bytes(content)
    changed.replace(entry.path)
    cuda_library._loaded.clear()
    before = standin.compiled
    with warnings.catch_warnings():
        assert run().ok.all()
    assert standin.compiled == before + 1
