"""Workers, shards, local processes or Ray, killed and resumed: one table, bit for bit."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

import pytest

from tests.sweep.models import Meeting
from tests.sweep.test_execution import ROOT, N, bits, swept, until
from tests.sweep.test_ray import TOKEN
from twinml.sweep import ray_executor
from twinml.sweep.status import sweep_status
from twinml.sweep.store import Store

pytestmark = [
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed"),
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning"),
]
SCRIPT = """
import sys
from tests.sweep.test_execution import swept
swept(sys.argv[1], workers=2, shard_size=64, executor={"name": "ray", "address": sys.argv[2]})
"""


@pytest.fixture(scope="module")
def address():
    """A cluster with room for seven workers, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", TOKEN)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray.cluster_utils import Cluster  # reads the settings above

        ray_executor.look.cache_clear()
        made = Cluster(
            initialize_head=True,
            head_node_args={"num_cpus": 7, "object_store_memory": 100 * 2**20},
        )
        yield made.address
        made.shutdown()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return bits(swept(tmp_path_factory.mktemp("whole") / "a"))


@pytest.mark.parametrize(("workers", "shard_size"), [(1, 64), (2, 192), (7, 100)])
def test_workers_and_shards_of_ray_change_no_bit(tmp_path, whole, address, workers, shard_size):
    executor = {"name": "ray", "address": address, "max_in_flight": 1}
    options = {"executor": executor, "workers": workers, "shard_size": shard_size}
    assert bits(swept(tmp_path / "kernels", **options)) == whole
    # workers of the reference engine that wait for each other: every one of them computes
    met = tmp_path / "met"
    met.mkdir()
    model = Meeting(met, os.getpid(), workers)
    again = {"model": model, "engine": "eager", "block_size": 64}  # it is cut at whole blocks only
    found = swept(tmp_path / "met by Ray", **again, **options)
    assert len(list(met.iterdir())) == workers
    assert bits(found) == bits(swept(tmp_path / "here", **again))


def test_a_sweep_killed_under_ray_resumes_here_to_the_same_bits(tmp_path, whole, address):
    out = tmp_path / "a"
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(out), address],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    until(lambda: (out / "ledger.jsonl").is_file())
    process.kill()
    process.wait()
    done = Store(out).done()
    assert sweep_status(out).state == ("complete" if len(done) * 64 >= N else "interrupted")
    kept = {r.start: (out / "shards" / r.shard.name).stat().st_mtime_ns for r in done}
    again = swept(out, resume=True, workers=1)
    assert bits(again) == whole
    for report in done:
        assert (out / "shards" / report.shard.name).stat().st_mtime_ns == kept[report.start]
