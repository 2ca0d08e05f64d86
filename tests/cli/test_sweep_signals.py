"""A sweep of the command line that is stopped by a signal or a full disk, and gone on with."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.bad_input.case import Bad, call
from tests.cli.bad_input.models import RETURNED
from tests.cli.bad_input.plant import kiln
from tests.cli.bad_input.test_processes import start
from tests.small_disk import small_disk
from twinml.sweep import open_sweep
from twinml.sweep.lock import LOCK
from twinml.sweep.status import sweep_status

SWEEP = (
    "sweep twin=kiln scenario=soak samples=32_768 shard_size=8_192 sensitivity=0 "
    "solver.engine=eager"
)
# Every evaluation takes a moment while the file lies there; without it the text is the same.
SLOW = (
    "import pathlib, time\n"
    "        time.sleep(0.01 * pathlib.Path('slow').exists())\n"
    f"        {RETURNED}"
)


def rows(folder: Path) -> dict[str, bytes]:
    table = open_sweep(folder).table()
    return {name: table[name].tobytes() for name in table.names}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sweep, never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    Bad("", (), kiln(RETURNED, SLOW)).lay(folder, folder)
    ended = call(f"{SWEEP} workers=1 out=b", folder, {})
    assert ended.code == 0, ended.err
    return folder / "b"


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """A folder with a kiln that is slow as long as the file ``slow`` lies there."""
    Bad("", (), kiln(RETURNED, SLOW)).lay(tmp_path, tmp_path)
    (tmp_path / "slow").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("sent", "code", "by", "workers"),
    [(signal.SIGINT, 130, "SIGINT", 1), (signal.SIGTERM, 143, "SIGTERM", 2)],
)
def test_a_signal_leaves_a_sweep_that_resumes_to_the_same_bits(
    slow, whole, sent, code, by, workers
):
    process = start(f"{SWEEP} workers={workers} out=a", slow)
    until(lambda: (slow / "a" / "ledger.jsonl").exists(), process)
    assert "running" in call("status a", slow, {}).out
    process.send_signal(sent)
    out, err = process.communicate(timeout=120)
    assert process.returncode == code and out == "" and "Traceback" not in err
    assert "are finished and kept; twinml sweep resume=a goes on." in err
    assert not (slow / "a" / LOCK).exists() and not list((slow / "a" / "shards").glob(".*"))
    told = call("status a --watch", slow, {}).out  # ends at once: nothing runs
    assert "a: stopped, " in told and f"by {by}" in told
    assert "resume with twinml sweep resume=a" in told
    kept = {p.name: p.stat().st_mtime_ns for p in (slow / "a" / "shards").iterdir()}
    assert 0 < len(kept) < 4
    (slow / "slow").unlink()
    ended = call("sweep resume=a workers=1", slow, {})
    assert ended.code == 0, ended.err
    assert rows(slow / "a") == rows(whole)
    one, other = (folder / "table.parquet" for folder in (slow / "a", whole))
    assert one.read_bytes() == other.read_bytes()
    after = {p.name: p.stat().st_mtime_ns for p in (slow / "a" / "shards").iterdir()}
    assert {name: after[name] for name in kept} == kept
    assert "complete" in call("status a", slow, {}).out


def until(condition, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)


def test_a_second_process_is_refused_and_a_killed_one_holds_nothing(slow):
    process = start(f"{SWEEP} workers=1 out=a", slow)
    until(lambda: (slow / "a" / "manifest.json").exists(), process)
    refused = call("sweep resume=a", slow, {})
    assert refused.code == 2 and f"in use by process {process.pid} on " in refused.err
    process.kill()  # before or after the first shard
    process.communicate()
    told = call("status a", slow, {}).out
    assert "interrupted" in told and f"the process {process.pid} on " in told
    (slow / "slow").unlink()
    assert call("sweep resume=a workers=1", slow, {}).code == 0
    log = [json.loads(line) for line in (slow / "a" / "log.jsonl").read_text().splitlines()]
    assert [e["pid"] for e in log if e["event"] == "lock_taken"] == [process.pid]
    assert open_sweep(slow / "a").complete and sweep_status(slow / "a").state == "complete"


def test_a_run_killed_before_its_sweep_began_goes_on(slow, whole):
    (slow / "slow").unlink()
    (slow / "a").mkdir()
    for name in ("config.yaml", "provenance.json"):  # all that it wrote
        (slow / "a" / name).write_bytes((whole / name).read_bytes())
    assert "There is no sweep at a" in call("status a", slow, {}).err
    assert call("sweep resume=a", slow, {}).code == 0
    assert rows(slow / "a") == rows(whole)


def test_a_disk_that_fills_up_ends_with_one_and_the_sweep_goes_on_when_there_is_room(
    slow, whole, tmp_path
):
    (slow / "slow").unlink()
    with small_disk(tmp_path / "disk", "516k") as resize:
        # first in the middle of the rows, then in what is made of them
        full = call(f"{SWEEP} workers=1 out=disk/a", slow, {})
        assert full.code == 1 and "the disk at " in full.err and "resume=disk/a" in full.err
        assert "TWINML_DEBUG" not in full.err and "more than is free" in full.err
        record = json.loads((slow / "disk/a/provenance.json").read_text())
        assert (record["status"], record["exit_code"]) == ("failed", 1)
        resize("700k")
        again = call("sweep resume=disk/a", slow, {})
        assert again.code == 1 and "is made" in again.err and "more than" not in again.err
        assert "complete" in call("status disk/a", slow, {}).out
        resize("8m")
        assert call("sweep resume=disk/a", slow, {}).code == 0
        assert rows(slow / "disk" / "a") == rows(whole)
