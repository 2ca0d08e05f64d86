"""Ray gives the bits of this process, survives what is lost, and ends only what it started."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import twinml as tw
from tests.sweep.counting import count_by_workers, needs_compiler
from tests.sweep.models import DeadlyInShards, Decay
from tests.sweep.test_sweep import bits, swept
from twinml.engines.native import targets
from twinml.errors import (
    ArgumentError,
    MissingDependencyError,
    NoCompilerError,
    SweepError,
    WorkerError,
)
from twinml.sweep import block, ray_executor
from twinml.sweep.allocation import Node, cores, expand, nodes_of_job
from twinml.sweep.processes import pickled
from twinml.sweep.ray_executor import RayExecutor
from twinml.sweep.remote import RemoteWorker

TOKEN = "b" * 40  # Ray reads it once a process, so all clusters of the tests have this one

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed"
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return swept(tmp_path_factory.mktemp("whole") / "a")


def events(folder: Path) -> list[str]:
    return [json.loads(line)["event"] for line in (folder / "log.jsonl").read_text().splitlines()]


def left_over() -> set[str]:
    """Ids of Ray's processes on this machine."""
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout
    return {
        line.split()[0]
        for line in found.splitlines()
        if "gcs_server" in line or "raylet/raylet" in line
    }


@needs_ray
def test_a_cluster_of_its_own_gives_the_same_bits_though_a_worker_is_killed(
    whole, tmp_path, monkeypatch
):
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")  # nobody's: joining it would fail
    before = left_over()
    model = DeadlyInShards(tmp_path / "flag", os.getpid())
    killed = swept(
        tmp_path / "b", model=model, executor="ray", workers=2, shard_size=32, engine="eager"
    )
    local = swept(tmp_path / "c", model=model, engine="eager")
    assert bits(killed) == bits(local)
    told = events(tmp_path / "b")
    assert "worker_lost" in told and "retry" in told and told[-1] == "finished"
    assert not list((tmp_path / "b").glob(".seen-*"))
    assert left_over() <= before


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of Ray on this machine, of which the second has two devices that do not exist."""
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", TOKEN)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster  # reads the settings above

    ray_executor.look.cache_clear()
    made = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "object_store_memory": 100 * 2**20},
    )
    made.second = made.add_node(num_cpus=1, num_gpus=2, object_store_memory=100 * 2**20)
    yield made
    made.shutdown()


@needs_ray
@needs_compiler
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_cluster_of_its_own_leaves_a_running_one_alone_and_compiles_once(
    whole, tmp_path, cluster, monkeypatch
):
    from ray._raylet import GcsClient

    monkeypatch.setenv("RAY_ADDRESS", cluster.address)  # what a bare ray.init() would join
    before = left_over()
    compiled = count_by_workers(tmp_path, monkeypatch, ray_executor)
    found = swept(tmp_path / "b", executor="ray", workers=2, shard_size=32)
    assert bits(found) == bits(whole)
    assert compiled() == 1  # by one of the two workers
    assert left_over() == before
    # nobody has ever connected to the other cluster
    assert not GcsClient(address=cluster.address).get_all_job_info()


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_lost_node_costs_time_only_and_a_joined_cluster_goes_on(whole, tmp_path, cluster):
    def lose(done, total, failed):
        if done == 32:
            cluster.remove_node(cluster.second)

    executor = {"name": "ray", "address": cluster.address}
    found = swept(tmp_path / "b", executor=executor, workers=2, shard_size=32, progress=lose)
    assert bits(found) == bits(whole)
    assert "worker_lost" in events(tmp_path / "b")
    one = swept(tmp_path / "c", executor=executor, workers=1, shard_size=64)
    assert bits(one) == bits(whole)


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_a_cluster_that_vanishes_leaves_a_sweep_that_is_gone_on_with(whole, tmp_path, cluster):
    def vanish(done, total, failed):
        if done == 32:
            cluster.shutdown()

    executor = {"name": "ray", "address": cluster.address}
    with pytest.raises(SweepError, match=r"Ray cluster .* is gone.*are kept") as gone:
        swept(tmp_path / "b", executor=executor, workers=2, shard_size=32, progress=vanish)
    assert gone.value.exit_code == 1
    assert bits(swept(tmp_path / "b", resume=True, shard_size=32)) == bits(whole)


class Seeing(Decay):
    """Notes the devices that its process sees."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = str(folder)

    def rhs(self, x, rate, u):
        name = f"{os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}-{os.getpid()}"
        Path(self.folder, name).touch()
        time.sleep(0.02 if x.shape[0] > 8 else 0)  # so that every worker has its share
        return {"x": u - rate * x}


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_workers_share_devices_by_fractions_and_a_missing_one_is_named(tmp_path, cluster):
    seen = tmp_path / "seen"
    seen.mkdir()
    executor = {"name": "ray", "address": cluster.address, "patience": 20}
    half = {**executor, "cpus_per_worker": 0.25, "gpus_per_worker": 0.5}
    swept(
        tmp_path / "b", model=Seeing(seen), executor=half, workers=4, engine="eager", shard_size=32
    )
    devices = sorted(file.name.partition("-")[0] for file in seen.iterdir())
    assert devices.count("0") == 2 and devices.count("1") == 2
    with pytest.raises(SweepError, match=r"GPU is missing.*needs 1 CPU and 8 GPU.*2 of 2 GPU"):
        swept(tmp_path / "c", workers=1, executor={**executor, "patience": 3, "gpus_per_worker": 8})


