"""The program that speaks with Ray: the only home of Ray's types.

    python -P -m twinml.sweep.ray drive|look|node OPTIONS

``drive`` starts or joins a cluster and computes the shards that it is given on its input, one JSON
value a line; its output tells reports and events the same way (``twinml.sweep.ray_executor`` is
the other end). ``look`` tells how many workers a cluster has room for. ``node`` adds this machine
to a cluster until it is ended. When its input ends, the program ends whatever it started, and
nothing else.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinml.sweep.plan import Shard

MOST_DEATHS = 3  # of one shard's workers, before the shard is taken to be the cause
MOST_LOSSES = 20  # of nodes under one shard, which says less of the shard
STORE_BYTES = 100 * 2**20  # of shared memory; a task is all that lies there
BEAT = 2.0  # seconds between two looks at what cannot be heard


class Refused(Exception):
    """Ends the program with a text for the user."""


@dataclass(eq=False)
class _Worker:
    """One actor: what it says of itself, and the shards it has, the first being computed."""

    actor: Any
    name: str = ""
    node: str = ""
    state: str = "pending"  # then starting, ready or refused
    flying: collections.deque[Shard] = field(default_factory=collections.deque)


class _Output:
    """Lines to the caller."""

    def __init__(self) -> None:
        self.file = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what a library prints must not mix with them

    def __call__(self, **said: Any) -> None:
        self.file.write(json.dumps(said, default=str) + "\n")
        self.file.flush()


class _Crew:
    """The workers of one sweep, and the shards that are theirs or wait for one."""

    def __init__(self, ray: Any, options: Mapping[str, Any], say: _Output, inbox: Any) -> None:
        self.ray, self.options, self.say, self.inbox = ray, options, say, inbox
        self.workers: list[_Worker] = []
        self.waiting: collections.deque[Shard] = collections.deque()
        self.deaths: collections.Counter[Shard] = collections.Counter()
        self.losses: collections.Counter[Shard] = collections.Counter()
        self.wanted, self.no_more = 0, False
        self.served = time.monotonic()  # when there last was a worker
        self.refusal: dict[str, Any] | None = None
        self.content = ray.put(Path(options["task"]).read_bytes())
        threads = str(max(1, int(options["cpus"])))
        self.kind = ray.remote(max_restarts=0, max_task_retries=0)(_actor_class()).options(
            num_cpus=options["cpus"], num_gpus=options["gpus"]
        )
        self.arguments = (options["paths"], threads)

    def run(self) -> None:
        """Computes what comes in until there is no more of it."""
        for _ in range(self.options["workers"]):
            self.add()
        while True:
            self.ask()
            if self.no_more and not self.waiting and not any(w.flying for w in self.workers):
                return
            with contextlib.suppress(queue.Empty):
                kind, *rest = self.inbox.get(timeout=BEAT)
                if kind == "closed":
                    return
                getattr(self, f"on_{kind}")(*rest)
                continue
            self.beat()

    def add(self) -> None:
        """One more worker; it starts where and when there is room."""
        worker = _Worker(self.kind.remote(*self.arguments))
        self.workers.append(worker)
        self.call(worker, "hello", worker.actor.hello.remote())

    def call(self, worker: _Worker, kind: str, ref: Any, *rest: Any) -> None:
        """Have the result of a call put into the inbox."""

        def done(future: Any) -> None:
            error = future.exception()
            if error is None:
                self.inbox.put((kind, worker, future.result(), *rest))
            else:
                self.inbox.put(("failed", worker, error))

        ref.future().add_done_callback(done)

    def ask(self) -> None:
        """Hand out what waits, and ask for as much as the workers have room for."""
        ready = [worker for worker in self.workers if worker.state == "ready"]
        most = self.options["in_flight"]
        while self.waiting:
            free = min(ready, key=lambda worker: len(worker.flying), default=None)
            if free is None or len(free.flying) >= most:
                return
            shard = self.waiting.popleft()
            free.flying.append(shard)
            self.call(free, "answer", free.actor.compute.remote(shard.start, shard.stop), shard)
        room = sum(most - len(worker.flying) for worker in ready) - self.wanted
        if room > 0 and not self.no_more:
            self.wanted += room
            self.say(want=room)

    def on_line(self, value: list[int] | None) -> None:
        """A shard of the caller, or that there is no more."""
        if value is None:
            self.no_more = True
        else:
            self.wanted -= 1
            self.waiting.append(Shard(*value))

    def on_hello(self, worker: _Worker, said: Mapping[str, str]) -> None:
        """It runs; now it loads the task."""
        worker.name, worker.node, worker.state = said["name"], said["node"], "starting"
        self.say(event="worker_started", worker=worker.name)
        if said["error"]:
            refused = {"error": "WorkerError", "message": said["error"], "trace": ""}
            return self.on_prepared(worker, refused)
        options = self.options
        ref = worker.actor.prepare.remote(self.content, options["out"], options["token"])
        self.call(worker, "prepared", ref)

    def on_prepared(self, worker: _Worker, refused: dict[str, Any] | None) -> None:
        """It can compute, or says why not. One that is refused keeps its slot, and does nothing."""
        if refused is None:
            worker.state = "ready"
            return
        worker.state, self.refusal = "refused", refused
        if refused["error"] != "WorkerError":
            raise _Fatal(refused)
        self.say(event="worker_refused", worker=worker.name, reason=refused["message"])
        if all(other.state == "refused" for other in self.workers):
            raise _Fatal(refused)

    def on_answer(self, worker: _Worker, said: Mapping[str, Any], shard: Shard) -> None:
        """A finished shard, or the error of one."""
        if worker in self.workers:  # else it was given up, and the shard is another's
            worker.flying.remove(shard)
            self.say(answer=said)

    def on_failed(self, worker: _Worker, error: Exception) -> None:
        """The worker, or its node, is lost: its shards wait for others."""
        if worker not in self.workers:
            return
        self.workers.remove(worker)
        if worker.state in ("starting", "ready"):
            self.served = time.monotonic()
        with contextlib.suppress(Exception):
            self.ray.kill(worker.actor)
        if not isinstance(error, self.ray.exceptions.RayActorError):
            raise Refused(f"A worker of Ray failed: {_short(error)}")
        lost = worker.node and not self.is_alive(worker.node)
        # of a node that has just gone, Ray knows at first only that nothing there answers
        unheard = isinstance(error, self.ray.exceptions.ActorUnavailableError)
        reason = "its node is lost" if lost else _short(error)
        self.say(event="worker_lost", worker=worker.name or "not yet started", reason=reason)
        if worker.flying:
            first = worker.flying[0]
            (self.losses if lost or unheard else self.deaths)[first] += 1
            self.check(first, reason)
            for shard in reversed(worker.flying):
                self.say(event="retry", start=shard.start, stop=shard.stop, reason=reason)
                self.waiting.appendleft(shard)
        elif not lost:
            # not while it computed: it died of its task, or before it began
            begun = Shard(-1, -1)
            self.deaths[begun] += 1
            if self.deaths[begun] > MOST_DEATHS + len(self.workers):
                raise Refused(f"Ray's workers end before they begin: {reason}")
        self.add()

    def check(self, shard: Shard, reason: str) -> None:
        """Refuses to try one shard for ever."""
        if self.deaths[shard] >= MOST_DEATHS or self.losses[shard] >= MOST_LOSSES:
            raise Refused(
                f"Samples {shard.start} to {shard.stop} ended their worker "
                f"{self.deaths[shard] + self.losses[shard]} times ({reason}; a kill is often "
                f"memory). The finished shards in {self.options['out']} are kept: resume with a "
                "smaller shard_size or fewer workers."
            )

    def is_alive(self, node: str) -> bool:
        """Whether Ray still has a node."""
        return any(found["NodeID"] == node and found["Alive"] for found in self.ray.nodes())

    def beat(self) -> None:
        """What no message tells: that there is no room for any worker, or no cluster."""
        total = self.ray.cluster_resources()  # raises when the cluster is gone
        now = time.monotonic()
        if any(worker.state in ("starting", "ready") for worker in self.workers):
            self.served = now
            return
        lack = f"Ray ({self.options['address']}) has no room for a worker: {self.lack(total)}."
        if now - self.served > self.options["patience"]:
            if self.refusal is not None:
                raise _Fatal(self.refusal)
            raise Refused(
                f"{lack} Free or add some, ask for less by executor.cpus_per_worker and "
                "executor.gpus_per_worker, or wait longer by executor.patience."
            )
        # with a shard that lost its worker, if there is one: the caller may not want it any more
        shard = self.waiting[0] if self.waiting else None
        self.say(
            waiting=f"{lack} Waiting for one up to executor.patience={self.options['patience']:g} "
            "seconds.",
            seconds=now - self.served,
            shard=None if shard is None else [shard.start, shard.stop],
        )

    def lack(self, total: Mapping[str, float]) -> str:
        """Which resource is missing."""
        free = self.ray.available_resources()
        need = {"CPU": self.options["cpus"], "GPU": self.options["gpus"]}
        has = ", ".join(
            f"{free.get(name, 0):g} of {total.get(name, 0):g} {name} free" for name in need
        )
        lacking = [name for name, count in need.items() if count > free.get(name, 0)] or [
            "memory or another resource"
        ]
        needs = " and ".join(f"{count:g} {name}" for name, count in need.items() if count)
        return f"{' and '.join(lacking)} is missing. A worker needs {needs}; the cluster has {has}"


class _Fatal(Exception):
    """Ends the program with an error of ours, as plain data."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["message"])
        self.said = said


