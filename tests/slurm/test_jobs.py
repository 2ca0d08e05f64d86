"""Sweeps as jobs of a real Slurm: killed, requeued, lost, refused."""

from __future__ import annotations

import importlib
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
from types import SimpleNamespace

import pytest

import twinml as tw
from tests.cli.small import put
from tests.slurm.cluster import Cluster, missing, slurm
from twinml.cli.main import main

pytestmark = pytest.mark.skipif(bool(missing()), reason=f"no Slurm: {missing()}")

ROOT = Path(__file__).resolve().parents[2]
PLANT = """\
import os
import sys
import time
from pathlib import Path

import twinml as tw

LOST = Path(__file__).with_name("lost")


class Slow(tw.Physics):
    \"\"\"x' = -rate x, every evaluation of which takes a moment.\"\"\"

    x = tw.State("1", initial=1.0)
    rate = tw.Parameter("1/s", default=1.0, low=0.0)

    def rhs(self, x, rate):
        time.sleep(0.001)
        if LOST.is_dir() and "ray" in sys.modules and x.shape[0] > 8:
            wait_for_loss()
        return {"x": -rate * x}


def wait_for_loss():
    \"\"\"A worker on the second node never ends its shard; the one on the first waits for it.\"\"\"
    begun = LOST / "has begun"
    if os.environ.get("SLURMD_NODENAME") == "n2":
        begun.touch()
        time.sleep(120)
    for _ in range(600):
        if begun.exists():
            return
        time.sleep(0.1)
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
    """The table as this machine computes it without Slurm, in one process and without the waits."""
    at = plant(tmp_path_factory.mktemp("local"))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(at)
        patch.delitem(sys.modules, "plant", raising=False)
        model = importlib.import_module("plant")
        patch.setattr(model, "time", SimpleNamespace(sleep=lambda seconds: None))
        scenario = tw.Scenario.from_yaml(at / "configs/scenario/fall.yaml")
        tw.sweep(
            model.Slow(), scenario, SHARDS * 8192, out=at / "a", workers=1, engine="eager",
            shard_size=3 * 8192,
        )  # fmt: skip
        del sys.modules["plant"]
    return table(at / "a")


@pytest.fixture
def typed(folder, cluster, monkeypatch, capsys):
    """Types words in the folder, in this process: code and what was printed."""
    for name, value in {**cluster.environment, "PYTHONPATH": str(ROOT)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.delitem(sys.modules, "plant", raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        code = main(list(words))
        return (code, *capsys.readouterr())

    yield call
    sys.modules.pop("plant", None)


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
    words = [*WORDS, "launcher=slurm", "launcher.wait=true"]
    with (
        started([*words, "out=job"], folder, cluster) as waiting,
        started([*words, "out=b"], folder, cluster) as cancelled,
    ):
        until(lambda: done(folder / "job") >= 1, waiting)
        job = number(folder / "job")
        cluster.call("scancel", "--signal=KILL", "--full", job)
        until((folder / "b/manifest.json").exists, cancelled)
        cluster.call("scancel", number(folder / "b"))
        _, err = waiting.communicate(timeout=60)
        _, told = cancelled.communicate(timeout=60)
    assert waiting.returncode not in (0, 2) and f"ob {job}" in err, err
    assert "resume=job" in err or "signal" in err
    begun = tw.open_sweep(folder / "job")
    assert 0 < begun.done < SHARDS * 8192
    assert cancelled.returncode == 1 and "CANCELLED" in told and "resume=b" in told


def test_what_slurm_refuses_leaves_nothing_behind(folder, cluster, typed):
    for words, code, says in [
        (["launcher.partition=nix"], 2, "launcher.partition"),
        (["launcher.nodes=2"], 2, "Choose executor=ray"),
        (["scenario.horizon.stop=-1"], 2, "horizon"),
    ]:
        got, out, err = typed(*FAST, "out=a", "launcher=slurm", *words)
        assert got == code and says in err and out == "", (words, err)
        assert not (folder / "a").exists()
    assert cluster.call("squeue", "-h") == ""


def test_a_job_that_can_never_start_is_told_so(folder, cluster, typed):
    code, _, err = typed(*FAST, "out=a", "launcher=slurm", "launcher.partition=closed")
    job = number(folder / "a")
    assert code == 0 and "waits for what it may never get: PartitionDown" in err
    assert f"scancel {job}" in err and "twinml status a" in err
    code, _, err = typed(*FAST, "resume=a", "launcher=slurm")
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
def test_ray_over_the_nodes_of_a_job_survives_the_loss_of_one(folder, cluster, local):
    (folder / "lost").mkdir()
    words = [*WORDS, "workers=2", "out=job", "executor=ray"]
    launcher = ["launcher=slurm", "launcher.nodes=2", "launcher.wait=true"]
    with started([*words, *launcher], folder, cluster) as waiting:
        until((folder / "lost/has begun").exists, waiting)
        lost = cluster.job(number(folder / "job"))
        assert lost["NodeList"] == "n[1-2]" and lost["BatchHost"] == "n1"
        cluster.call("scontrol", "update", "nodename=n2", "state=down", "reason=test")
        _, err = waiting.communicate(timeout=150)
    log = (folder / "job/slurm" / f"{number(folder / 'job')}.log").read_text()
    assert waiting.returncode == 0, err + log
    told = [json.loads(line)["event"] for line in lines(folder / "job/log.jsonl")]
    assert told.count("worker_started") == 2 and told.count("worker_lost") == 1
    assert "retry" in told
    assert cluster.job(number(folder / "job"))["Restarts"] == "0"  # the job itself went on
    assert table(folder / "job") == local
    found = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert not [line for line in found.splitlines() if str(folder) in line]  # all is ended
