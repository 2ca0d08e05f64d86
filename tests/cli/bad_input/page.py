"""``texts.md``: every message on one page, for a person to read.

Write it again after a change of a text or of the table:

    python -m tests.cli.bad_input.page
"""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path

from tests.cli.bad_input.case import Ended, call, make_products
from tests.cli.bad_input.table import SECTIONS

PAGE = Path(__file__).with_name("texts.md")
TITLE = """\
# What the program answers to bad calls

Written by `python -m tests.cli.bad_input.page`. The calls and their files stand in the table
beside this file; words quoted from Python are those of 3.11.
"""


def entry(name: str, words: str, ended: Ended, folder: Path) -> str:
    """One message as it stands on the page."""
    wrapped = "\n".join(
        textwrap.fill(line, 98, break_long_words=False, break_on_hyphens=False)
        for line in ended.message(folder).splitlines()
    )
    return f"### {name}\n`{words}` exits with {ended.code}\n\n{textwrap.indent(wrapped, '> ')}\n"


def read_entries() -> dict[str, str]:
    """The entries of the page by name, in order."""
    parts = PAGE.read_text(encoding="utf-8").split("\n### ")[1:]
    return {p.partition("\n")[0]: "### " + p.partition("\n## ")[0].rstrip() + "\n" for p in parts}


def write() -> None:
    """Makes every call and writes the page."""
    lines = [TITLE]
    with tempfile.TemporaryDirectory() as place:
        products = make_products(Path(place))
        for title, section in SECTIONS.items():
            lines.append(f"## {title}\n")
            for name, bad in section.items():
                with tempfile.TemporaryDirectory() as empty:
                    folder = Path(empty, "deep", "here")  # ../shared/data is no one's
                    folder.mkdir(parents=True)
                    bad.lay(folder, products)
                    ended = call(bad.words, folder, bad.environment)
                    lines.append(entry(name, bad.words, ended, folder))
    PAGE.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write()
