"""``doctor`` says what works and why the rest does not, and ends with 0 whatever it meets."""

from __future__ import annotations

import json

import pytest

from tests.cli.small import put
from twinml.cli import diagnosis
from twinml.cli.diagnosis import environment, packages, programs
from twinml.cli.diagnosis.finding import Finding, tried_in_python
from twinml.cli.main import main
from twinml.engines.native import compiler as native


def found(findings) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


@pytest.fixture
def program(folder, monkeypatch):
    """Puts an executable on an otherwise empty PATH."""

    def make(name: str, text: str) -> None:
        put(folder / "bin" / name, f"#!/bin/sh\n{text}\n").chmod(0o755)
        monkeypatch.setenv("PATH", str(folder / "bin"))

    return make


@pytest.fixture
def module(folder, monkeypatch):
    """Puts a module where this process and those it starts find it first."""

    def make(name: str, text: str) -> None:
        put(folder / "lib" / f"{name}.py", text)
        monkeypatch.syspath_prepend(str(folder / "lib"))
        monkeypatch.setenv("PYTHONPATH", str(folder / "lib"))

    return make


def test_every_part_is_told_as_a_table_and_as_json(folder, capsys):
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    names = [finding["what"] for finding in told["findings"]]
    for name in (
        "python", "torch", "engine eager", "engine native", "engine cuda", "C++ compiler",
        "kernel cache", "CUDA driver", "cupy", "NVRTC", "Ray", "Slurm", "extra train",
        "extra export", "records",
        "config search",
    ):  # fmt: skip
        assert name in names and f"  {name} " in out
    eager = next(finding for finding in told["findings"] if finding["what"] == "engine eager")
    assert eager["works"] and "trial simulation" in eager["detail"]
    cuda = next(finding for finding in told["findings"] if finding["what"] == "engine cuda")
    assert cuda["works"] or any(w in cuda["detail"] for w in ("CPU build", "no GPU", "pip install"))
    assert told["schema"] == "doctor/1"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (None, "No C++ compiler was found"),
        ("echo broken >&2; exit 3", "tried g++, clang++"),
        ('[ "$1" = --version ] && echo g++ 99, gcc || { echo no as >&2; exit 1; }', "no as"),
        ('[ "$1" = --version ] && echo g++ 99, gcc || exit 3', "ended with code 3: no word"),
        ('[ "$1" = --version ] && echo g++ 99, gcc || echo junk > unit.so', "does not load"),
    ],
    ids=["missing", "fails", "compiles nothing", "silent", "makes junk"],
)
def test_a_compiler_that_does_not_work_is_told(folder, monkeypatch, program, text, fragment):
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.delenv("TWINML_CXX", raising=False)
    monkeypatch.setattr(native, "zig_command", lambda: None)
    monkeypatch.setenv("PATH", str(folder))
    if text is not None:
        program("g++", text)
    (finding,) = programs.compiler()
    assert not finding.works and fragment in finding.detail
    assert "TWINML_CXX" in finding.detail + finding.advice


def test_a_kernel_cache_that_cannot_be_used_is_told(folder, monkeypatch):
    monkeypatch.setenv("TWINML_CACHE", str(folder / "cache"))
    (finding,) = programs.kernel_cache()
    assert finding.works and finding.detail == str(folder / "cache")
    (folder / "cache").chmod(0o777)
    (finding,) = programs.kernel_cache()
    assert not finding.works and "others may write" in finding.detail
    (folder / "cache").rmdir()
    (folder / "cache").write_text("")
    (finding,) = programs.kernel_cache()
    assert not finding.works and "TWINML_CACHE" in finding.advice


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("raise ImportError('libcuda.so.1 is missing')", "libcuda.so.1"),
        ("import os; os.abort()", "ended with -6"),
        ("x = (", "SyntaxError"),
        ("__version__ = '0'", "cuda"),
    ],
    ids=["fails", "crashes", "no Python", "empty"],
)
def test_a_broken_cupy_ends_nothing(module, text, fragment):
    module("cupy", text)
    finding = found(programs.cuda())["cupy"]
    assert not finding.works and fragment in finding.detail and "twinml[cuda13]" in finding.advice


def test_a_driver_and_a_cluster_that_do_not_answer_are_told(program):
    program("nvidia-smi", "echo no devices were found; exit 9")
    program("sbatch", "true")
    program("sinfo", "echo slurm_load_partitions: Unable to contact >&2; exit 1")
    assert "no devices" in found(programs.cuda())["CUDA driver"].detail
    assert "Unable to contact" in found(programs.cluster())["Slurm"].detail


def test_an_extra_that_fails_to_import_is_told_when_asked(module, monkeypatch):
    monkeypatch.setattr(packages.importlib.metadata, "version", lambda name: "1.0")
    module("gpytorch", "raise RuntimeError('built for another torch')")
    shallow, deep = (found(packages.extras(deep))["extra gp"] for deep in (False, True))
    assert shallow.works and not deep.works and "built for another torch" in deep.detail


def test_a_part_that_fails_in_an_unknown_way_stops_no_other(folder, monkeypatch, capsys):
    def broken():
        raise ZeroDivisionError("nobody foresaw this")
        yield

    monkeypatch.setattr(diagnosis.torch_parts, "torch_build", broken)
    monkeypatch.setattr(diagnosis.packages, "extras", lambda deep: iter(()))
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "nobody foresaw this" in out and "config search" in out


def test_missing_folders_are_told(folder, monkeypatch):
    monkeypatch.setenv("TWINML_DATA", str(folder / "gone"))
    finding = found(environment.folders())["records"]
    assert not finding.works and "gone does not exist" in finding.detail


def test_a_trial_that_crashes_is_a_finding():
    works, why = tried_in_python("import os; os.kill(os.getpid(), 9)")
    assert not works and "-9" in why
