"""A worker process: reads a task, then computes one shard per line until the input ends.

Started by ``twinml.sweep.processes``. Interrupts are the parent's business: it ends its workers.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import traceback
from pathlib import Path
from typing import Any


def main() -> None:
    """``python -m twinml.sweep.worker TASK OUT``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a model prints must not mix with the answers
    task_file, out = Path(sys.argv[1]), Path(sys.argv[2])
    task: Any = None
    for line in sys.stdin:
        try:
            from twinml.sweep.executor import compute_shard
            from twinml.sweep.plan import Shard

            if task is None:
                task = pickle.loads(task_file.read_bytes())
            answer = vars(compute_shard(task, out, Shard(*json.loads(line))))
        except Exception as error:
            answer = {
                "error": type(error).__name__,
                "message": str(error),
                "trace": traceback.format_exc(),
            }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
