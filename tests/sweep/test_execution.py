"""However a sweep is cut, killed, stopped and resumed, its table has the same bits."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import twinml as tw
from tests.sweep.models import Decay
from twinml.errors import ArgumentError, LockedError, SweepError
from twinml.scenario import BoundScenario
from twinml.sweep.deadline import read_deadline
from twinml.sweep.events import EventLog, read_events
from twinml.sweep.folder import open_folder
from twinml.sweep.lock import LOCK, Lock, alive, read_owner
from twinml.sweep.pilot import Cost, measure
from twinml.sweep.plan import Shard, estimate
from twinml.sweep.status import sweep_status
from twinml.sweep.store import Store

ROOT = Path(__file__).parents[2]
SCENARIO = {
    "horizon": {"start": 0, "stop": 1},
    "vary": {
        "rate": {"distribution": "uniform", "low": 0.5, "high": 2},
        "a": {"distribution": "normal", "mean": 0.0, "std": 0.3},
    },
    "changes": [{"at": 0.5, "multiply": {"rate": "exp(a) + a ** 2"}}],
    "quantities": {"end": "final(x)", "top": "max(x) * exp(a)"},
}
N = 1000
EXECUTORS = ["local"]


def swept(out, samples=N, model=None, **options):
    options = {"workers": 1, "seed": 5, "block_size": 256, **options}
    return tw.sweep(
        model or Decay(), tw.Scenario.from_mapping(SCENARIO), samples, out=out, **options
    )


def bits(sweep):
    table = sweep.table()
    return {name: table[name].tobytes() for name in table.names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return bits(swept(tmp_path_factory.mktemp("whole") / "a"))


def test_a_block_is_drawn_once_for_all_its_shards(tmp_path, whole, monkeypatch):
    draw, drawn = BoundScenario.draw, []

    def counted(self, start, stop, *rest):
        drawn.append((start, stop))
        return draw(self, start, stop, *rest)

    monkeypatch.setattr(BoundScenario, "draw", counted)
    found = swept(tmp_path / "a", shard_size=64, engine="native")
    assert len(found.reports) == 16
    blocks = [block for block in drawn if block[1] - block[0] == 256]
    assert sorted(set(blocks)) == [(0, 256), (256, 512), (512, 768), (768, 1024)]
    assert len(blocks) <= 5  # the first one for the pilot, too


def test_compiling_a_kernel_is_no_cost_of_a_row(tmp_path, monkeypatch):
    task = swept(tmp_path / "a", engine="native").task
    clock, runs = [0.0], []

    def simulated(task, start, stop, tally=None):
        clock[0] += 1e-3 * (stop - start) + (5.0 if not runs else 0.0)
        runs.append(stop - start)
        return iter(())

    monkeypatch.setattr("twinml.sweep.block.simulate_blocks", simulated)
    monkeypatch.setattr("twinml.sweep.pilot.time.perf_counter", lambda: clock[0])
    cost = measure(task, columns=6)
    assert runs[:2] == [64, 64] and cost.seconds == pytest.approx(1e-3, rel=1e-3)


def test_a_plan_counts_what_each_worker_draws():
    cost = Cost(seconds=1e-3, call=0.5, draw=2.0)
    shards = [Shard(i, i + 100) for i in range(0, 1000, 100)]
    # ten calls; four blocks of 300 rows, which each of two workers may have to draw
    assert estimate(shards, cost, 1, 300) == pytest.approx(1.0 + 10 * 0.5 + 4 * 2.0)
    assert estimate(shards, cost, 2, 300) == pytest.approx(0.5 + 5 * 0.5 + 4 * 2.0)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize(("workers", "shard_size"), [(1, 64), (2, 192), (7, 100)])
def test_workers_and_shards_change_no_bit(tmp_path, whole, executor, workers, shard_size):
    found = swept(tmp_path / "a", executor=executor, workers=workers, shard_size=shard_size)
    assert found.complete and bits(found) == whole


@pytest.mark.parametrize("cut", [64, 65 * 64])
def test_blocks_of_kernels_are_cut_anywhere(tmp_path, whole, cut):
    assert bits(swept(tmp_path / "a", block_size=4096, shard_size=cut)) == whole


SCRIPT = """
import sys
from tests.sweep.test_execution import swept
swept(sys.argv[1], workers=2, shard_size=64, resume=True)
"""


def started(out):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", SCRIPT, str(out)], env=environment)


def until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def workers_of(out):
    events = list(read_events(open_folder(out)))
    names = [e["worker"] for e in events if e["event"] == "worker_started"]
    return [int(name.partition("@")[0]) for name in names]


def test_a_sweep_killed_whole_leaves_no_orphan_and_resumes(tmp_path, whole):
    out = tmp_path / "a"
    process = started(out)
    until(lambda: (out / "ledger.jsonl").is_file())
    with pytest.raises(LockedError, match=f"in use by process {process.pid} on "):
        swept(out, resume=True)
    assert sweep_status(out).state in ("running", "complete")
    process.kill()
    process.wait()
    until(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() for pid in workers_of(out)))
    status = sweep_status(out)
    if status.done != N:
        assert status.state == "interrupted"
        assert f"the process {process.pid} on " in status.text and "resume with" in status.text
    files = {p.name: p.stat().st_mtime_ns for p in (out / "shards").glob("*.parquet")}
    named = {report.shard.name for report in Store(out).done()}
    again = swept(out, resume=True)
    assert bits(again) == whole
    for name in named:  # no finished shard is run again
        assert (out / "shards" / name).stat().st_mtime_ns == files[name]
    assert not list((out / "shards").glob(".*"))
    assert sweep_status(out).state == "complete"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_random_kills_of_workers_lose_and_repeat_no_shard(tmp_path, whole, executor):
    out, dice = tmp_path / "a", random.Random(1)
    kills = 0

    def kill(done, total, failed):
        nonlocal kills
        if kills < 5 and dice.random() < 0.3:
            alive_ones = [p for p in workers_of(out) if Path(f"/proc/{p}/exe").exists()]
            kills += 1
            os.kill(dice.choice(alive_ones), signal.SIGKILL)

    found = swept(out, executor=executor, workers=2, shard_size=16, block_size=16, progress=kill)
    lines = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    starts = [line["start"] for line in lines]
    assert sorted(starts) == list(range(0, N, 16)) and found.complete
    assert kills == 5 and sweep_status(out).workers_lost >= 1
    assert bits(found)["end"] == whole["end"]


def test_a_deadline_leaves_a_valid_beginning(tmp_path, whole, monkeypatch):
    from twinml.sweep.progress import Pace

    monkeypatch.setattr(Pace, "seconds", lambda self, shard: 1e6 if shard.start >= 512 else 0.0)
    part = swept(tmp_path / "a", shard_size=256, deadline=600)
    assert (part.done, part.samples, part.complete) == (512, N, False)
    assert sweep_status(part.path).state == "stopped"
    assert part.table()["end"].tobytes() == whole["end"][: 8 * 512]
    monkeypatch.undo()
    assert bits(swept(part.path, resume=True)) == whole


def test_deadlines_are_read_as_people_write_them():
    for text, seconds in (("90s", 90), ("2h", 7200), ("1h30m", 5400), (45, 45), ("30", 30)):
        found = read_deadline(text)
        assert found is not None and abs(found.left - seconds) < 5
    for bad in ("soon", "2 fortnights", True, "2020-01-01T00:00", 0):
        with pytest.raises(ArgumentError, match="deadline="):
            read_deadline(bad)


@pytest.mark.parametrize("where", ["memory://sweeps/a", "file://{}/a"])
def test_addresses_hold_a_sweep_like_a_folder(tmp_path, whole, where):
    out = where.format(tmp_path)
    swept(out, samples=512, shard_size=256)
    assert tw.open_sweep(out).done == 512
    assert bits(swept(out, resume=True, shard_size=256)) == whole
    if where.startswith("memory"):
        with pytest.raises(ArgumentError, match="memory of this process"):
            swept("memory://sweeps/b", workers=2, shard_size=256)
        open_folder(out).system.store.clear()  # pyright: ignore


def test_a_dead_owners_lock_is_taken_over_and_told(tmp_path):
    folder = open_folder(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    owner = {"host": "elsewhere", "pid": 1, "started": "1", "heartbeat": time.time()}
    assert alive(owner) and not alive({**owner, "heartbeat": time.time() - 1000})
    with Lock(folder, lambda *_, **__: None):
        mine = read_owner(folder)
        assert mine is not None and alive(mine)
        assert not alive({**mine, "started": "1"})  # the number went to another process
        with pytest.raises(LockedError), Lock(folder, lambda *_, **__: None):
            pass
    assert not folder.exists(LOCK)
    folder.write(LOCK, json.dumps({**mine, "pid": dead.pid}).encode())
    with Lock(folder, EventLog(folder).tell):
        pass
    assert [e["pid"] for e in read_events(folder) if e["event"] == "lock_taken"] == [dead.pid]


FULL = """
import resource, sys
from tests.sweep.test_execution import swept
from twinml.errors import SweepError
def limit(done, total, failed):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    swept(sys.argv[1], shard_size=256, progress=limit)
except SweepError as error:
    print(error)
