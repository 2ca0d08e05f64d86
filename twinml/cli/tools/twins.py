"""``twinml twins``: the twins found, in the order in which folders are searched."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from twinml.cli.console import Console
from twinml.cli.search import SearchPath, shown
from twinml.cli.tools.arguments import Parser, parse


def run(words: Sequence[str]) -> int:
    """Lists twins with their model, record and file."""
    parser = Parser("twinml twins", description="Lists the twins found, and where.", add_help=False)
    parser.add_argument("--config-dir", help="a folder that is searched first")
    parser.add_argument("--json", action="store_true", help="as JSON")
    asked = parse(parser, words)
    if asked is None:
        return 0
    search = SearchPath.of(asked.config_dir)
    found = [_described(search, name, file) for name, file in search.options("twin").items()]
    if asked.json:
        print(json.dumps({"schema": "twins/1", "twins": found}, indent=2, ensure_ascii=False))
        return 0
    if not found:
        folders = ", ".join(shown(folder / "twin") for folder in search.folders)
        print(f"No twin found. Looked for *.yaml in: {folders}.")
        return 0
    rows = [
        [
            one["name"], one["model"], one["record"] or "-", "yes" if one["calibration"] else "-",
            one["file"], "hides the package's" if one["hides"] else "",
        ]
        for one in found
    ]  # fmt: skip
    Console().table(("twin", "model", "record", "calibrated", "file", ""), rows)
    return 0


def _described(search: SearchPath, name: str, file: Path) -> dict[str, Any]:
    hidden = search.shadowed("twin", name)
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        record = (content.get("data") or {}).get("path")
        about = {
            "model": str((content.get("model") or {}).get("_target_", "?")),
            "record": ", ".join(record) if isinstance(record, list) else record,
            "calibration": content.get("calibration"),
        }
    except (yaml.YAMLError, AttributeError, UnicodeDecodeError):
        about = {"model": "(not a valid twin file)", "record": None, "calibration": None}
    return {"name": name, **about, "file": shown(file), "hides": hidden and str(hidden)}
