"""``twinml verify PATH``: an artifact's bytes and numbers are what was exported."""

from __future__ import annotations

from collections.abc import Sequence

from twinml.cli.console import Console
from twinml.cli.tools.arguments import Parser, parse


def run(words: Sequence[str]) -> int:
    """Exit 0 when every byte and every golden number agrees; 1 names what does not."""
    parser = Parser(
        "twinml verify",
        description="Checks an artifact, a folder or its bare model file: bytes, then numbers.",
        add_help=False,
    )
    parser.add_argument("path", metavar="PATH", help="folder or file written by twinml export")
    asked = parse(parser, words)
    if asked is None:
        return 0
    from twinml.export import verify

    passed = verify(asked.path)
    rows = [list(row.values()) for row in passed.table()]
    sizes = passed.batch_sizes
    title = (
        f"{passed.path} ({passed.target}): {passed.bytes:,} bytes in {len(passed.files)} files are "
        f"unchanged; {passed.rows} stored rows at batch sizes {', '.join(map(str, sizes))}"
    )
    Console().table(list(passed.table()[0]), rows, title)
    return 0
