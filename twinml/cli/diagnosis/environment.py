"""Folders: records, shipped files, the working directory, the search path of configurations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from twinml import resources
from twinml.cli.common import records
from twinml.cli.diagnosis.finding import Finding
from twinml.cli.search import SearchPath, shown


def folders() -> Iterator[Finding]:
    for name, folder in (("configs", resources.configs()), ("kernels", resources.kernels())):
        advice = "the installation is incomplete: install twinml again"
        yield Finding(f"shipped {name}", folder.is_dir(), str(folder), advice)
    data = records()
    if data is None:
        advice = "only for twins whose record is not shipped: export TWINML_DATA=<folder>"
        yield Finding("records", False, "TWINML_DATA is not set", advice)
    else:
        advice = "name an existing folder by TWINML_DATA"
        exists = Path(data).is_dir()
        yield Finding("records", exists, data if exists else f"{data} does not exist", advice)
    here = Path.cwd()
    advice = "runs/ is made here: change the directory, or give out=<folder>"
    yield Finding("working directory", os.access(here, os.W_OK), str(here), advice)


def search_path() -> Iterator[Finding]:
    search = SearchPath.of()
    places = ", ".join(shown(folder) for folder in search.folders)
    detail = f"{places}; {len(search.options('twin'))} twins"
    yield Finding("config search", bool(search.folders), detail, "install twinml again")
