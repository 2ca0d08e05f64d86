"""Every bad call of the table ends in one plain paragraph, with its code, and leaves nothing."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.cli.bad_input.case import BEGIN, Bad, Ended, call, contents, make_products
from tests.cli.bad_input.page import entry, read_entries
from tests.cli.bad_input.table import CASES
from twinml.errors import DataError
from twinml.run import open_run


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_products(tmp_path_factory.mktemp("products"))


@pytest.mark.parametrize("name", CASES)
def test_a_bad_call_is_told_what_is_wrong_and_leaves_nothing_whole(name, products, tmp_path):
    bad = CASES[name]
    bad.lay(tmp_path, products)
    before = contents(tmp_path)
    ended = call(bad.words, tmp_path, bad.environment)
    check_paragraph(bad, ended, tmp_path)
    check_folder(bad, before, tmp_path)
    if not bad.foreign or sys.version_info[:2] == (3, 11):
        assert entry(name, bad.words, ended, tmp_path) == read_entries().get(name), (
            "the page differs: python -m tests.cli.bad_input.page, then read what has changed"
        )


def check_paragraph(bad: Bad, ended: Ended, folder: Path) -> None:
    message = ended.message(folder)
    assert ended.code == bad.code, ended.err
    assert "Traceback" not in ended.err and "TWINML_DEBUG" not in message.replace(HINT, "")
    if bad.code == 2 and not bad.keeps:
        assert ended.err.count("\n") == 1 and not ended.out
    first, *listed = message.splitlines()
    assert re.match(BEGIN, first) and (
        first.endswith(":" if listed else (".", "?", ")")) or "Usage: " in first
    )
    assert all(line.startswith("  ") for line in listed)
    for fragment in bad.says:
        assert fragment in f"{ended.plain(folder)}\n{ended.out}"


HINT = "TWINML_DEBUG=1 shows the whole traceback"  # where the fault is in the user's own file


def check_folder(bad: Bad, before: dict[str, bytes | None], folder: Path) -> None:
    after = contents(folder)
    changed = {name for name in {*before, *after} if before.get(name, 0) != after.get(name, 0)}
    outside = [n for n in changed if not n.startswith(bad.keeps)] if bad.keeps else sorted(changed)
    assert not outside, f"left behind: {outside}"
    for name in sorted(changed):
        inner = any(other != name and name.startswith(other) for other in roots(changed))
        if name.endswith("provenance.json") and not inner and bad.code == 1:
            with pytest.raises(DataError, match="did not finish"):
                open_run((folder / name).parent)


def roots(names: set[str]) -> list[str]:
    """Folders of runs, each ending in a slash."""
    return [name.removesuffix("provenance.json") for name in names if "provenance" in name]


def test_the_page_holds_every_call_in_order():
    assert list(read_entries()) == list(CASES)


def test_the_table_is_as_long_as_promised():
    assert len(CASES) >= 60
