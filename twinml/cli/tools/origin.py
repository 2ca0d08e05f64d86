"""Which format a file of ours has, which version of twinml wrote it, and in which run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Schema -> what it is. The number after the slash grows when the form changes.
SCHEMAS = {
    "run/1": "what a run was made of, and how it ended",
    "config/1": "the resolved configuration of a run",
    "metrics/1": "the figures of a run",
    "calibration/1": "fitted values with their uncertainty",
    "posterior/1": "what a scenario draws calibrated quantities from",
    "sweep/2": "what a sweep is, and what it must not be mixed with",
    "sweep_summary/2": "moments, quantiles and probabilities of a sweep",
    "table/1": "columns with units",
    "surrogate/1": "a fitted surrogate",
    "artifact/1": "size and sha256 of every file of an artifact",
    "model/1": "what an exported model takes and gives",
    "golden/1": "rows with the answers that an artifact must give",
    "comparison/1": "what differs between two of a kind",
    "twins/1": "the twins that twinml twins found",
    "doctor/1": "what twinml doctor found",
}
PROVENANCE = "provenance.json"
LEVELS = 4  # a shard of a demo's sweep lies three folders below its run


def origin(path: Path) -> Iterator[str]:
    """Lines on format and origin, as far as the file or its run tells them."""
    schema = _schema(path)
    if schema is not None:
        words = SCHEMAS.get(schema)
        if words is None:
            name = schema.partition("/")[0]
            read = next((known for known in SCHEMAS if known.startswith(f"{name}/")), None)
            words = "another version of twinml wrote it" if read else "not a format of twinml"
            words += f"; this one reads {read}" if read else ""
        yield f"schema {schema}: {words}"
    version, run = _writer(path)
    if version is not None:
        yield f"written by twinml {version}{f' in run {run}' if run else ''}"


def _schema(path: Path) -> str | None:
    if path.suffix == ".json" and path.is_file():
        return _text(_json(path).get("schema"))
    if path.suffix in (".yaml", ".yml") and path.is_file():
        import yaml

        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return _text(content.get("schema")) if isinstance(content, dict) else None
    if path.suffix == ".parquet":
        import pyarrow.parquet

        found = (pyarrow.parquet.read_schema(path).metadata or {}).get(b"schema")
        return None if found is None else found.decode()
    return "surrogate/1" if path.name == "surrogate.pt" else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _writer(path: Path) -> tuple[str | None, Path | None]:
    """The version of twinml that wrote a path, and the run that it belongs to."""
    home = path if path.is_dir() else path.parent
    for folder in [home, *home.resolve().parents][:LEVELS]:
        if (folder / PROVENANCE).is_file():
            version = _json(folder / PROVENANCE).get("packages", {}).get("twinml")
            return _text(version), None if folder == path else folder
    manifest = _json(home / "manifest.json")
    versions = manifest.get("versions")
    found = versions.get("twinml") if isinstance(versions, dict) else manifest.get("twinml")
    return _text(found), None


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
