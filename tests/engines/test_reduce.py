"""``simulate(reduce=...)``: quantities of all rows together, a chunk of rows at a time."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

import twinml as tw
import twinml.engines.reduce as chunks
from tests.engines.noisy import Relaxation
from tests.sweep.models import BlowUp, Decay
from twinml.errors import ArgumentError, SolveError

T = torch.tensor([0.0, 1.0], dtype=torch.float64)
START = {"x": torch.linspace(0.2, 1.8, 3000, dtype=torch.float64)}
KEEP = {"end": "final(x)", "when": "first_time(x > 2)"}
REDUCE = {
    "end": tw.Reduction(edges=[0.0, 0.5, 1.0], thresholds=[0.7]),
    "when": tw.Reduction(thresholds=[0.5]),
}


@pytest.mark.parametrize("engine", ["native", "eager"])
def test_the_rows_are_those_of_a_plain_run_and_failed_ones_count_apart(engine):
    options = {"initial": START, "keep": KEEP, "engine": engine, "max_steps": 200}
    plain = tw.simulate(BlowUp(), T, **options)
    found = tw.simulate(BlowUp(), T, reduce=REDUCE, **options)
    end = plain["end"][plain.ok]
    reduced = found.reduced["end"]
    assert torch.equal(found.status.long(), plain.status) and not plain.ok.all()
    assert reduced.failed == int((~plain.ok).sum()) and reduced.count == end.shape[0]
    assert reduced.mean == pytest.approx(float(end.mean()), rel=1e-12)
    assert reduced.exceeded.tolist() == [int((end > 0.7).sum())]
    never = found.reduced["when"]
    assert never.infinite == int(torch.isinf(plain["when"][plain.ok]).sum()) > 0
    assert int(never.exceeded) == int((plain["when"] > 0.5).sum())


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("size", [1024, 700])
def test_chunks_and_threads_change_no_bit(monkeypatch, size, threads):
    start = {"x": START["x"] * 0.5}
    options = {"initial": start, "keep": KEEP, "reduce": REDUCE, "engine": "native"}
    before = torch.get_num_threads()
    whole = tw.simulate(Decay(), T, **options).reduced["end"]
    monkeypatch.setattr(chunks, "CHUNK", size)
    torch.set_num_threads(threads)
    try:
        parts = tw.simulate(Decay(), T, **options).reduced["end"]
    finally:
        torch.set_num_threads(before)
    assert (parts.mean, parts.variance) == (whole.mean, whole.variance)
    assert torch.equal(parts.bins, whole.bins)


def test_every_kind_of_argument_is_cut_by_rows(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 64)
    count = 150
    column = torch.linspace(0.1, 1.0, count, dtype=torch.float64)
    signal = tw.Signal(torch.tensor([0.0, 0.5]), torch.stack([column, 2 * column], 1), kind="hold")
    options = {
        "parameters": {"rate": column},
        "inputs": {"u": signal},
        "changes": [tw.Change(column, "multiply", "rate", 1 + column)],
        "constants": {"limit": column},
        "keep": {"end": "final(x) - limit", "peak": "max(x)"},
    }
    times = torch.stack([torch.zeros(count), 1 + column], 1)
    plain = tw.simulate(Decay(), times, **options)
    found = tw.simulate(Decay(), times, reduce={"end": tw.Reduction()}, **options)
    assert found.reduced["end"].mean == pytest.approx(float(plain["end"].mean()), rel=1e-13)
    assert torch.equal(found["peak"], plain["peak"])


def test_noise_follows_its_row_through_the_chunks(monkeypatch):
    options = {"dt": 0.01, "keep": {"end": "final(x)"}, "ids": torch.arange(200), "seed": 3}
    plain = tw.simulate(Relaxation(), T, **options)
    monkeypatch.setattr(chunks, "CHUNK", 64)
    found = tw.simulate(Relaxation(), T, reduce={"end": tw.Reduction()}, **options)
    assert found.reduced["end"].mean == pytest.approx(float(plain["end"].mean()), rel=1e-12)
    assert found.reduced["end"].minimum == float(plain["end"].min())


def test_what_is_not_there_is_refused_by_name():
    keep = {"end": "final(x)"}
    some = tw.Reduction()
    for reduce, text in (
        ({}, "expected reductions by name"),
        ({"ned": some}, "Did you mean 'end'"),
        ({"end": 3}, r"expected tw\.Reduction"),
    ):
        with pytest.raises(ArgumentError, match=text):
            tw.simulate(Decay(), T, keep=keep, reduce=reduce)
    with pytest.raises(ArgumentError, match="keep='final'"):
        tw.simulate(Decay(), T, keep="final", reduce={"end": some})
    rate = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    with pytest.raises(ArgumentError, match="no rows to derive"):
        tw.simulate(Decay(), T, parameters={"rate": rate}, keep=keep, reduce={"end": some})
    found = tw.simulate(Decay(), T, keep=keep, reduce={"end": some})
    assert "reduced  end: 1 values" in found.explain()
    with pytest.raises(ArgumentError, match=r"sol\.reduced\['end'\]"):
        found["end"]
    with pytest.raises(SolveError, match="row 0 with"):
        bad = {"initial": {"x": 5.0}, "max_steps": 50}
        tw.simulate(BlowUp(), T, keep=keep, reduce={"end": some}, **bad).raise_if_failed()


@pytest.mark.slow
def test_ten_million_rows_need_little_more_than_their_arguments():
    script = (
        "import resource, torch, twinml as tw\n"
        "from tests.sweep.models import Decay\n"
        "torch.set_num_threads(1)\n"
        "rows = 10_000_000\n"
        "rate = torch.linspace(0.5, 2.0, rows, dtype=torch.float64)\n"
        "def run(n):\n"
        "    return tw.simulate(Decay(), [0.0, 1.0], parameters={'rate': rate[:n]}, dt=0.1,\n"
        "        method='rk4', keep={'end': 'final(x)'}, reduce={'end': tw.Reduction()},\n"
        "        engine='native')\n"
        "run(500_000)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "found = run(rows).reduced['end']\n"
        "after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "exact = (torch.exp(-rate)).mean()\n"
        "print(found.count, abs(found.mean - float(exact)), after - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    count, error, grown = done.stdout.split()
    assert int(count) == 10_000_000 and float(error) < 1e-5
    # The states of all rows (80 MB) and a byte of status each; 1 GB would be stored otherwise.
    assert int(grown) * 1024 < 250e6
