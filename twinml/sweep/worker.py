"""A worker process: reads a task, then computes one shard per line until the input ends.

Started by ``twinml.sweep.processes``. Interrupts are the parent's business: it ends its workers.
Should it die without doing so, the end of the input is the end of the worker.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any


def main() -> None:
    """``python -m twinml.sweep.worker TASK OUT``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints must not mix with the answers
    task_file, out = Path(sys.argv[1]), sys.argv[2]
    task: Any = None
    for line in _lines():
        said: dict[str, Any]
        try:
            from twinml.sweep.admission import check_worker
            from twinml.sweep.answer import answer, failure
            from twinml.sweep.plan import Shard

            if task is None:
                task, expected = pickle.loads(task_file.read_bytes())
                check_worker(task, expected)
            said = answer(task, out, Shard(*json.loads(line)))
        except Exception as error:
            task = None
            said = failure(error)
        answers.write(json.dumps(said) + "\n")
        answers.flush()


def _lines() -> Any:
    """Lines of the input, read beside the work: where it ends in the middle, so does the worker."""
    import queue

    waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            waiting.put(line)
        waiting.put(None)
        if busy.is_set():  # the parent is gone: nobody would hear the answer
            os._exit(1)

    busy = threading.Event()
    threading.Thread(target=read, daemon=True).start()
    while True:
        busy.clear()
        line = waiting.get()
        if line is None:
            return
        busy.set()
        yield line


if __name__ == "__main__":
    main()
