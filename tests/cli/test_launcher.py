"""What ``launcher=slurm`` writes and refuses, and what it makes of Slurm's answers."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.small import put
from twinml.cli.console import Console
from twinml.cli.launcher import follow as following
from twinml.cli.launcher import slurm
from twinml.cli.launcher.follow import Followed, follow
from twinml.cli.launcher.keys import LauncherKeys
from twinml.cli.launcher.requeue import started_before
from twinml.cli.launcher.script import job_script
from twinml.cli.main import main
from twinml.errors import ConfigError, LauncherError
from twinml.run.directory import RunDirectory

SWEEP = ["sweep", "twin=outbreak", "scenario=isolation", "samples=64", "sensitivity=0"]


@pytest.fixture
def programs(folder, monkeypatch) -> Path:
    """An empty folder of programs, the only one that is searched besides the shell's own."""
    place = folder / "programs"
    place.mkdir()
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return place


def program(place: Path, text: str) -> None:
    put(place, f"#!/bin/sh\n{text}\n").chmod(0o755)


def job(folder: Path) -> Followed:
    return Followed("7", folder, put(folder / "7.log", "last words\n"), "Go on so.")


def said(state: str, rest: str = "") -> str:
    return (
        f"JobId=7 JobName=twinml-sweep JobState={state} Reason=None Requeue=1 Restarts=0 "
        f"ExitCode=0:0 RunTime=00:01:00 TimeLimit=00:02:00 NodeList=n1 {rest}"
    )


def answers(programs: Path, *texts: str) -> None:
    """A scontrol that gives these answers one after the other, the last for ever."""
    for index, text in enumerate(texts):
        put(programs / f"answer.{index}", text + "\n")
    program(
        programs / "scontrol",
        f"cd {programs}\nn=$(cat n 2>/dev/null || echo 0)\n"
        f'[ -e "answer.$((n + 1))" ] && echo $((n + 1)) > n\ncat "answer.$n"',
    )


def test_the_script_begins_or_goes_on_and_runs_in_a_shell(folder):
    run = folder / "my run"
    (run / "slurm").mkdir(parents=True)
    keys = LauncherKeys("slurm", partition="p", nodes=2, time="90min", setup=["module() { :; }"])
    words = ["twin=kiln", "scenario.quantities={a: 'max(x)'}"]
    text = job_script("sweep", keys, words, [], run, {"TWINML_DATA": "/some where", "HOME": "/h"})
    assert "#SBATCH --time=1:30:00\n" in text and "#SBATCH --requeue\n" in text
    assert "#SBATCH --no-kill\n" in text
    assert "export TWINML_DATA='/some where'\n" in text and "HOME" not in text
    assert "--account" not in text and f'--output="{run}/slurm/%j.log"' in text
    shown = text.replace("exec ", "printf '%s|' ")
    for begun, last in ((False, f"out={run}"), (True, f"resume={run}")):
        if begun:
            put(run / "manifest.json", "{}")
        done = subprocess.run(["bash", "-c", shown], capture_output=True, text=True, check=True)
        first = done.stdout.split("|sweep|")[1].split("|")
        assert last in first
        assert begun or words[1] in first


@pytest.mark.parametrize(
    ("given", "limit"),
    [("4h", "4:00:00"), ("90min", "1:30:00"), ("5s", "0:01:00"), ("2-12:00:00", "2-12:00:00"),
     ("2d", "48:00:00"), ("30:00", "30:00"), (None, None)],
)  # fmt: skip
def test_a_time_limit_is_what_slurm_understands(given, limit):
    assert LauncherKeys(time=given).limit == limit


@pytest.mark.parametrize(
    "keys",
    [{"time": 14400}, {"time": "30"}, {"time": "soon"}, {"nodes": 0}, {"mem": "much"},
     {"extra": ["qos=long"]}, {"partition": "two words"}],
)  # fmt: skip
def test_a_key_that_slurm_would_misread_is_refused_by_name(keys):
    with pytest.raises(ConfigError, match=f"launcher.{next(iter(keys))}"):
        LauncherKeys("slurm", **keys)


def test_without_slurm_and_with_several_jobs_nothing_is_begun(
    programs, folder, capsys, monkeypatch
):
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    assert main([*SWEEP, "launcher=slurm"]) == 2
    assert "sbatch, which is not on PATH" in capsys.readouterr().err
    assert main([*SWEEP, "launcher=slurm", "-m", "seed=1,2"]) == 2
    assert "-m with launcher=slurm" in capsys.readouterr().err
    assert [p.name for p in folder.iterdir()] == ["programs"]


