"""What the workers of a cluster are given, and when they are no longer waited for, without Ray."""

from __future__ import annotations

import queue
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from twinml.sweep import ray as home
from twinml.sweep.allocation import slots
from twinml.sweep.executor import Steering
from twinml.sweep.plan import Shard
from twinml.sweep.ray import Refused
from twinml.sweep.ray_executor import RayExecutor


@pytest.mark.parametrize(
    ("machine", "worker", "room"),
    [
        ((4, 0), (1, 0), 4),
        ((4, 0), (0.5, 0), 8),
        ((0.3, 0), (0.1, 0), 3),  # 0.3 / 0.1 is less than 3 in binary
        ((7, 0), (2, 0), 3),
        ((16, 4), (1, 1), 4),
        ((16, 4), (1, 0.5), 8),
        ((16, 4), (1, 0.4), 8),  # not 10: a worker's share lies on one device
        ((16, 1), (1, 0.1), 10),
        ((16, 3), (1, 2), 1),
        ((2, 8), (1, 0.5), 2),  # the cores are what is short
        ((0, 4), (0, 0.25), 16),
        ((16, 0), (1, 0.5), 0),
    ],
)
def test_workers_fit_by_cores_and_by_parts_of_a_device(machine, worker, room):
    assert slots(*machine, *worker) == room


class Actor:
    """A worker that answers when the test says so."""

    def __init__(self, cluster: Cluster) -> None:
        for name in ("hello", "prepare", "compute"):
            setattr(self, name, SimpleNamespace(remote=self._remote(cluster, name)))

    def _remote(self, cluster: Cluster, name: str) -> Callable[..., Any]:
        def remote(*arguments: Any) -> Any:
            future: Future[Any] = Future()
            cluster.calls.append((self, name, arguments, future))
            return SimpleNamespace(future=lambda: future)

        return remote


class Cluster:
    """As much of Ray's interface as the crew uses; ``idle`` is called at every beat."""

    class RayActorError(Exception):
        pass

    class ActorUnavailableError(RayActorError):
        pass

    def __init__(self, idle: Callable[[Cluster], None]) -> None:
        self.idle = idle
        self.calls: list[tuple[Actor, str, tuple[Any, ...], Future[Any]]] = []
        self.exceptions = SimpleNamespace(
            RayActorError=self.RayActorError, ActorUnavailableError=self.ActorUnavailableError
        )

    def put(self, content: Any) -> Any:
        return content

    def remote(self, **options: Any) -> Any:
        made = SimpleNamespace(remote=lambda *arguments: Actor(self))
        return lambda kind: SimpleNamespace(options=lambda **more: made)

    def kill(self, actor: Actor) -> None:
        pass

    def nodes(self) -> list[dict[str, Any]]:
        return [{"NodeID": "n", "Alive": True}]

    def cluster_resources(self) -> dict[str, float]:
        self.idle(self)
        return {"CPU": 2}

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 0}

    def computing(self) -> list[tuple[Actor, str, tuple[Any, ...], Future[Any]]]:
        return [call for call in self.calls if call[1] == "compute" and not call[3].done()]

    def begin(self) -> None:
        """Let every worker come up that waits for it."""
        for actor, name, _, future in self.calls:
            if name == "hello" and not future.done():
                future.set_result({"name": f"w{id(actor)}", "node": "n", "error": ""})
            elif name == "prepare" and not future.done():
                future.set_result(None)


@pytest.fixture
def crew(tmp_path, monkeypatch):
    """A crew of a given width, with a clock of its own and a caller who gives what is asked for."""
    (tmp_path / "task").write_bytes(b"")
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(home, "time", SimpleNamespace(monotonic=lambda: clock.now))
    monkeypatch.setattr(home, "BEAT", 0.001)

    def make(idle, workers, shards, patience=60):
        inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        said: list[dict[str, Any]] = []
        left = [[i, i + 1] for i in range(shards)]
        clock.given = 0

        def say(**line: Any) -> None:
            said.append(line)
            for _ in range(line.get("want", 0)):
                clock.given += bool(left)
                inbox.put(("line", left.pop(0) if left else None))

        options = {
            "address": "local", "workers": workers, "in_flight": 2, "cpus": 1, "gpus": 0,
            "patience": patience, "task": str(tmp_path / "task"), "paths": [], "out": "a",
            "token": "",
        }  # fmt: skip
        made: Any = home._Crew(Cluster(idle), options, say, inbox)  # pyright: ignore
        return made, said, clock

    return make


