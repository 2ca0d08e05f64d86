"""The job script: a text that a person can read, change and submit again."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from twinml.cli.launcher.keys import LauncherKeys
from twinml.run.directory import LAUNCHED

WARNING_SECONDS = 60  # before the time limit, as sbatch counts: at least so long
BEGUN = "manifest.json"  # of a sweep; what is there can be gone on with
# Settings of the shell that submits, without which a job could find other files than its user.
CARRIED = ("PYTHONPATH", "VIRTUAL_ENV")
NO_KILL = ("# One lost node of several does not end the job.", "#SBATCH --no-kill")


def job_script(
    task: str,
    keys: LauncherKeys,
    begin: Sequence[str],
    resume: Sequence[str],
    run: Path,
    environment: Mapping[str, str] = os.environ,
) -> str:
    """The text of ``<run>/slurm/job.sbatch``.

    Args:
        task: The task's word.
        begin: Its words for a first start, without ``out=`` and ``resume=``.
        resume: Its words for going on, likewise; unused for a task that cannot go on.
        run: The run directory, absolute.
        environment: Of the shell that submits.
    """
    folder = run / LAUNCHED
    options = {
        "job-name": f"twinml-{task}",
        "chdir": os.getcwd(),
        "output": folder / "%j.log",
        "open-mode": "append",
        "signal": f"B:TERM@{WARNING_SECONDS}",
        "partition": keys.partition,
        "account": keys.account,
        "nodes": keys.nodes,
        "ntasks": keys.ntasks,
        "ntasks-per-node": None if keys.ntasks else 1,
        "cpus-per-task": keys.cpus_per_task,
        "gpus-per-node": keys.gpus_per_node,
        "mem": keys.mem,
        "time": keys.limit,
    }
    lines = [
        "#!/bin/bash",
        f"# Written by twinml {task} launcher=slurm. To submit it again:",
        f"#   sbatch {shlex.quote(str(folder / 'job.sbatch'))}",
        *(f"#SBATCH --{name}={_word(value)}" for name, value in options.items() if value),
        "# A preempted job, or one whose node failed, waits again and goes on where it was.",
        "#SBATCH --requeue",
        *(NO_KILL if keys.nodes > 1 else ()),
        *(f"#SBATCH {option}" for option in keys.extra),
        "",
        *(f"export {name}={shlex.quote(value)}" for name, value in _carried(environment)),
        # one thread for each worker process, which computes on one core
        "export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}",
        *keys.setup,
        "",
        f"run={shlex.quote(str(run))}",
    ]
    program = f"exec {shlex.quote(sys.executable)} -m twinml {task}"
    if task == "sweep":
        lines += [
            "# exec: the signal that ends the job reaches the program itself, which stops cleanly.",
            f'if [ -e "$run/{BEGUN}" ]; then  # begun by an earlier start of this job',
            _command(f"    {program}", [*resume, "launcher=local"], 'resume="$run"'),
            "fi",
        ]
    lines.append(_command(program, [*begin, "launcher=local"], 'out="$run"'))
    return "\n".join(lines) + "\n"


def _command(program: str, words: Sequence[str], last: str) -> str:
    margin = " " * (len(program) - len(program.lstrip()) + 4)
    return " \\\n".join(
        [program, *(f"{margin}{shlex.quote(word)}" for word in words), margin + last]
    )


def _word(value: object) -> str:
    """A value of a #SBATCH line, which takes quotes as a shell does."""
    text = str(value)
    return f'"{text}"' if any(character.isspace() for character in text) else text


def _carried(environment: Mapping[str, str]) -> list[tuple[str, str]]:
    names = [name for name in environment if name in CARRIED or name.startswith("TWINML_")]
    return [(name, environment[name]) for name in sorted(names)]
