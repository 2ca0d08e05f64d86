"""Binaries by NVRTC itself, in the cache that all kernels share; no device and no cupy needed."""

from __future__ import annotations

import os

import pytest

from tests.kernels.cuda_units import need_nvrtc
from twinml import resources
from twinml.engines import kernel_folder
from twinml.engines.cuda import library
from twinml.engines.cuda.compiler import command_line, usage
from twinml.errors import CompileError

GOOD = 'extern "C" __global__ void tw_run(double* x) { x[threadIdx.x] *= 2.0; }\n'
BAD = '#line 12 "mine.h"\nextern "C" __global__ void tw_run(double* x) { x[0] = frictoin; }\n'


@pytest.fixture
def cache(tmp_path, monkeypatch):
    need_nvrtc()
    monkeypatch.setattr(library, "_failed", {})
    monkeypatch.setattr(kernel_folder, "_open", {})
    monkeypatch.setenv("TWINML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def made(text: str, architecture: str = "sm_90"):
    command, headers = command_line(architecture), resources.kernels()
    return library.binary(text, command, headers, library._key(text, command, headers))


def test_a_binary_is_made_once_and_keeps_what_the_assembler_told(cache):
    (first, before), (second, after) = made(GOOD), made(GOOD)
    assert (before, after) == (False, True) and first == second
    assert first.library.suffix == ".cubin" and first.library.read_bytes()[:4] == b"\x7fELF"
    assert first.source.read_text() == GOOD
    assert usage(second.log).registers > 0 and usage(second.log).spills == 0
    assert second.command[0] == "nvrtc" and "--gpu-architecture=sm_90" in second.command
    assert made(GOOD, "sm_80")[0].library != first.library
    assert (os.stat(cache).st_mode & 0o777) == 0o700


def test_a_line_that_nvrtc_refuses_is_told_in_the_users_file(cache):
    for _ in range(2):  # the second time it is known
        with pytest.raises(CompileError) as caught:
            made(BAD)
        assert 'mine.h(12): error: identifier "frictoin" is undefined' in str(caught.value)
        assert "a file of your own" in str(caught.value) and "frictoin" in caught.value.log
    kept = list((cache / "failed").iterdir())
    assert sorted(path.suffix for path in kept) == [".cu", ".log"]


def test_a_binary_that_was_cut_off_is_made_again(cache):
    entry, _ = made(GOOD)
    entry.library.write_bytes(entry.library.read_bytes()[:-1])
    again, cached = made(GOOD)
    assert not cached and again.library.read_bytes()[:4] == b"\x7fELF"
