"""How far a sweep is, from its files alone: another terminal or machine can ask while it runs."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass
from typing import Any, final

from twinml.sweep.events import read_events
from twinml.sweep.lock import alive, read_owner
from twinml.sweep.plan import shown_time
from twinml.sweep.store import Store

_ENDS = ("finished", "stopped", "failed")
_BEGINS = ("planned", "resumed")


@final
@dataclass(frozen=True)
class SweepStatus:
    """What is known of a sweep.

    Args:
        out: Where it lies.
        state: planned, running, stopped, interrupted, failed, damaged or complete.
        samples, done, failed: Rows in all, finished, and failed among these.
        rate: Rows per second since it was last begun; None before the first shard.
        seconds_left: At that rate, while it runs.
        workers_lost: Since it was first begun.
        reason: What the state does not say by itself.
    """

    out: str
    state: str
    samples: int
    done: int
    failed: int
    rate: float | None
    seconds_left: float | None
    workers_lost: int
    reason: str = ""

    @property
    def text(self) -> str:
        """For a person, with the way on where it does not run."""
        share = f"{self.done:,} of {self.samples:,} samples done, {self.failed:,} failed"
        parts = [f"{self.out}: {self.state}, {share}"]
        if self.rate is not None:
            parts.append(f"{self.rate:,.0f} rows/s")
        if self.seconds_left is not None:
            parts.append(f"{shown_time(self.seconds_left)} left")
        if self.workers_lost:
            parts.append(f"{self.workers_lost:,} worker{'s' * (self.workers_lost != 1)} lost")
        text = ", ".join(parts)
        if self.reason:
            text += f"\n  {self.reason}"
        if self.state in ("planned", "stopped", "interrupted", "failed", "damaged"):
            text += f"\n  resume with twinml sweep resume={self.out}"
        return text


def sweep_status(out: str | os.PathLike[str]) -> SweepStatus:
    """Read a sweep's manifest, ledger, log and lock; none of its rows.

    Raises:
        DataError: There is no sweep at ``out``.
    """
    store = Store(out)
    manifest = store.read_manifest()
    reports, damaged = store.sorted_out()
    done = sum(len(report.shard) for report in reports)
    events = list(read_events(store.folder))
    last = max((i for i, e in enumerate(events) if e["event"] in _BEGINS), default=0)
    now = events[last:]
    owner = read_owner(store.folder)
    running = owner is not None and alive(owner)
    ends = [event for event in now if event["event"] in _ENDS]
    begun = done > 0 or any(event["event"] == "started" for event in now)
    state, reason = _state(running, begun, ends, owner, done == manifest["samples"])
    if running and now and now[-1]["event"] == "waiting":
        reason += f"\n  {now[-1].get('reason', '')}"
    if damaged and not running:
        state, reason = "damaged", store.damage(damaged)
    rate = _rate(now, running)
    left = (manifest["samples"] - done) / rate if running and rate else None
    return SweepStatus(
        out=str(store.out), state=state, samples=manifest["samples"], done=done,
        failed=sum(report.failed for report in reports), rate=rate, seconds_left=left,
        workers_lost=sum(event["event"] == "worker_lost" for event in events), reason=reason,
    )  # fmt: skip


def _state(
    running: bool,
    begun: bool,
    ends: list[dict[str, Any]],
    owner: dict[str, Any] | None,
    complete: bool,
) -> tuple[str, str]:
    if running and owner is not None:
        return "running", f"process {owner.get('pid')} on {owner.get('host')}"
    if owner is not None and not (ends or complete):
        return "interrupted", f"the process {owner.get('pid')} on {owner.get('host')} is gone"
    if complete:
        return "complete", ""
    if not ends and begun:
        return "interrupted", "it ended without a word, as on a full disk or at a power failure"
    if not ends:
        return "planned", ""
    if ends[-1]["event"] == "failed":
        return "failed", str(ends[-1].get("error", ""))
    return "stopped", f"by {ends[-1].get('reason', 'its end')}"


def _rate(events: list[dict[str, Any]], running: bool) -> float | None:
    """Rows per second between the beginning and the last shard, or now."""
    shards = [event for event in events if event["event"] == "shard"]
    if not shards:
        return None
    begin = datetime.datetime.fromisoformat(events[0]["time"])
    end = datetime.datetime.fromisoformat(shards[-1]["time"])
    if running:
        end = datetime.datetime.now(datetime.UTC)
    passed = (end - begin).total_seconds()
    rows = sum(event["stop"] - event["start"] for event in shards)
    return rows / passed if passed > 0 else None
