"""The executor of Ray, as its caller sees it: a process of its own speaks with Ray.

That process holds everything of Ray, which changes signal handlers and ends its process when a
cluster vanishes; here both become an error in words. It is ``twinml.sweep.ray``.
"""

from __future__ import annotations

import collections
import contextlib
import functools
import importlib.util
import json
import math
import os
import queue
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from twinml.errors import ArgumentError, MissingDependencyError, SweepError
from twinml.sweep.answer import result
from twinml.sweep.executor import AbstractExecutor
from twinml.sweep.folder import open_folder
from twinml.sweep.plan import Shard
from twinml.sweep.processes import importable, pickled
from twinml.sweep.store import ShardReport
from twinml.sweep.task import Task

LOCAL, SLURM = "local", "slurm"
CLOSING = 15.0  # seconds for a cluster of our own to end
NOTICE = 8.0  # seconds without room for a worker, after which the user is told
BEAT = 1.0  # seconds of silence, after which the listener looks at the clock


@final
class RayExecutor(AbstractExecutor):
    """One worker for each CPU slot or device of a Ray cluster.

    Args:
        workers: How many; None for as many as the cluster has room for.
        address: ``local`` starts a cluster for this sweep and ends it; ``host:port`` joins one,
            ``slurm`` starts one over the nodes of the Slurm job that this process runs in.
        cpus_per_worker: CPU slots that a worker occupies.
        gpus_per_worker: Devices, or a fraction of one; None for 1 with the CUDA engine, else 0.
        max_in_flight: Shards given to a worker at a time: one more than it computes, so that it
            never waits for the next.
        patience: Seconds to wait for the cluster and for a first free worker.
    """

    name = "ray"
    startup = 10.0  # a cluster of its own, and torch imported in its workers

    def __init__(
        self,
        workers: int | None = None,
        address: str = LOCAL,
        cpus_per_worker: float = 1,
        gpus_per_worker: float | None = None,
        max_in_flight: int = 2,
        patience: float = 60,
    ) -> None:
        self.workers, self.address = workers, address or LOCAL
        self.cpus, self.gpus = float(cpus_per_worker), gpus_per_worker
        self.in_flight, self.patience = max_in_flight, float(patience)
        self._check()

    def _check(self) -> None:
        for name, value, least in (
            ("cpus_per_worker", self.cpus, 0),
            ("gpus_per_worker", self.gpus, 0),
            ("max_in_flight", self.in_flight, 1),
            ("patience", self.patience, 1),
        ):
            if value is not None and value < least:
                raise ArgumentError(
                    f"executor.{name}={value:g} cannot be used: expected at least {least}."
                )
        if self.gpus is not None and self.gpus > 1 and self.gpus != int(self.gpus):
            raise ArgumentError(
                f"executor.gpus_per_worker={self.gpus:g} cannot be used: a worker has a fraction "
                "of one device, or whole ones."
            )
        if self.cpus == 0 and not self.gpus:
            raise ArgumentError(
                "executor.cpus_per_worker=0 cannot be used: without CPU and GPU a worker would "
                "occupy nothing, and any number of them would crowd one machine."
            )
        host, _, port = self.address.rpartition(":")
        if self.address not in (LOCAL, SLURM, "auto") and not (
            host and port.isdigit() and "//" not in host
        ):
            raise ArgumentError(
                f"executor.address={self.address} cannot be used: expected 'local' for a cluster "
                "of its own, host:port of a running one, or 'slurm' inside a Slurm job."
            )
        if self.address == SLURM and "SLURM_JOB_ID" not in os.environ:
            raise ArgumentError(
                "executor.address=slurm works inside a Slurm job, and this is none (no "
                "SLURM_JOB_ID). Submit the sweep with launcher=slurm, or give executor.address="
                "local to compute here."
            )
        if importlib.util.find_spec("ray") is None:
            raise MissingDependencyError(
                "executor=ray needs Ray, which is not installed. Install it with "
                "pip install 'twinml[ray]', or use executor=local."
            )

    def width(self, task: Task, seconds: float) -> int:
        if self.address not in (LOCAL, SLURM, "auto"):
            _refuse_silent(self.address)
        if self.workers is not None:
            return self.workers
        gpus = self._gpus(task)
        if self.address not in (LOCAL, SLURM):
            return max(1, look(self.address, self.cpus, gpus, self.patience))
        from twinml.sweep.allocation import cores, nodes_of_job, slots

        devices = 0
        if gpus:
            import torch

            devices = torch.cuda.device_count()
        nodes = nodes_of_job() if self.address == SLURM else ()
        counts = [node.cpus for node in nodes] or [cores()]
        return max(1, sum(slots(count, devices, self.cpus, gpus) for count in counts))

    def _cluster_slots(self, workers: int) -> int:
        """CPU slots of this machine in a cluster of our own: as many as its workers occupy."""
        if self.address == SLURM:
            from twinml.sweep.allocation import nodes_of_job

            return nodes_of_job()[0].cpus
        return max(1, math.ceil(workers * self.cpus))

    def _gpus(self, task: Task) -> float:
        if self.gpus is not None:
            return float(self.gpus)
        return 1.0 if task.settings.engine == "cuda" else 0.0

    def map(
        self, task: Task, out: str, shards: Sequence[Shard]
    ) -> Generator[ShardReport, None, None]:
        if not shards:
            return
        if not importable(task):
            raise ArgumentError(
                f"{type(task.model).__name__} is defined in the script itself, where Ray's workers "
                "cannot import it. Move it to a module beside the script, or use executor=local "
                "with workers=1."
            )
        place, folder = out, open_folder(out)
        if not folder.shared:
            raise ArgumentError(
                f"out={out} lies in the memory of this process, where Ray's workers cannot write. "
                "Use executor=local with workers=1, or name a folder."
            )
        token = ""
        if "://" not in out:
            place, token = os.path.abspath(out), f".seen-{secrets.token_hex(8)}"
            Path(place).mkdir(parents=True, exist_ok=True)
        gpus = self._gpus(task)
        with _held() as held, _token(place, token):
            task_file = Path(held) / "task.pickle"
            task_file.write_bytes(pickled(task))
            workers = min(self.width(task, 0.0), len(shards))
            options = {
                "address": self.address,
                "workers": workers,
                "slots": self._cluster_slots(workers),
                "temp": str(Path(held) / "ray"),
                "cpus": self.cpus,
                "gpus": gpus,
                "in_flight": self.in_flight,
                "patience": self.patience,
                "out": place,
                "token": token,
                "task": str(task_file),
                "paths": [os.getcwd() if entry == "" else entry for entry in sys.path],
            }
            with _started("drive", options, self.patience) as program:
                yield from self._exchange(program, shards, out)

    def _exchange(
        self, program: _Program, shards: Sequence[Shard], out: str
    ) -> Generator[ShardReport, None, None]:
        """Give shards as workers get free, and pass on what comes back."""
        waiting = collections.deque(shards)
        asked = connected = told = False  # whether the end was told, ..., that it waits was told
        for said in program:
            if not said:  # nothing is heard: the deadline may pass before there is a cluster
                if not connected and not self.steering.may_begin(waiting[0]):
                    return
                continue
            connected = True
            if "event" in said:
                facts = dict(said)
                self.steering.tell(facts.pop("event"), **facts)
            elif "want" in said:
                told = False
                for _ in range(said["want"]):
                    if not waiting or not self.steering.may_begin(waiting[0]):
                        asked = asked or program.say(None)
                        break
                    shard = waiting.popleft()
                    program.say([shard.start, shard.stop])
            elif "waiting" in said:
                if not told and said["seconds"] >= NOTICE:
                    told = True
                    self.steering.tell("waiting", reason=said["waiting"])
                begun = [Shard(*said["shard"])] if said["shard"] else []
                following = [*begun, *waiting][:1]
                if not all(map(self.steering.may_begin, following)):
                    return  # no worker has anything that could be finished
            elif "answer" in said:
                found = result(said["answer"])
                if isinstance(found, BaseException):
                    raise found
                yield found
            elif "fatal" in said:
                error = result(said["fatal"])
                assert isinstance(error, BaseException)
                raise error
            elif "done" in said:
                return
        if not connected:
            raise SweepError(
                f"The Ray cluster ({self.address}) cannot be joined: it did not answer in time. "
                "Check that it is up and of the same Ray version, or use executor=local."
            )
        raise SweepError(
            f"The Ray cluster ({self.address}) is gone: {program.last_words()}. The finished "
            f"shards in {out} are kept; resume the sweep when there is a cluster again, or with "
            "executor=local."
        )