"""


def test_a_full_disk_is_named_and_what_was_finished_is_kept(tmp_path, whole):
    out = tmp_path / "a"
    ended = subprocess.run(
        [sys.executable, "-c", FULL, str(out)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert "cannot be written" in ended.stdout and "resume the sweep" in ended.stdout, ended.stderr
    assert [p.name for p in (out / "shards").iterdir()] == ["000000000000.parquet"]
    assert bits(swept(out, resume=True)) == whole


def test_damaged_shards_are_computed_again_on_resume(tmp_path, whole):
    out = tmp_path / "a"
    swept(out, shard_size=256)
    first, second = sorted((out / "shards").iterdir())[:2]
    content = bytearray(first.read_bytes())
    content[len(content) // 2] ^= 1  # of the right size
    first.write_bytes(content)
    second.write_bytes(second.read_bytes()[:-5])
    assert bits(swept(out, resume=True)) == whole


def test_a_worker_that_would_compute_other_bits_is_refused_by_name(tmp_path):
    from twinml.errors import WorkerError
    from twinml.sweep.admission import check_worker
    from twinml.sweep.digest import identity

    task = swept(tmp_path / "a").task
    assert task is not None
    expected = identity(task)
    check_worker(task, expected)
    for name in ("target", "math", "twinml", "kernel", "model source"):
        with pytest.raises(WorkerError, match=f"other bits: {name} is"):
            check_worker(task, {**expected, name: "another"})
    assert issubclass(WorkerError, SweepError)


@pytest.mark.parametrize(("call", "row"), [(0.2, 1e-5), (6e-3, 1e-6), (0.0, 3e-3), (0.3, 2e-2)])
def test_the_pilot_tells_what_a_row_costs_from_what_a_call_costs(monkeypatch, call, row):
    from types import SimpleNamespace

    from twinml.sweep import block, pilot

    clock, spent = [0.0], []

    def simulate(task, start, stop):
        clock[0] += call + row * (stop - start)
        spent.append(call + row * (stop - start))
        return iter(())

    monkeypatch.setattr(pilot, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    monkeypatch.setattr(block, "simulate_blocks", simulate)
    monkeypatch.setattr(block, "drawn_block", lambda task, first: {})
    model = SimpleNamespace(declared=SimpleNamespace(width=1))
    settings = SimpleNamespace(engine="eager")
    task = SimpleNamespace(samples=10**6, block=8192, model=model, settings=settings)
    cost = pilot.measure(task, 4)  # pyright: ignore
    assert row <= cost.seconds < 3 * row + 1e-6
    assert sum(spent) < max(2.0, 5 * 64 * row + call)  # and takes little time itself
