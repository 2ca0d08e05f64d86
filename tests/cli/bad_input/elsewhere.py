"""Executors and launchers that cannot do what is asked of them."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad

SWEEP = "sweep twin=kiln scenario=soak samples=64"

ELSEWHERE: dict[str, Bad] = {
    "a key of another executor": Bad(
        f"{SWEEP} executor.address=node1:6379", ("executor.address", "'local'")
    ),
    "an address that is none": Bad(
        f"{SWEEP} executor=ray executor.address=node1", ("executor.address=node1", "host:port")
    ),
    "an address where nothing listens": Bad(
        f"{SWEEP} executor=ray executor.address=127.0.0.1:1", ("127.0.0.1:1", "cannot be joined")
    ),
    "a fraction of several devices": Bad(
        f"{SWEEP} executor=ray executor.gpus_per_worker=1.5", ("gpus_per_worker=1.5", "fraction")
    ),
    "the nodes of a job that is none": Bad(
        f"{SWEEP} executor=ray executor.address=slurm", ("SLURM_JOB_ID", "launcher=slurm")
    ),
    "an unknown launcher": Bad(
        f"{SWEEP} launcher=slrm", ("No launcher 'slrm'", "Did you mean 'slurm'?")
    ),
    "a time limit without a unit": Bad(
        f"{SWEEP} launcher=slurm launcher.time=30", ("launcher.time=30", "90min")
    ),
    "several nodes for one machine's executor": Bad(
        f"{SWEEP} launcher=slurm launcher.nodes=2", ("launcher.nodes=2", "executor=ray")
    ),
    "an option of sbatch that is none": Bad(
        f"{SWEEP} launcher=slurm launcher.extra=[qos]", ("launcher.extra", "--qos=long")
    ),
    "several runs as one job": Bad(
        f"{SWEEP} -m launcher=slurm seed=1,2", ("-m with launcher=slurm", "slurm/train.sbatch")
    ),
    "a machine without Slurm": Bad(
        f"{SWEEP} launcher=slurm", ("sbatch", "login node"), environment={"PATH": ""}
    ),
    "batch scripts for one twin": Bad("new --slurm kiln", ("takes no name", "twinml new kiln")),
}