def _refuse_silent(address: str) -> None:
    """Refuses an address where nothing listens, for which Ray itself would wait long.

    Raises:
        ArgumentError: with the system's reason.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise ArgumentError(
            f"executor.address={address} cannot be joined: {error}. Give host:port of a cluster "
            "that runs (ray start --head prints it), or executor.address=local for one of its own."
        ) from None


@functools.cache
def look(address: str, cpus: float, gpus: float, patience: float) -> int:
    """Workers that a running cluster has room for.

    Raises:
        ArgumentError: There is none at that address, or it does not take this process.
    """
    options = {"address": address, "cpus": cpus, "gpus": gpus, "patience": patience}
    with _started("look", options, patience) as program:
        for said in program:
            if "room" in said:
                return int(said["room"])
            if "fatal" in said:
                raise ArgumentError(said["fatal"]["message"])
    raise ArgumentError(f"The Ray cluster at {address} is gone: {program.last_words()}.")


class _Program:
    """``python -m twinml.sweep.ray``: one JSON value a line in both directions."""

    def __init__(self, process: subprocess.Popen[str], patience: float) -> None:
        self.process = process
        self.patience = 2 * patience + 30  # for the first line: connected, or why not
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """What it says; an empty mapping for each moment of silence before its first word."""
        limit = time.monotonic() + self.patience
        heard = False
        while True:
            try:
                line = self.lines.get(timeout=None if heard else BEAT)
            except queue.Empty:
                if time.monotonic() > limit:
                    return
                yield {}
                continue
            if line is None:
                return
            heard = True
            yield json.loads(line)

    def say(self, value: Any) -> bool:
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # it died: the end of its output tells
            self.process.stdin.write(json.dumps(value) + "\n")
            self.process.stdin.flush()
        return True

    def last_words(self) -> str:
        """How it left."""
        try:
            code = self.process.wait(2)  # its output ends a moment before it does
        except subprocess.TimeoutExpired:
            return "it does not answer"
        if code < 0:
            return f"signal {-code} ended the process that speaks with it (9 is often memory)"
        return "the connection to it was lost"

    def close(self) -> None:
        """Ends it: its input ends, at which it ends what it started."""
        with contextlib.suppress(OSError):
            assert self.process.stdin is not None
            self.process.stdin.close()
        try:
            self.process.wait(CLOSING)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextmanager
def _started(mode: str, options: Mapping[str, Any], patience: float) -> Iterator[_Program]:
    """The program that speaks with Ray; at the end it is gone, with what it started."""
    environment = dict(os.environ)
    if options["address"] != "auto":  # Ray would prefer it to any other address
        environment.pop("RAY_ADDRESS", None)
    paths = [os.getcwd() if entry == "" else entry for entry in sys.path]
    environment.update(
        PYTHONPATH=os.pathsep.join(dict.fromkeys(paths)),
        RAY_USAGE_STATS_ENABLED="0",
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
        RAY_DEDUP_LOGS="0",
        # a cluster that stops to answer is gone after so many seconds, not after a minute
        RAY_gcs_rpc_server_reconnect_timeout_s="20",
    )
    if options["address"] in (LOCAL, SLURM):
        # workers as eager as others; a secret of this cluster alone, not one stored for the user
        environment.update(RAY_worker_niceness="0", RAY_AUTH_MODE="token")
        environment["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "twinml.sweep.ray", mode, json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=None if os.environ.get("TWINML_DEBUG") else subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,  # Ctrl-C is the caller's, who ends this program
    )
    program = _Program(process, patience)
    try:
        yield program
    finally:
        program.close()
        assert process.stdout is not None
        process.stdout.close()


def _held() -> tempfile.TemporaryDirectory[str]:
    """A folder for the time of a sweep, with a name short enough for the sockets within."""
    place = tempfile.gettempdir()
    short = place if len(place) < 30 else "/tmp"
    return tempfile.TemporaryDirectory(
        prefix="twinml-sweep-", dir=short, ignore_cleanup_errors=True
    )


@contextmanager
def _token(place: str, token: str) -> Iterator[None]:
    """A file in ``out``, by which a worker sees that its folder is the same."""
    if not token:
        yield
        return
    file = Path(place) / token
    file.write_text(token)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            file.unlink()
