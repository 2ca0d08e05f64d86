"""Threads of a launch end before it does, whatever interrupts it."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from twinml.engines.native.team import run_team

STACK = 1 << 20


def test_every_thread_works_once_and_says_what_came_of_it():
    numbers = iter(range(7))
    lock = threading.Lock()

    def work() -> int:
        with lock:
            return next(numbers)

    assert sorted(run_team(work, 7, STACK, lambda: None)) == list(range(7))


def test_an_interrupt_waits_until_no_thread_works_on():
    cancelled, working = threading.Event(), threading.Event()
    ended = []

    def work() -> int:
        working.set()
        cancelled.wait(20)
        time.sleep(0.3)  # what a kernel takes until it looks
        ended.append(cancelled.is_set())
        return 0

    def interrupt() -> None:
        working.wait(20)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        run_team(work, 3, STACK, cancelled.set)
    assert ended == [True] * 3


def test_where_the_system_gives_no_thread_those_that_began_are_ended(monkeypatch):
    cancelled = threading.Event()
    ended = []

    def work() -> int:
        cancelled.wait(20)
        ended.append(cancelled.is_set())
        return 0

    start, started = threading.Thread.start, []

    def refuse(thread: threading.Thread) -> None:
        if len(started) == 2:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        run_team(work, 3, STACK, cancelled.set)
    assert ended == [True, True]
