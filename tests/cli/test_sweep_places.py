"""``out=`` and ``resume=`` of a sweep as addresses: the rows lie there, the report here."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from tests.cli.bad_input.case import Bad, call
from twinml.sweep import open_sweep
from twinml.sweep.status import sweep_status

SWEEP = "sweep twin=kiln scenario=soak workers=1 sensitivity=0 samples="


class Shelf(LocalFileSystem):
    """A store that is no folder of this machine, as far as the program knows."""

    protocol = "shelf"

    @classmethod
    def _strip_protocol(cls, path):
        return LocalFileSystem._strip_protocol(str(path).removeprefix("shelf://"))


@pytest.fixture
def kiln(tmp_path: Path):
    Bad("", ()).lay(tmp_path, tmp_path)
    fsspec.register_implementation("shelf", Shelf, clobber=True)

    def run(words: str, code: int = 0) -> str:
        ended = call(words, tmp_path, {})
        assert ended.code == code, ended.err
        return ended.out + ended.err

    return run


def table_of(path: object):
    table = open_sweep(str(path)).table()
    return {name: table[name].tobytes() for name in table.names}


@pytest.mark.parametrize("protocol", ["file", "shelf"])
def test_a_sweep_at_an_address_is_begun_resumed_and_watched(kiln, tmp_path, protocol):
    kiln(SWEEP + "256 out=whole")
    store = f"{protocol}://{tmp_path}/far/a"
    told = kiln(SWEEP + f"128 out={store}")
    assert open_sweep(store).done == 128
    assert (f"rows    {store}" in told) == (protocol == "shelf")
    refused = kiln(SWEEP + f"128 out={store}", 2)
    assert "already holds a sweep" in refused and "resume=" in refused
    assert "complete, 128 of 128" in kiln(f"status {store}")
    kiln(f"sweep resume={store} samples=256")
    assert table_of(store) == table_of(tmp_path / "whole")
    assert sweep_status(store).state == "complete"
    if protocol == "shelf":  # configuration, figures and report of each run lie here
        runs = sorted((tmp_path / "runs" / "sweep").glob("*/*/report.html"))
        assert len(runs) == 2 and not list((tmp_path / "far" / "a").glob("*.html"))
        record = json.loads((tmp_path / "far" / "a" / "provenance.json").read_text())
        assert f"resume={store}" in record["command"]
    else:
        assert (tmp_path / "far" / "a" / "report.html").is_file()
        assert not (tmp_path / "runs").exists()
    assert not list(tmp_path.glob("*:*"))  # no folder named after a protocol


def test_a_watch_ends_with_what_it_watches(monkeypatch, capsys):
    from twinml.cli.tools import status as tool
    from twinml.sweep import status

    states = iter(["running", "running", "stopped", "never asked"])

    def ask(path):
        return status.SweepStatus(path, next(states), 10, 5, 0, 2.0, None, 1)

    monkeypatch.setattr(status, "sweep_status", ask)
    monkeypatch.setattr(tool, "EVERY", 0.0)
    assert tool.run(["a", "--watch"]) == 0
    told = capsys.readouterr().out
    assert told.count("a: running, 5 of 10 samples done") == 2 and "1 worker lost" in told
    assert told.count("resume with twinml sweep resume=a") == 1 and "never" not in told
