"""What happens around a running job: memory of its process tree, and workers killed at random."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


def tree(root: int) -> list[int]:
    """A process and all below it."""
    below: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            below.setdefault(int(fields[1]), []).append(int(entry.name))
    found, left = [], [root]
    while left:
        process = left.pop()
        found.append(process)
        left.extend(below.get(process, []))
    return found


def held(process: int) -> int:
    """Bytes of a process, pages shared with others divided among them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


@dataclass
class Memory:
    """The most that a process tree held at any of the moments looked at, in bytes."""

    peak: int = 0
    interval: float = 0.1

    def __call__(self, job: subprocess.Popen[str]) -> None:
        while job.poll() is None:
            self.peak = max(self.peak, sum(held(process) for process in tree(job.pid)))
            time.sleep(self.interval)


@dataclass
class Killer:
    """Kills workers of a sweep, one after another, at random moments."""

    count: int
    mean: float
    seed: int = 0
    done: int = 0

    def __call__(self, job: subprocess.Popen[str]) -> None:
        chance = random.Random(self.seed)
        while job.poll() is None and self.done < self.count:
            time.sleep(chance.expovariate(1 / self.mean))
            workers = [p for p in tree(job.pid)[1:] if _is_worker(p)]
            if workers and job.poll() is None:
                os.kill(chance.choice(workers), signal.SIGKILL)
                self.done += 1
        job.wait()


Watch = Callable[[subprocess.Popen[str]], None]


def _is_worker(process: int) -> bool:
    try:
        return b"twinml.sweep.worker" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False
