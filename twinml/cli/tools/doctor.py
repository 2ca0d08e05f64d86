"""``twinml doctor``: what works on this machine, and for the rest why not and what to do."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict

from twinml import __version__
from twinml.cli.console import Console
from twinml.cli.tools.arguments import Parser, parse


def run(words: Sequence[str]) -> int:
    """Prints the diagnosis. Exit 0: it is a report, and most of it is optional."""
    parser = Parser(
        "twinml doctor",
        description="Says what works on this machine, why the rest does not, and what to do.",
        add_help=False,
    )
    parser.add_argument(
        "--import",
        dest="deep",
        action="store_true",
        help="import each optional package instead of only finding it (slower, surer)",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parse(parser, words)
    if asked is None:
        return 0
    from twinml.cli.diagnosis import diagnose

    findings = list(diagnose(asked.deep))
    title = f"twinml {__version__} on {platform.platform()}"
    if asked.json:
        content = {
            "schema": "doctor/1",
            "twinml": __version__,
            "platform": platform.platform(),
            "findings": [asdict(finding) for finding in findings],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False))
        return 0
    rows = [[f.what, "works" if f.works else "no", f.detail] for f in findings]
    Console().table(("what", "", "detail"), rows, title)
    todo = [finding for finding in findings if finding.advice and not finding.works]
    if todo:
        print("What to do, where it is wanted:")
    for finding in todo:
        print(f"  {finding.what}: {finding.advice}")
    return 0
