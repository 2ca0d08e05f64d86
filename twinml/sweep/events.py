"""``log.jsonl``: what happened to a sweep and when, one event a line.

Events: planned, resumed, started, shard, retry, worker_started, worker_refused, worker_lost,
waiting, lock_taken, damaged, stopped, failed, finished. Each has ``time`` in UTC and whatever else
it tells.
"""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from typing import Any, final

from twinml.sweep.folder import AbstractFolder

LOG = "log.jsonl"


@final
class EventLog:
    """The log of one sweep, open for writing; may be told of events by several threads."""

    def __init__(self, folder: AbstractFolder) -> None:
        self.folder = folder
        self._alone = threading.Lock()

    def tell(self, event: str, **facts: Any) -> None:
        """Append one event."""
        content = {"time": utc(), "event": event, **facts}
        with self._alone:
            self.folder.append(LOG, json.dumps(content, default=str).encode(), durable=False)


def read_events(folder: AbstractFolder) -> Iterator[dict[str, Any]]:
    """The events in order; lines that were cut off are left out."""
    if not folder.exists(LOG):
        return
    for line in folder.read(LOG).splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict) and "event" in found:
            yield found


def utc(moment: datetime.datetime | None = None) -> str:
    """A moment, now when None, in ISO 8601 to the millisecond."""
    moment = moment or datetime.datetime.now(datetime.UTC)
    return moment.astimezone(datetime.UTC).isoformat(timespec="milliseconds")
