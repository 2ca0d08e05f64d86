"""``twinml twins``: the twins found, in the order in which folders are searched."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from twinml.cli.console import Console
from twinml.cli.search import SearchPath, shown
from twinml.cli.tools.arguments import Parser, parse


def run(words: Sequence[str]) -> int:
    """Lists twins with their model, record and file."""
    parser = Parser("twinml twins", description="Lists the twins found, and where.", add_help=False)
    parser.add_argument("--config-dir", help="a folder that is searched first")
    asked = parse(parser, words)
    if asked is None:
        return 0
    search = SearchPath.of(asked.config_dir)
    rows = []
    for name, file in search.options("twin").items():
        hidden = search.shadowed("twin", name)
        note = "hides the package's" if hidden else ""
        rows.append([name, *_content(file), shown(file), note])
    if not rows:
        folders = ", ".join(shown(folder / "twin") for folder in search.folders)
        print(f"No twin found. Looked for *.yaml in: {folders}.")
        return 0
    Console().table(("twin", "model", "record", "file", ""), rows)
    return 0


def _content(file: Path) -> tuple[str, str]:
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        model = (content.get("model") or {}).get("_target_", "?")
        record = (content.get("data") or {}).get("path") or "-"
    except (yaml.YAMLError, AttributeError):
        return "(not a valid twin file)", "-"
    return str(model), str(record)
