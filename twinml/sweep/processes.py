"""Worker processes on this machine.

Workers are started as ``python -m twinml.sweep.worker`` and speak one JSON line per shard over
their pipes. Unlike ``multiprocessing``'s spawn this never runs the user's script a second time,
so a plain script may call ``sweep`` without guarding its main part.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

from twinml.errors import ArgumentError, SweepError
from twinml.sweep.answer import result
from twinml.sweep.digest import identity
from twinml.sweep.executor import Steering
from twinml.sweep.plan import Shard
from twinml.sweep.store import ShardReport
from twinml.sweep.task import Task

MOST_DEATHS = 3  # of one shard's workers, before the shard is taken to be the cause


def importable(task: Task) -> bool:
    """Whether a fresh process can import the model's class."""
    return all(type(module).__module__ != "__main__" for module in task.model.modules())


def run_processes(
    task: Task, out: str, shards: Sequence[Shard], workers: int, steering: Steering
) -> Generator[ShardReport, None, None]:
    """Share the shards among processes; a worker that dies is replaced and its shard retried.

    Raises:
        ArgumentError: The model cannot be sent to another process.
        SweepError: Workers keep dying on one shard, or fail with an error of their own.
        WorkerError: A worker would compute other bits.
        TwinmlError: An error of the model or engine, as the worker raised it.
    """
    content = pickled(task)
    crew = _Crew(out, shards, steering)
    with tempfile.TemporaryDirectory(prefix="twinml-sweep-") as folder:
        crew.task_file = Path(folder) / "task.pickle"
        crew.task_file.write_bytes(content)
        threads = [
            threading.Thread(target=crew.serve, args=(_device(task, number),), daemon=True)
            for number in range(workers)
        ]
        try:
            for thread in threads:
                thread.start()
            ended = 0
            while ended < workers:
                found = crew.finished.get()
                if found is None:
                    ended += 1
                elif isinstance(found, BaseException):
                    raise found
                else:
                    yield found
        finally:  # also on Ctrl-C and when the caller stops listening
            crew.stop.set()
            for process in list(crew.processes):
                process.kill()
            for thread in threads:
                thread.join()


def _device(task: Task, worker: int) -> dict[str, str]:
    """What the environment of a worker says of its device: each has one GPU to itself."""
    if task.settings.engine != "cuda":
        return {}
    from twinml.engines.cuda.device import share_of

    return share_of(worker)


def pickled(task: Task) -> bytes:
    """The task and its identity, as workers take them.

    Raises:
        ArgumentError: The model cannot be sent to another process.
    """
    if not importable(task):
        raise ArgumentError(
            f"{type(task.model).__name__} is defined in the script itself, where worker processes "
            "cannot import it. Move it to a module beside the script, or use workers=1."
        )
    try:
        return pickle.dumps((task, identity(task)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ArgumentError(
            f"{type(task.model).__name__} cannot be sent to worker processes ({error}). "
            "Keep lambdas and open files out of its attributes, or use workers=1."
        ) from None


class _Crew:
    """What the threads that feed the workers share."""

    def __init__(self, out: str, shards: Sequence[Shard], steering: Steering) -> None:
        self.out, self.steering = out, steering
        self.task_file = Path()
        self.waiting: queue.SimpleQueue[tuple[Shard, int]] = queue.SimpleQueue()
        # None from each thread that ends
        self.finished: queue.SimpleQueue[ShardReport | BaseException | None] = queue.SimpleQueue()
        self.stop = threading.Event()
        self.processes: list[subprocess.Popen[bytes]] = []
        for shard in shards:
            self.waiting.put((shard, 0))

    def serve(self, device: Mapping[str, str]) -> None:
        """Feed one worker until nothing waits; runs in a thread."""
        process: subprocess.Popen[bytes] | None = None
        try:
            while not self.stop.is_set():
                try:
                    shard, deaths = self.waiting.get_nowait()
                except queue.Empty:
                    break
                if not self.steering.may_begin(shard):
                    break
                if process is None:
                    process = self._started(device)
                    if self.stop.is_set():
                        break
                answer = _ask(process, shard)
                if self.stop.is_set():
                    break
                if answer is not None:
                    self.finished.put(result(answer))
                    continue
                process = self._lost(process, shard, deaths + 1)
        except BaseException as error:  # it must reach the caller, or that waits for ever
            self.finished.put(error)
        finally:
            if process is not None:
                if self.stop.is_set():
                    process.kill()
                _end(process)
            self.finished.put(None)

    def _started(self, device: Mapping[str, str]) -> subprocess.Popen[bytes]:
        process = _start(self.task_file, self.out, device)
        self.processes.append(process)
        self.steering.tell("worker_started", worker=_named(process))
        return process

    def _lost(self, process: subprocess.Popen[bytes], shard: Shard, deaths: int) -> None:
        code = _end(process)
        self.processes.remove(process)
        self.steering.tell(
            "worker_lost", worker=_named(process), code=code, start=shard.start, stop=shard.stop
        )
        if deaths >= MOST_DEATHS:
            raise SweepError(
                f"Samples {shard.start} to {shard.stop} ended their worker {MOST_DEATHS} "
                f"times (exit {code}; -9 is often memory). The finished shards in {self.out} "
                "are kept: resume with a smaller shard_size or fewer workers."
            )
        self.steering.tell("retry", start=shard.start, stop=shard.stop, attempt=deaths + 1)
        self.waiting.put((shard, deaths))


def _named(process: subprocess.Popen[bytes]) -> str:
    return f"{process.pid}@{socket.gethostname()}"


def _start(task_file: Path, out: str, device: Mapping[str, str]) -> subprocess.Popen[bytes]:
    # the caller's import path, so that a model found here is found there
    paths = [os.getcwd() if entry == "" else entry for entry in sys.path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))}
    environment.update(device)
    environment.update(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    return subprocess.Popen(
        # -P: without it the working directory would go first, before Python's own modules
        [sys.executable, "-P", "-m", "twinml.sweep.worker", str(task_file), out],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )


def _end(process: subprocess.Popen[bytes]) -> int:
    """Close the worker's input, at which it leaves, and wait for its exit code."""
    with contextlib.suppress(OSError):  # what a dead worker did not read cannot be flushed
        _pipe(process.stdin).close()
    code = process.wait()
    _pipe(process.stdout).close()
    return code


def _ask(process: subprocess.Popen[bytes], shard: Shard) -> dict[str, Any] | None:
    """The worker's answer, or None when it died."""
    try:
        stdin = _pipe(process.stdin)
        stdin.write(json.dumps([shard.start, shard.stop]).encode() + b"\n")
        stdin.flush()
        return json.loads(_pipe(process.stdout).readline())
    except (OSError, ValueError):
        return None


def _pipe(pipe: Any) -> Any:
    assert pipe is not None
    return pipe