@needs_ray
@pytest.mark.slow
def test_a_worker_that_would_give_other_bits_is_refused_by_name(tmp_path, monkeypatch):
    from twinml.sweep import processes

    identity = processes.identity
    monkeypatch.setattr(processes, "identity", lambda task: {**identity(task), "math": "kernels 0"})
    with pytest.raises(WorkerError, match=r"worker on \S+ would give other bits: math"):
        swept(tmp_path / "b", executor="ray", workers=1)


@needs_ray
def test_an_address_where_nothing_listens_is_refused_before_any_work(tmp_path):
    executor = {"name": "ray", "address": "127.0.0.1:1", "patience": 5}
    with pytest.raises(ArgumentError, match=r"127\.0\.0\.1:1 cannot be joined"):
        swept(tmp_path / "b", executor=executor)


def test_a_worker_that_does_not_see_the_folder_says_so(tmp_path):
    with pytest.raises(WorkerError, match=r"does not see .* file system that all nodes share"):
        RemoteWorker(b"", str(tmp_path), ".seen-1")
    (tmp_path / ".seen-1").write_text("of another sweep")
    with pytest.raises(WorkerError, match="does not see"):
        RemoteWorker(b"", str(tmp_path), ".seen-1")


@needs_compiler
def test_a_worker_without_the_target_or_a_compiler_is_refused_by_name(tmp_path, monkeypatch):
    found = swept(tmp_path / "a", engine="native", samples=8)
    assert found.task is not None
    content = pickled(found.task)
    assert RemoteWorker(content, str(tmp_path / "a"), "").compute(0, 8)["stop"] == 8

    def no_compiler(task):
        raise NoCompilerError("no g++ here")

    with monkeypatch.context() as patch:
        patch.setattr(block, "probe", no_compiler)
        with pytest.raises(
            WorkerError, match=r"worker on \S+ cannot use engine 'native' .*no g\+\+"
        ):
            RemoteWorker(content, str(tmp_path / "a"), "")
    if targets.architecture() == "x86_64":
        monkeypatch.setattr(targets, "features", lambda: targets._V2)
        here = "x86-64-v2 there and x86-64-v3 where the sweep was planned"
        with pytest.raises(WorkerError, match=rf"worker on \S+ would give .* target is {here}"):
            RemoteWorker(content, str(tmp_path / "a"), "")


@needs_ray
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"address": "somewhere"}, "host:port"),
        ({"address": "ray://somewhere:10001"}, "host:port"),
        ({"address": "slurm"}, "inside a Slurm job"),
        ({"gpus_per_worker": 1.5}, "fraction of one device"),
        ({"cpus_per_worker": 0}, "occupy nothing"),
        ({"max_in_flight": 0}, "at least 1"),
    ],
)
def test_keys_that_cannot_be_used_are_named(options, says, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ArgumentError, match=says):
        RayExecutor(**options)


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"twinml\[ray\]"):
        RayExecutor()


def test_a_class_of_the_script_itself_is_refused_by_name(tmp_path):
    script = tmp_path / "s.py"
    script.write_text(
        "import twinml as tw\n"
        "class Own(tw.Physics):\n"
        "    x = tw.State('1', initial=1.0)\n"
        "    def rhs(self, x):\n"
        "        return {'x': -x}\n"
        "scn = tw.Scenario.from_mapping({'horizon': {'start': 0, 'stop': 1}, 'vary':\n"
        "    {'initial.x': {'distribution': 'uniform', 'low': 1, 'high': 2}},\n"
        "    'quantities': {'end': 'final(x)'}})\n"
        "tw.sweep(Own(), scn, samples=4, executor='ray', workers=1, out='a', engine='eager')\n"
    )
    root = str(Path(tw.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert "Own is defined in the script itself" in done.stderr


def test_a_jobs_nodes_and_cores_come_from_its_environment(monkeypatch):
    assert expand("2(x3),4") == [2, 2, 2, 4]
    alone = {"SLURM_JOB_NODELIST": "n7", "SLURM_JOB_CPUS_PER_NODE": "8", "SLURMD_NODENAME": "n7"}
    assert nodes_of_job(alone) == (Node("n7", 8),)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert cores() == 1
