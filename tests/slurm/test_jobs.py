"""Sweeps as jobs of a real Slurm: killed, requeued, lost, refused."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import twinml as tw
from tests.cli.small import put
from tests.slurm.cluster import Cluster, missing, slurm

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no Slurm: {missing()}")

ROOT = Path(__file__).resolve().parents[2]
PLANT = """\
import time
import twinml as tw

class Slow(tw.Physics):
    \"\"\"x' = -rate x, every evaluation of which takes a moment.\"\"\"

    x = tw.State("1", initial=1.0)
    rate = tw.Parameter("1/s", default=1.0, low=0.0)

    def rhs(self, x, rate):
        time.sleep(0.001)
        return {"x": -rate * x}
"""
TWIN = "model: {_target_: plant.Slow}\n"
SCENARIO = """\
horizon: {start: 0, stop: 4, unit: s}
vary:
  rate: {distribution: uniform, low: 0.5, high: 2}
quantities: {end: final(x)}
"""
SHARDS = 8
WORDS = (
    "sweep twin=slow scenario=fall solver.engine=eager sensitivity=0 workers=1 "
    f"samples={SHARDS * 8192} shard_size=8192"
).split()
FAST = [*WORDS, "solver.engine=native", "samples=4096"]


@pytest.fixture(scope="module")
def cluster():
    # not below pytest's own folder, which is closed to others: munge asks for an open one
    with tempfile.TemporaryDirectory(prefix="twinml-slurm-") as at, slurm(Path(at)) as made:
        yield made


def plant(at: Path) -> Path:
    put(at / "plant.py", PLANT)
    put(at / "configs/twin/slow.yaml", TWIN)
    put(at / "configs/scenario/fall.yaml", SCENARIO)
    return at


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return plant(tmp_path)


@pytest.fixture(scope="module")
def local(tmp_path_factory) -> dict[str, bytes]:
    """The table as this machine computes it without Slurm."""
    at = plant(tmp_path_factory.mktemp("local"))
    code, _, err = run([*WORDS, "workers=2", "out=a"], at)
    assert code == 0, err
    return table(at / "a")


@contextmanager
def started(
    words: list[str], folder: Path, cluster: Cluster | None
) -> Iterator[subprocess.Popen[str]]:
    environment = cluster.environment if cluster else os.environ
    process = subprocess.Popen(
        [sys.executable, "-m", "twinml", *words],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TWINML_DEBUG": ""},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def run(words: list[str], folder: Path, cluster: Cluster | None = None) -> tuple[int, str, str]:
    with started(words, folder, cluster) as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode is not None and "Traceback" not in err, err
    return process.returncode, out, err


def until(ready: Callable[[], object], process: subprocess.Popen[str]) -> None:
    """Waits for something that a living process brings about."""
    deadline = time.monotonic() + 90
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def done(run: Path) -> int:
    ledger = run / "ledger.jsonl"
    return len(lines(ledger)) if ledger.exists() else 0


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines()


def number(run: Path) -> str:
    return (run / "slurm/job").read_text().strip()


def table(run: Path) -> dict[str, bytes]:
    found = tw.open_sweep(run).table()
    return {name: found[name].tobytes() for name in found.names}


def test_a_job_killed_half_way_and_requeued_gives_the_table_of_a_local_run(folder, cluster, local):
    words = [*WORDS, "out=job", "launcher=slurm", "launcher.wait=true", "launcher.time=10min"]
    with started(words, folder, cluster) as waiting:
        until(lambda: done(folder / "job") >= 2, waiting)
        job = number(folder / "job")
        cluster.call("scontrol", "requeue", job)
        out, err = waiting.communicate(timeout=150)
    assert waiting.returncode == 0, f"{out}{err}{cluster.logs()}"
    assert f"job     {job}" in out and "start 2" in err and "completed" in err
    log = (folder / "job/slurm" / f"{job}.log").read_text()
    assert "Traceback" not in log, log
    assert json.loads((folder / "job/provenance.json").read_text())["status"] == "done"
    # no finished shard was computed again
    starts = [json.loads(line)["start"] for line in lines(folder / "job/ledger.jsonl")]
    assert sorted(starts) == [8192 * i for i in range(SHARDS)]
    assert table(folder / "job") == local


def test_a_job_whose_process_is_killed_is_seen_as_killed_and_goes_on_here(folder, cluster):
    words = [*WORDS, "out=job", "launcher=slurm", "launcher.wait=true"]
    with started(words, folder, cluster) as waiting:
        until(lambda: done(folder / "job") >= 1, waiting)
        job = number(folder / "job")
        cluster.call("scancel", "--signal=KILL", "--full", job)
        _, err = waiting.communicate(timeout=60)
    assert waiting.returncode not in (0, 2) and f"ob {job}" in err, err
    assert "resume=job" in err or "signal" in err
    begun = tw.open_sweep(folder / "job")
    assert 0 < begun.done < SHARDS * 8192
    words = [*WORDS, "out=b", "launcher=slurm", "launcher.wait=true"]
    with started(words, folder, cluster) as cancelled:
        until((folder / "b/manifest.json").exists, cancelled)
        cluster.call("scancel", number(folder / "b"))
        _, err = cancelled.communicate(timeout=60)
    assert cancelled.returncode == 1 and "CANCELLED" in err and "resume=b" in err


def test_what_slurm_refuses_leaves_nothing_behind(folder, cluster):
    for words, code, says in [
        (["launcher.partition=nix"], 2, "launcher.partition"),
        (["launcher.nodes=2"], 2, "Choose executor=ray"),
        (["scenario.horizon.stop=-1"], 2, "horizon"),
    ]:
        got, out, err = run([*FAST, "out=a", "launcher=slurm", *words], folder, cluster)
        assert got == code and says in err and out == "", (words, err)
        assert not (folder / "a").exists()
    assert cluster.call("squeue", "-h") == ""


def test_a_job_that_can_never_start_is_told_so(folder, cluster):
    words = [*FAST, "out=a", "launcher=slurm", "launcher.partition=closed"]
    code, _, err = run(words, folder, cluster)
    job = number(folder / "a")
    assert code == 0 and "waits for what it may never get: PartitionDown" in err
    assert f"scancel {job}" in err and "twinml status a" in err
    code, _, err = run([*FAST, "resume=a", "launcher=slurm"], folder, cluster)
    assert code == 2 and f"still the run of job {job} (pending)" in err
    cluster.call("scancel", job)


def test_ctrl_c_while_waiting_leaves_the_job_and_says_how_to_end_it(folder, cluster):
    words = [*WORDS, "out=a", "launcher=slurm", "launcher.wait=true"]
    with started(words, folder, cluster) as waiting:
        until(lambda: done(folder / "a") >= 1, waiting)
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=30)
    job = number(folder / "a")
    assert waiting.returncode == 130 and f"job {job} goes on" in err and f"scancel {job}" in err
    assert cluster.job(job)["JobState"] == "RUNNING"
    cluster.call("scancel", job)


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")
def test_ray_over_the_nodes_of_a_job_gives_the_same_table(folder, cluster, local):
    words = [*WORDS, "workers=2", "out=job", "executor=ray"]
    launcher = ["launcher=slurm", "launcher.nodes=2", "launcher.wait=true"]
    code, _, err = run([*words, *launcher], folder, cluster)
    log = (folder / "job/slurm" / f"{number(folder / 'job')}.log").read_text()
    assert code == 0, err + log
    told = [json.loads(line)["event"] for line in lines(folder / "job/log.jsonl")]
    assert told.count("worker_started") == 2 and "worker_lost" not in told
    assert table(folder / "job") == local
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not [line for line in found.splitlines() if str(folder) in line]  # all is ended
