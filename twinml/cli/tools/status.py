"""``twinml status DIR``: how far a sweep is, from another terminal too."""

from __future__ import annotations

import time
from collections.abc import Sequence

from twinml.cli.tools.arguments import Parser, parse

EVERY = 2.0  # seconds


def run(words: Sequence[str]) -> int:
    """Prints state, rate, time to go and failures; with --watch until it no longer runs."""
    parser = Parser(
        "twinml status",
        description="Says how far a sweep is: it may run elsewhere, or have been killed.",
        add_help=False,
    )
    parser.add_argument("path", metavar="DIR", help="run directory of twinml sweep")
    parser.add_argument("--watch", action="store_true", help="again every 2 s while it runs")
    asked = parse(parser, words)
    if asked is None:
        return 0
    from twinml.sweep.status import sweep_status

    while True:
        found = sweep_status(asked.path)
        print(found.text, flush=True)
        if not asked.watch or found.state != "running":
            return 0
        time.sleep(EVERY)
