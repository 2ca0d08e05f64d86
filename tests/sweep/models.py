"""Cheap models with known answers; worker processes import them from here."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from twinml.physics import Input, Parameter, Physics, State


class Decay(Physics):
    """x' = u - rate x: x(t) = x0 exp(-rate t) for u = 0."""

    x = State("cm", initial=1.0, low=0.0)
    rate = Parameter("1/s", default=1.0, low=0.0)
    u = Input("cm/s", default=0.0)

    def rhs(self, x, rate, u):
        return {"x": u - rate * x}


class BlowUp(Physics):
    """x' = x^2 reaches infinity at t = 1 / x0."""

    x = State("1", initial=1.0)

    def rhs(self, x):
        return {"x": x * x}


class Stiff(Physics):
    """x' = -rate (x - 1)."""

    x = State("1", initial=0.0)
    rate = Parameter("1/s", default=1.0)

    def rhs(self, x, rate):
        return {"x": rate * (1 - x)}


class Deadly(Decay):
    """Kills the first worker process that evaluates it."""

    def __init__(self, flag: Path, parent: int) -> None:
        super().__init__()
        self.flag, self.parent = str(flag), parent

    def rhs(self, x, rate, u):
        if os.getpid() != self.parent and not os.path.exists(self.flag):
            Path(self.flag).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return {"x": u - rate * x}


class DeadlyInShards(Deadly):
    """Kills the first worker process that evaluates it for more rows than are tried beforehand."""

    def rhs(self, x, rate, u):
        return super().rhs(x, rate, u) if x.shape[0] > 8 else {"x": u - rate * x}


class Meeting(Decay):
    """Has every worker process wait, with its first shard, until so many have one."""

    def __init__(self, folder: Path, parent: int, workers: int) -> None:
        super().__init__()
        self.folder, self.parent, self.workers = str(folder), parent, workers

    def rhs(self, x, rate, u):
        if os.getpid() != self.parent and x.shape[0] > 8:
            (Path(self.folder) / str(os.getpid())).touch()
            limit = time.monotonic() + 120
            while len(os.listdir(self.folder)) < self.workers:
                assert time.monotonic() < limit, "the other workers have not come"
                time.sleep(0.05)
        return {"x": u - rate * x}


class Follow(Physics):
    """x' = rate (size cos t - x): behind a swing, the faster and the stiffer."""

    x = State("1", initial=0.0)
    rate = Parameter("1/s", default=1.0)
    size = Parameter("1", default=1.0)

    def rhs(self, t, x, rate, size):
        return {"x": rate * (size * torch.cos(t) - x)}
