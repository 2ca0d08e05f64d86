"""How fast a sweep goes: rate, time to go, and how long a shard takes."""

from __future__ import annotations

import threading
import time
from typing import final

from twinml.sweep.plan import Shard, shown_time
from twinml.sweep.store import ShardReport

_RECENT = 32  # finished shards that the pace follows


@final
class Pace:
    """What finished shards tell of those to come; the pilot's figure until there are some.

    Args:
        seconds_per_row: Of one worker, as the pilot block measured.
        startup: Seconds until a worker's first row.
    """

    def __init__(self, seconds_per_row: float, startup: float = 0.0) -> None:
        self._rates = [seconds_per_row]
        self._startup = startup
        self._measured = False
        self._alone = threading.Lock()

    def add(self, report: ShardReport) -> None:
        """Learn from a finished shard."""
        with self._alone:
            if not self._measured:
                self._rates.clear()
            self._measured = True
            self._rates.append(report.seconds / max(1, len(report.shard)))
            del self._rates[:-_RECENT]

    def seconds(self, shard: Shard) -> float:
        """What a shard will take one worker, at the slowest recent pace."""
        with self._alone:
            first = 0.0 if self._measured else self._startup
            return first + max(self._rates) * len(shard)


@final
class ProgressText:
    """A note for the console: ``52,300 rows/s, 12 s left, 3 failed``.

    Args:
        before: Rows that were done already.
    """

    def __init__(self, before: int = 0) -> None:
        self._begin, self._before = time.monotonic(), before

    def __call__(self, rows: int, total: int, failed: int) -> str:
        passed = time.monotonic() - self._begin
        text = f"{failed:,} failed"
        if rows > self._before and passed > 0:
            rate = (rows - self._before) / passed
            left = "" if rows >= total else f", {shown_time((total - rows) / rate)} left"
            text = f"{rate:,.0f} rows/s{left}, {text}"
        return text