def _actor_class() -> type:
    """The class of the actors, sent by value: it must not need twinml before it knows the paths."""

    class Twinml:
        """A worker of one sweep."""

        def __init__(self, paths: list[str], threads: str) -> None:
            import os
            import sys

            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
                os.environ[name] = threads
            sys.path.extend(path for path in paths if path not in sys.path)

        def hello(self) -> dict[str, str]:
            import os
            import socket

            import ray

            name = f"{os.getpid()}@{socket.gethostname()}"
            try:
                import twinml.errors  # noqa: F401

                error = ""
            except ImportError as missing:
                error = (
                    f"The worker {name} cannot import twinml ({missing}). Install the same "
                    "version on every machine of the cluster."
                )
            node = ray.get_runtime_context().get_node_id()
            return {"name": name, "node": node, "error": error}

        def prepare(self, content: bytes, out: str, token: str) -> dict[str, Any] | None:
            from twinml.sweep.remote import RemoteWorker, prepare

            made = prepare(content, out, token)
            if isinstance(made, RemoteWorker):
                self.worker = made
                return None
            return dict(made)

        def compute(self, start: int, stop: int) -> dict[str, Any]:
            return self.worker.compute(start, stop)

    return Twinml


def _short(error: BaseException) -> str:
    """The last line of Ray's account, which has the reason."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("class_name", "actor_id", "namespace"))]
    return (kept or [type(error).__name__])[-1][:300]


@contextmanager
def _connected(options: Mapping[str, Any]) -> Iterator[Any]:
    """Ray, joined to a cluster or with one of its own, which ends with the block."""
    import ray

    address = options["address"]
    own = address in ("local", "slurm")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if own:
            ray.init(
                address="local",
                num_cpus=options["slots"],
                include_dashboard=False,
                object_store_memory=STORE_BYTES,
                _temp_dir=options["temp"],
                **common,
            )
        else:
            ray.init(address=address, **common)
    except Exception as error:  # Ray's errors are of many kinds
        what = "cannot be started here" if own else f"at {address} cannot be joined"
        do = "" if own else " Check the address; a cluster of its own is executor.address=local."
        raise Refused(f"A Ray cluster {what}: {_short(error)}.{do}") from error
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # Ray put its own in place
    try:
        if address == "slurm":
            with _nodes(ray, options):
                yield ray
        else:
            yield ray
    finally:
        ray.shutdown()


@contextmanager
def _nodes(ray: Any, options: Mapping[str, Any]) -> Iterator[None]:
    """The other machines of a Slurm job, each joined by a step of its own."""
    from twinml.sweep.allocation import nodes_of_job

    gcs = ray.get_runtime_context().gcs_address
    steps = []
    try:
        for node in nodes_of_job()[1:]:
            content = json.dumps({"address": gcs, "cpus": node.cpus})
            steps.append(
                subprocess.Popen(
                    [
                        "srun", "--nodes=1", "--ntasks=1", f"--nodelist={node.name}", "--overlap",
                        f"--cpus-per-task={node.cpus}", "--mem=0", "--quiet",
                        "--kill-on-bad-exit=0", sys.executable, "-P", "-m", "twinml.sweep.ray",
                        "node", content,
                    ],
                    stdin=subprocess.PIPE,  # srun hands its end on
                    stdout=sys.stderr,
                )
            )  # fmt: skip
        yield
    finally:
        for step in steps:
            step.stdin.close()
        for step in steps:
            try:
                step.wait(10)
            except subprocess.TimeoutExpired:
                step.kill()
                step.wait()


def drive(options: dict[str, Any], say: _Output) -> None:
    """Compute what comes in."""
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    begun = threading.Event()

    def read() -> None:
        for line in sys.stdin:
            inbox.put(("line", json.loads(line)))
        if not begun.is_set():  # nobody waits for this cluster any more
            os._exit(1)
        inbox.put(("closed",))

    threading.Thread(target=read, daemon=True).start()
    with _connected(options) as ray:
        begun.set()
        say(connected=True)
        _Crew(ray, options, say, inbox).run()
        say(done=True)


def look(options: dict[str, Any], say: _Output) -> None:
    """Tell how many workers there is room for."""
    with _connected(options) as ray:
        found = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        say(room=sum(_room(resources, options) for resources in found))


def _room(resources: Mapping[str, float], options: Mapping[str, Any]) -> int:
    from twinml.sweep.allocation import slots

    has = (resources.get("CPU", 0), resources.get("GPU", 0))
    return slots(*has, options["cpus"], options["gpus"])


def node(options: dict[str, Any]) -> int:
    """This machine as part of a cluster, until the input ends or SIGTERM comes."""
    code = "from ray.scripts.scripts import main; main()"
    folder = tempfile.TemporaryDirectory(prefix="tw-ray-", dir="/tmp", ignore_cleanup_errors=True)
    with folder as at:
        process = subprocess.Popen(
            [
                sys.executable, "-P", "-c", code, "start", f"--address={options['address']}",
                f"--num-cpus={options['cpus']}", f"--temp-dir={at}", "--block",
                f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats",
            ],
            stdin=subprocess.DEVNULL,
            # the sweep has ended, or begins elsewhere: nothing here is worth waiting for
            env={**os.environ, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"},
        )  # fmt: skip
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: process.terminate())

        def read() -> None:
            sys.stdin.read()
            process.terminate()

        threading.Thread(target=read, daemon=True).start()
        return process.wait()


def main() -> int:
    """Runs one of the three modes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    mode, options = sys.argv[1], json.loads(sys.argv[2])
    if mode == "node":
        return node(options)
    say = _Output()
    try:
        {"drive": drive, "look": look}[mode](options, say)
    except _Fatal as error:
        say(fatal=error.said)
    except Refused as error:
        say(fatal={"error": "SweepError", "message": str(error), "trace": ""})
    except Exception as error:
        text = f"The Ray cluster ({options['address']}) is gone or failed: {_short(error)}."
        say(fatal={"error": "SweepError", "message": text, "trace": ""})
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
