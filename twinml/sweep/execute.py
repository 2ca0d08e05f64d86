"""Doing what was planned: lock, ledger and log around an executor."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any, final

from twinml.errors import ArgumentError
from twinml.sweep.deadline import Deadline
from twinml.sweep.disk import lacking, storing
from twinml.sweep.events import EventLog
from twinml.sweep.executor import Steering
from twinml.sweep.folder import LocalFolder
from twinml.sweep.lock import Lock
from twinml.sweep.plan import Shard, missing_shards
from twinml.sweep.prepare import Prepared
from twinml.sweep.progress import Pace
from twinml.sweep.result import Sweep, open_sweep, write_summary
from twinml.sweep.store import LEDGER, SHARDS, ShardReport, Store

Progress = Callable[[int, int, int], None]
# What a shard may take beyond the slowest of late, and seconds for what follows the last one.
MARGIN, RESERVE = 1.2, 2.0
NOTICES = ("waiting", "worker_refused")  # events that a user is told of at once


def execute(
    prepared: Prepared,
    out: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    reserve: float = RESERVE,
    notice: Callable[[str], None] | None = None,
) -> Sweep:
    """Compute what is missing and sum it up.

    Args:
        out: Another place than was prepared, for a sweep that begins.
        progress: Called with (rows done, rows in all, failed rows) after every shard.
        reserve: Seconds to leave between the last shard and the deadline.
        notice: Called, perhaps by another thread, with what a user should know while it runs.

    Raises:
        LockedError: Another process works there.
        SweepError: Workers failed or the disk is full; what is finished stays.
    """
    store = prepared.store if out is None else Store(out)
    log = EventLog(store.folder)
    with storing(store.out), Lock(store.folder, log.tell) as lock:
        shards = _begin(prepared, store, log)
        watch = _Watch(prepared, lock, reserve)
        runner = prepared.runner
        runner.steering = Steering(_telling(log, notice), watch.may_begin)
        kept = list(prepared.done)
        rows = sum(len(report.shard) for report in kept)
        failed = sum(report.failed for report in kept)
        try:
            with lacking(store.out, prepared.plan, kept), storing(store.out):
                # closing: an error or Ctrl-C must end the workers now, not at garbage collection
                with closing(runner.map(prepared.task, str(store.out), shards)) as finished:
                    for report in finished:
                        lock.check()
                        store.record(report)
                        watch.add(report)
                        kept.append(report)
                        rows, failed = rows + len(report.shard), failed + report.failed
                        told = {k: v for k, v in vars(report).items() if k != "sha256"}
                        log.tell("shard", **told)
                        if progress is not None:
                            progress(rows, prepared.task.samples, failed)
                result = replace(open_sweep(store.out), task=prepared.task, plan=prepared.plan)
                if result.done:
                    write_summary(result)
        except BaseException as error:
            with suppress(OSError):
                _sweep_up(store)
            _tell_end(log, error, rows)
            raise
        if watch.stopped:
            log.tell("stopped", reason="deadline", rows=rows, failed=failed)
        else:
            log.tell("finished", rows=rows, failed=failed)
        return result


def _telling(log: EventLog, notice: Callable[[str], None] | None) -> Callable[..., None]:
    """Tells the log, and the user of what keeps the sweep from its full width."""

    def tell(event: str, **facts: Any) -> None:
        log.tell(event, **facts)
        if notice is not None and event in NOTICES:
            notice(str(facts["reason"]))

    return tell


def _begin(prepared: Prepared, store: Store, log: EventLog) -> tuple[Shard, ...]:
    """Put the manifest in place, sweep up after a dead process, and say what is to be done."""
    task, plan = prepared.task, prepared.plan
    begun = store.exists
    now = store.read_manifest() if begun else None
    if now is not None:
        # another process may have begun, grown or ended it since this one looked
        if not prepared.resumes:
            raise ArgumentError(
                f"{store.out} was begun by another process in the meantime. Go on with it by "
                "resume=true, or choose another out=."
            )
        store.check_identity(now, prepared.manifest["identity"])
        store.check_growth(now, task.samples)
    if now is None or now["samples"] != task.samples:
        store.write_manifest(prepared.manifest)
    _sweep_up(store)
    shards = plan.shards
    if begun and store.folder.exists(LEDGER):
        # the last word on what is done, now that nobody else adds to it
        known = {(report.start, report.stop): report for report in prepared.done}
        still = [r for r in store.done() if known.get((r.start, r.stop)) == r]
        if len(still) != len(known):
            shards = missing_shards(task.samples, [r.shard for r in still], plan.shard_size)
    log.tell(
        "resumed" if begun else "planned",
        samples=task.samples,
        done=task.samples - sum(map(len, shards)),
        shards=len(shards),
        shard_size=plan.shard_size,
        workers=plan.workers,
        executor=plan.executor,
        engine=plan.engine,
        seconds=round(plan.seconds, 3),
        deadline=None if prepared.deadline is None else prepared.deadline.text,
    )
    for report in prepared.damaged:
        log.tell("damaged", start=report.start, stop=report.stop)
    log.tell("started", pid=os.getpid(), host=socket.gethostname())
    return shards


def _sweep_up(store: Store) -> None:
    """Remove half-written shards: nobody else works here, so their writers are dead."""
    if isinstance(store.folder, LocalFolder):
        for name in store.folder.names(SHARDS):
            if name.endswith(".tmp"):
                store.folder.remove(f"{SHARDS}/{name}")


@final
class _Watch:
    """Whether another shard may be begun: the deadline, and whether the folder is still ours."""

    def __init__(self, prepared: Prepared, lock: Lock, reserve: float) -> None:
        self._deadline: Deadline | None = prepared.deadline
        left = 0.0 if self._deadline is None else self._deadline.left
        self._reserve = min(reserve, 0.25 * max(0.0, left))
        startup = prepared.runner.startup if prepared.plan.workers > 1 else 0.0
        self._pace = Pace(prepared.cost.seconds, startup)
        self._lock = lock
        self._stop = threading.Event()

    @property
    def stopped(self) -> bool:
        """Whether the deadline kept a shard from being begun."""
        return self._stop.is_set()

    def add(self, report: ShardReport) -> None:
        self._pace.add(report)

    def may_begin(self, shard: Shard) -> bool:
        if self._lock.lost or self._stop.is_set():
            return False
        if self._deadline is not None:
            needed = MARGIN * self._pace.seconds(shard) + self._reserve
            if needed > self._deadline.left:
                self._stop.set()
                return False
        return True


def _tell_end(log: EventLog, error: BaseException, rows: int) -> None:
    reasons = {"KeyboardInterrupt": "SIGINT", "Terminated": "SIGTERM"}
    name = type(error).__name__
    with suppress(OSError):  # a full disk takes no word of it either; the error itself goes on
        if name in reasons or not isinstance(error, Exception):
            log.tell("stopped", reason=reasons.get(name, name), rows=rows)
        else:
            log.tell("failed", error=f"{name}: {error}", rows=rows)