@pytest.mark.parametrize(
    ("says", "kind", "about"),
    [
        ("sbatch: error: invalid partition specified: nix", ConfigError, "launcher.partition"),
        ("Batch job submission failed: Invalid account", ConfigError, "launcher.account"),
        ("Job violates accounting/QOS policy (job submit limit)", LauncherError, "no more jobs"),
        ("Could not establish a configuration source", LauncherError, "does not answer"),
        ("Unable to contact slurm controller (connect failure)", LauncherError, "does not answer"),
    ],
)
def test_a_refusal_is_told_with_slurms_own_line_and_the_key(programs, says, kind, about):
    program(programs / "sbatch", f"echo '{says}' >&2; exit 1")
    with pytest.raises(kind) as told:
        slurm.submit(Path("x"))
    assert about in str(told.value) and says in str(told.value)


def test_a_queue_that_makes_sbatch_wait_is_not_waited_for(programs, monkeypatch):
    line = "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying"
    program(programs / "sbatch", f"echo '{line}' >&2; exec sleep 60")
    monkeypatch.setattr(slurm, "PATIENCE", 0.5)
    with pytest.raises(LauncherError, match="queue takes no more jobs"):
        slurm.submit(Path("x"))


def test_a_refused_job_leaves_nothing_behind(programs, folder):
    program(programs / "sbatch", "echo 'invalid partition' >&2; exit 1")
    program(programs / "scontrol", "exit 1")
    assert main([*SWEEP, "launcher=slurm", "out=a"]) == 2
    assert not (folder / "a").exists()
    assert main([*SWEEP, "launcher=slurm", "out=a", "scenario.horizon.stop=-1"]) == 2
    assert not (folder / "a").exists()


def real(name: str) -> str:
    """What a real scontrol printed of a job that ended so."""
    for line in Path(__file__).with_name("scontrol").joinpath("jobs.txt").read_text().splitlines():
        if line.startswith(f"{name}: "):
            return line.removeprefix(f"{name}: ")
    raise KeyError(name)


@pytest.mark.parametrize(
    ("name", "state", "reason", "code", "signal", "nodes", "restarts"),
    [
        ("completed", "COMPLETED", "None", 0, 0, "n2", 0),
        ("failed", "FAILED", "NonZeroExitCode", 3, 0, "n2", 0),
        ("signalled", "FAILED", "JobLaunchFailure", 0, 9, "n1", 0),
        ("cancelled", "CANCELLED", "None", 0, 15, "n2", 0),
        ("timeout", "TIMEOUT", "TimeLimit", 0, 15, "n1", 0),
        ("deadline", "DEADLINE", "DeadLine", 0, 1, "", 0),
        ("node_fail", "NODE_FAIL", "NodeDown", 0, 15, "n2", 0),
        ("requeued", "PENDING", "BeginTime", 0, 0, "", 1),
        ("running", "RUNNING", "None", 0, 0, "n2", 0),
        ("two_nodes", "RUNNING", "None", 0, 0, "n[1-2]", 0),
        ("pending_down", "PENDING", "PartitionDown", 0, 0, "", 0),
        ("held", "PENDING", "JobHeldUser", 0, 0, "", 0),
        ("begin", "PENDING", "BeginTime", 0, 0, "", 0),
    ],
)
def test_the_state_of_a_real_job_is_read(name, state, reason, code, signal, nodes, restarts):
    found = slurm.parse(real(name))
    assert (found.state, found.reason, found.nodes) == (state, reason, nodes)
    assert (found.code, found.signal, found.restarts) == (code, signal, restarts)
    assert found.requeue == (name != "node_fail")
    assert following.never_starts(found) == (name in ("pending_down", "held"))
    times = {"timeout": ("00:01:27", "00:01:00"), "pending_down": ("00:00:00", "01:00:00")}
    if name in times:
        assert (found.ran, found.limit) == times[name]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("signalled", "FAILED after 00:00:00 .*signal 9 killed it; signal 9 is often memory"),
        ("cancelled", "CANCELLED after .*cancelled"),
        ("timeout", "TIMEOUT after 00:01:27 of 00:01:00: .*launcher.time"),
        ("node_fail", "NODE_FAIL after .*its node failed"),
    ],
)
def test_a_real_job_that_was_killed_is_seen_as_killed(programs, folder, name, says):
    answers(programs, real("running"), real(name))
    with pytest.raises(LauncherError, match=f"Job 7 ended as {says}.*Go on so"):
        follow(job(folder), Console(), sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("end", "code"),
    [("COMPLETED", 0), ("FAILED ExitCode=2:0", 2), ("FAILED ExitCode=143:0", 143)],
)
def test_the_code_of_a_followed_job_is_its_programs(programs, folder, end, code, capsys):
    state, _, rest = end.partition(" ")
    ended = said(state)
    ended = ended.replace("ExitCode=0:0", rest) if rest else ended
    answers(programs, said("PENDING"), said("RUNNING"), said("COMPLETING"), ended)
    assert follow(job(folder), Console(), sleep=lambda seconds: None) == code
    told = capsys.readouterr().err
    assert "waiting" in told and "running on n1" in told
    assert code == 0 or "| last words" in told


