"""Which engine runs, why, and what a run that cannot go on says."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay, Spiral
from twinml.engines.native import compiler, library, room
from twinml.errors import (
    ArgumentError,
    CompileError,
    LoweringError,
    NoCompilerError,
    OutOfMemoryError,
)
from twinml.library import Lorenz

pytestmark = [pytest.mark.usefixtures("compiler"), pytest.mark.real_auto]


class Unlowered(tw.Physics):
    """An operation that has no kernel."""

    x = tw.State("1", initial=1.0)

    def rhs(self, x):
        return {"x": -torch.special.i0(x)}


def test_auto_runs_kernels_and_says_so():
    sol = tw.simulate(Decay(), [0.0, 1.0], method="rk4", dt=0.1)
    assert sol.engine == "native" and sol.reason.startswith("auto")
    assert sol.kernels[0].method == "rk4"
    told = sol.explain()
    for word in ("native", "kernel", sol.kernels[0].library, "#define TW_N 1"):
        assert word in told


def test_what_cannot_be_lowered_runs_on_the_reference_and_native_raises():
    sol = tw.simulate(Unlowered(), [0.0, 1.0])
    assert sol.engine == "eager" and "i0" in sol.reason and sol.kernels == ()
    with pytest.raises(LoweringError, match="i0"):
        tw.simulate(Unlowered(), [0.0, 1.0], engine="native")


def test_without_a_compiler_auto_says_what_to_install_and_native_raises(monkeypatch, tmp_path):
    monkeypatch.setenv("TWINML_CXX", str(tmp_path / "nothing"))
    sol = tw.simulate(Decay(), [0.0, 1.0], method="heun", dt=0.125)
    assert sol.engine == "eager" and "TWINML_CXX" in sol.reason
    monkeypatch.delenv("TWINML_CXX")
    monkeypatch.setattr(compiler, "_candidates", lambda: iter([("no-such-compiler",)]))
    monkeypatch.setattr(compiler, "_found", {})
    # A text that no other test has compiled: what is loaded needs no compiler.
    sol = tw.simulate(Decay(), [0.0, 1.0], method="heun", dt=0.125)
    assert sol.engine == "eager" and "apt-get install g++" in sol.reason
    with pytest.raises(NoCompilerError, match="No C\\+\\+ compiler was found"):
        tw.simulate(Decay(), [0.0, 1.0], method="heun", dt=0.125, engine="native")


def test_a_compiler_that_fails_is_shown_with_log_and_source(monkeypatch, tmp_path):
    script = tmp_path / "g++"
    script.write_text(
        '#!/bin/sh\ncase "$*" in *--version) echo "g++ Free Software Foundation";exit 0;; esac\n'
        'echo "unit.cpp:1: error: out of luck" >&2; exit 1\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("TWINML_CXX", str(script))
    with pytest.raises(CompileError, match=r"(?s)out of luck.*source: .*\.cpp.*log: "):
        tw.simulate(Decay(), [0.0, 1.0], method="heun", dt=0.25, engine="native")
    with pytest.warns(UserWarning, match="goes on without kernels.*") as told:
        sol = tw.simulate(Decay(), [0.0, 1.0], method="heun", dt=0.25)
    assert len(told) == 1 and sol.engine == "eager" and "out of luck" in sol.reason


def test_a_gradient_that_kernels_lack_goes_to_the_reference_and_native_refuses_it():
    k = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    given = {"parameters": {"k": k}, "keep": {"q": "max(x)"}}
    sol = tw.simulate(Decay(), [0.0, 1.0], **given)
    assert sol.engine == "eager" and "gradient" in sol.reason and sol["q"].requires_grad
    with pytest.raises(ArgumentError, match="gradient"):
        tw.simulate(Decay(), [0.0, 1.0], engine="native", **given)
    with torch.no_grad():
        free = tw.simulate(Decay(), [0.0, 1.0], {"k": k}, method="rk4", dt=0.1)
    assert free.engine == "native"


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("t is not sorted", {"t": [0.0, 2.0, 1.0]}),
        ("dt=0; expected a positive", {"dt": 0}),
        ("dt=-0.1; expected a positive", {"dt": -0.1}),
        ("initial value of 'x' has 2 rows but parameter 'k' has 3",
         {"parameters": {"k": torch.ones(3)}, "initial": {"x": [1.0, 2.0]}}),
        ("the signal of input 'u' has 2 rows but|input 'u'.* has 2 rows but parameter 'k' has 3",
         {"parameters": {"k": torch.ones(3)},
          "inputs": {"u": tw.Signal([0.0, 1.0], [[0.0, 1.0], [1.0, 2.0]])}}),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_before_any_kernel(text, options, monkeypatch):
    monkeypatch.setattr(library, "load", lambda *_: pytest.fail("a kernel was made"))
    with pytest.raises(tw.TwinmlError, match=text):
        tw.simulate(Decay(), **{"t": [0.0, 1.0], "engine": "native", **options})


def test_a_tolerance_below_the_dtype_is_warned_about_once():
    with pytest.warns(UserWarning, match="rtol=1e-08 is below what float32 can give") as told:
        sol = tw.simulate(
            Decay(), [0.0, 1.0], dtype=torch.float32, rtol=1e-8, method="tsit5", engine="native"
        )
    assert len(told) == 1
    assert int(sol.steps) < 2000
    assert float(sol["x"][0, -1]) == pytest.approx(0.36788, abs=1e-4) or not sol.ok.all()


def test_an_interrupt_is_heard_within_a_second():
    tw.simulate(Lorenz(), [0.0, 0.1], method="rk4", dt=0.01, engine="native", keep="final")

    def interrupt() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        tw.simulate(
            Lorenz(), [0.0, 1e7], method="rk4", dt=0.01, engine="native", keep="final",
            max_steps=10**10,
        )  # fmt: skip
    # 0.5 s until the signal; the rest is slack for a machine that is busy.
    assert time.monotonic() - begin < 10.0


def test_results_too_large_for_memory_are_an_error_that_says_how_large():
    t = torch.linspace(0.0, 1.0, 100_000, dtype=torch.float64)
    k = torch.ones(2_000_000, dtype=torch.float64)
    for engine in ("native", "auto"):
        with pytest.raises(OutOfMemoryError, match=r"2000000 rows at 100000 save points") as told:
            tw.simulate(Decay(), t, {"k": k}, method="rk4", dt=0.1, engine=engine)
        assert "keep='final'" in str(told.value) and isinstance(told.value, MemoryError)


def test_a_limit_on_memory_is_respected_before_the_system_is(monkeypatch, tmp_path):
    most, used = tmp_path / "max", tmp_path / "current"
    most.write_text("700000000\n")
    used.write_text("400000000\n")
    monkeypatch.setattr(room, "GROUPS", ((most, used),))
    assert room.available() == 300_000_000
    with pytest.raises(OutOfMemoryError, match=r"take 0.298 GiB of memory and 0.279 GiB are free"):
        room.trajectory((1, 20_000, 1_000), 1, torch.float64)
    most.write_text("max\n")
    monkeypatch.setattr(room, "MEMINFO", tmp_path / "nothing")
    assert room.available() is None
    assert room.trajectory((1, 20, 10), 1, torch.float64).shape == (1, 20, 10)


def test_two_threads_may_simulate_at_once():
    want = tw.simulate(Spiral(), [0.0, 1.0], method="rk4", dt=0.01, engine="native")
    found: list[tw.Solution] = []

    def run() -> None:
        with warnings.catch_warnings():
            for _ in range(20):
                found.append(
                    tw.simulate(Spiral(), [0.0, 1.0], method="rk4", dt=0.01, engine="native")
                )

    team = [threading.Thread(target=run) for _ in range(3)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert len(found) == 60
    assert all(torch.equal(sol["x"], want["x"]) for sol in found)
