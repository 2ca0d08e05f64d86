"""Threads that run one piece of work together, and what becomes of them at an interrupt."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

_stack_lock = threading.Lock()
# Between two looks whether the threads have ended; a signal is heard in between.
_GLANCE = 0.2


def run_team(
    work: Callable[[], int], count: int, stack: int, cancel: Callable[[], None]
) -> list[int]:
    """Run ``work`` in so many threads at once; what each returns.

    An interrupt tells the work to stop and is raised once it has. Should a second one come before,
    threads may outlive this call: ``work`` must own all memory that it touches.

    ``Thread.join`` is of no use here: in Python 3.11, where a signal breaks off a join, the thread
    counts as ended from then on although it still runs.

    Args:
        work: What every thread calls, without the interpreter's lock for most of its time.
        count: Number of threads.
        stack: Bytes of stack of each.
        cancel: Makes the work return soon.

    Raises:
        RuntimeError: the system gives no thread.
    """
    team: list[threading.Thread] = []
    ended: list[int | None] = []
    # A plain lock, as it is left in order wherever a signal strikes.
    bell = threading.Lock()
    bell.acquire()

    def member() -> None:
        code = None
        try:
            code = work()
        finally:
            ended.append(code)
            with contextlib.suppress(RuntimeError):  # another has rung it
                bell.release()

    def wait(members: Callable[[], int]) -> None:
        while len(ended) < members():
            bell.acquire(timeout=_GLANCE)

    try:
        with _stack_lock:
            before = threading.stack_size(stack)
            try:
                for _ in range(count):
                    team.append(threading.Thread(target=member, daemon=True))
                    team[-1].start()
            finally:
                threading.stack_size(before)
        wait(lambda: count)
    except BaseException:
        cancel()
        wait(lambda: sum(thread.ident is not None for thread in team))
        raise
    return [code for code in ended if code is not None]