def test_no_more_shards_are_out_than_the_workers_may_hold(crew):
    out: list[int] = []

    def idle(cluster):
        cluster.begin()
        flying = cluster.computing()
        out.append(len(flying))
        if flying:  # the last given ends first
            flying[-1][3].set_result({"shard": list(flying[-1][2])})

    made, said, _ = crew(idle, workers=3, shards=40)
    made.run()
    answered = sorted(line["answer"]["shard"] for line in said if "answer" in line)
    assert answered == [[i, i + 1] for i in range(40)]
    assert max(out) == 6  # three workers, each with one more than it computes
    asked = 0
    for line in said:  # and the caller is not asked for more than there is room for
        asked += line.get("want", 0) - ("answer" in line)
        assert asked <= 6


def test_a_preempted_worker_is_waited_for_from_its_loss_on(crew):
    steps = iter(["begin", "begin", "lose", *["wait"] * 50, "begin", "begin"])

    def idle(cluster):
        step = next(steps, "compute")
        if step == "begin":
            cluster.begin()
        elif step == "lose":
            clock.now += 1000  # the sweep has long outlived the patience
            (call, *_) = cluster.computing()
            call[3].set_exception(Cluster.RayActorError("preempted"))
        elif step == "wait":
            clock.now += 1
        else:
            for call in cluster.computing():
                call[3].set_result({"shard": list(call[2])})

    made, said, clock = crew(idle, workers=1, shards=3)
    made.run()
    assert [line["answer"]["shard"] for line in said if "answer" in line] == [
        [0, 1],
        [1, 2],
        [2, 3],
    ]
    waits = [line for line in said if "waiting" in line and line["shard"]]
    assert waits[0]["seconds"] < 5 and waits[-1]["seconds"] == pytest.approx(50, abs=2)
    assert waits[0]["shard"] == [0, 1]  # it had been begun


@pytest.mark.parametrize(
    ("kind", "times"), [(Cluster.RayActorError, 3), (Cluster.ActorUnavailableError, 20)]
)
def test_a_shard_that_ends_its_workers_is_given_up_later_where_nodes_are_lost(crew, kind, times):
    ends: list[Shard] = []

    def idle(cluster):
        cluster.begin()
        for call in cluster.computing()[:1]:
            ends.append(call[2])
            call[3].set_exception(kind("gone"))

    made, said, _ = crew(idle, workers=1, shards=1)
    with pytest.raises(Refused, match=rf"Samples 0 to 1 ended their worker {times} times .*resume"):
        made.run()
    assert len(ends) == times
    assert sum(line.get("event") == "worker_lost" for line in said) == times


def test_a_full_cluster_is_waited_for_in_words_and_not_for_ever(crew):
    def idle(cluster):
        clock.now += 1

    made, said, clock = crew(idle, workers=2, shards=3, patience=20)
    with pytest.raises(Refused, match=r"no room.*CPU is missing.*0 of 2 CPU free.*patience"):
        made.run()
    assert all("waiting" in line for line in said) and len(said) == 20
    assert "Waiting for one up to executor.patience=20 seconds" in said[0]["waiting"]


@pytest.mark.parametrize("line", [{}, {"waiting": "no room", "seconds": 9, "shard": None}])
def test_a_deadline_ends_the_wait_for_a_cluster_and_for_room_in_it(line):
    told: list[str] = []
    asked: list[Shard] = []

    def may_begin(shard):
        asked.append(shard)
        return len(asked) < 3

    runner = RayExecutor(workers=1)
    runner.steering = Steering(lambda event, **facts: told.append(event), may_begin)
    program: Any = iter([line] * 9)
    assert list(runner._exchange(program, [Shard(0, 8)], "a")) == []
    assert asked == [Shard(0, 8)] * 3 and len(list(program)) == 6
    assert told == (["waiting"] if line else [])  # once, not at every beat
