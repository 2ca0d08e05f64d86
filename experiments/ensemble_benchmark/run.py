"""Time twinml beside its peers on the same ensembles. See README.md.

python experiments/ensemble_benchmark/run.py [--quick] [--only NAME] [--against NAME] [--cores 1|2]
                                             [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import machine


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time twinml beside its peers.")
    parser.add_argument("--quick", action="store_true", help="one small batch, two rounds")
    parser.add_argument("--only", action="append", metavar="PROBLEM", help="repeat for several")
    parser.add_argument("--against", action="append", metavar="CONTESTANT", help="part of a name")
    parser.add_argument("--cores", type=int, default=1, choices=(1, 2))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(given)


def main(given: list[str]) -> dict[str, Any]:
    """Run the benchmark; returns what the JSON file holds."""
    options = arguments(given)
    machine.prepare(options.cores)
    # Imported now: numpy and torch read the thread counts that prepare has set.
    from contestants import everyone
    from contestants.base import Skipped
    from match import equal_error
    from measure import Entry, enter, take_turns
    from problems import BATCHES, PROBLEMS
    from table import markdown, record
    from truth import exact

    chosen = options.only or list(PROBLEMS)
    for name in chosen:
        if name not in PROBLEMS:
            sys.exit(f"no problem '{name}'; there are {', '.join(PROBLEMS)}")
    result: dict[str, Any] = {"machine": machine.describe(options.cores), "problems": {}}
    for name in chosen:
        problem = PROBLEMS[name]
        truth = exact(problem)
        entries: list[Entry] = []
        skipped: dict[str, str] = {}
        for contestant in everyone(options.cores):
            if options.against and not any(a in contestant.name for a in options.against):
                continue
            small = BATCHES[:1] if options.quick and len(contestant.batches) > 1 else None
            try:
                entries.append(enter(contestant, problem, truth, problem.tolerance, small))
            except Skipped as reason:
                skipped[contestant.name] = str(reason)
        if not options.quick:
            entries += equal_error(entries, truth)
        take_turns(entries, 2 if options.quick else options.rounds)
        result["problems"][name] = record(problem, entries, skipped)
        print(markdown(name, result["problems"][name]), flush=True)
        if options.json:
            options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
