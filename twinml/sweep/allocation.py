"""The machines of the Slurm job that this process runs in, and cores that it may use."""

from __future__ import annotations

import math
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

from twinml.errors import SweepError


@final
@dataclass(frozen=True)
class Node:
    """One machine of a job, and the CPU cores that the job has there."""

    name: str
    cpus: int


def cores() -> int:
    """CPU cores that this process may use: those of its affinity, or of its Slurm job if fewer."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    given = os.environ.get("SLURM_CPUS_ON_NODE", "") if "SLURM_JOB_ID" in os.environ else ""
    return max(1, min(found or 1, int(given) if given.isdigit() else found or 1))


def slots(cpus: float, gpus: float, worker_cpus: float, worker_gpus: float) -> int:
    """Workers that one machine has room for.

    A fraction of a GPU lies on one device: three workers of 0.4 need two devices, not 1.2.

    Args:
        cpus, gpus: What the machine has.
        worker_cpus, worker_gpus: What a worker occupies; at least one of them is positive, and
            GPUs are a fraction of one or whole ones.
    """
    rooms = []
    if worker_cpus:
        rooms.append(_times(worker_cpus, cpus))
    if 0 < worker_gpus < 1:
        rooms.append(int(gpus) * _times(worker_gpus, 1.0))
    elif worker_gpus:
        rooms.append(_times(worker_gpus, gpus))
    return min(rooms)


def _times(part: float, whole: float) -> int:
    """How often a part goes into a whole, where 0.1 goes three times into 0.3."""
    return math.floor(whole / part + 1e-6)


def nodes_of_job(environment: Mapping[str, str] = os.environ) -> tuple[Node, ...]:
    """The nodes of this job, the one of this process first.

    Raises:
        SweepError: Slurm does not tell them.
    """
    names = _hostnames(environment.get("SLURM_JOB_NODELIST", ""))
    counts = expand(environment.get("SLURM_JOB_CPUS_PER_NODE", ""))
    counts += [counts[-1] if counts else 1] * (len(names) - len(counts))
    nodes = [Node(name, count) for name, count in zip(names, counts, strict=False)]
    here = environment.get("SLURMD_NODENAME", names[0] if names else "")
    return tuple(sorted(nodes, key=lambda node: node.name != here))


def expand(text: str) -> list[int]:
    """``2(x3),4`` as [2, 2, 2, 4]."""
    found = re.findall(r"(\d+)(?:\(x(\d+)\))?", text)
    return [int(count) for count, times in found for _ in range(int(times or 1))]


def _hostnames(nodelist: str) -> list[str]:
    if not re.search(r"[\[,]", nodelist):
        return [nodelist] if nodelist else []
    try:
        done = subprocess.run(
            ["scontrol", "show", "hostnames", nodelist], capture_output=True, text=True, timeout=60
        )
        said = done.stderr.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        done, said = None, str(error)
    if done is None or done.returncode:
        raise SweepError(f"scontrol cannot tell the nodes of this job, {nodelist} ({said}).")
    return done.stdout.split()