@pytest.mark.parametrize(
    ("state", "says"),
    [("TIMEOUT", "launcher.time"), ("OUT_OF_MEMORY", "launcher.mem"), ("NODE_FAIL", "node failed"),
     ("PREEMPTED", "another job"), ("CANCELLED", "cancelled")],
)  # fmt: skip
def test_a_job_that_did_not_end_by_itself_is_told_with_the_reason(programs, folder, state, says):
    answers(programs, said("RUNNING"), said(state))
    with pytest.raises(LauncherError, match=f"ended as {state}.*{says}.*Go on so"):
        follow(job(folder), Console(), sleep=lambda seconds: None)


def test_a_requeued_job_is_followed_to_its_real_end(programs, folder, capsys):
    again = said("PENDING").replace("Restarts=0", "Restarts=1")
    answers(programs, said("PREEMPTED"), again, said("COMPLETED"))
    assert follow(job(folder), Console(), sleep=lambda seconds: None) == 0
    assert "waiting, start 2" in capsys.readouterr().err


def test_a_job_that_can_never_start_ends_the_waiting(programs, folder):
    answers(programs, said("PENDING").replace("Reason=None", "Reason=PartitionTimeLimit"))
    with pytest.raises(LauncherError, match=r"never get: PartitionTimeLimit.*scancel 7"):
        follow(job(folder), Console(), sleep=lambda seconds: None)


def test_a_job_that_slurm_forgot_is_judged_by_its_run(programs, folder, monkeypatch):
    program(programs / "scontrol", "echo 'Invalid job id specified' >&2; exit 1")
    with pytest.raises(LauncherError, match="it was killed"):
        follow(job(folder), Console())
    RunDirectory(folder).write_provenance({"status": "done", "exit_code": 0})
    assert follow(job(folder), Console()) == 0
    monkeypatch.setattr(following, "UNHEARD", 0)
    program(programs / "scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1")
    with pytest.raises(LauncherError, match="no answer for"):
        follow(job(folder), Console(), sleep=lambda seconds: None)


def test_a_job_started_again_finds_its_own_earlier_start_and_no_other(
    programs, folder, monkeypatch
):
    run = RunDirectory.create("train", folder / "a")
    run.write_provenance({"status": "running", "command": ["train", "seed=1"]})
    assert not started_before(run.path, ["train", "seed=1"])
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert not started_before(run.path, ["train", "seed=1"])
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert started_before(run.path, ["train", "seed=1"])
    assert not started_before(run.path, ["train", "seed=2"])
    assert not started_before(folder / "b", ["train"])
    # submitted once more by hand, after the job 7
    monkeypatch.delenv("SLURM_RESTART_COUNT")
    number = put(run.path / "slurm/job", "7\n")
    answers(programs, said("RUNNING"))
    assert not started_before(run.path, ["train", "seed=1"]) and number.read_text() == "7\n"
    answers(programs, said("OUT_OF_MEMORY"))
    assert started_before(run.path, ["train", "seed=1"]) and number.read_text() == "8\n"
    assert not started_before(run.path, ["train", "seed=1"])  # its own first start


def test_the_scripts_for_a_cluster_are_written_once_and_are_shell(folder, capsys):
    assert main(["new", "--slurm"]) == 0
    for name in ("sweep", "train"):
        file = folder / "slurm" / f"{name}.sbatch"
        subprocess.run(["bash", "-n", str(file)], check=True)
        assert f"exec twinml {name}" in file.read_text() and "--requeue" in file.read_text()
    assert main(["new", "--slurm"]) == 2 and main(["new", "--slurm", "kiln"]) == 2
    assert "takes no name" in capsys.readouterr().err
    assert os.listdir(folder) == ["slurm"]
