"""Full disks, cut shards, early ends, an older version's folder: told, resumed, nothing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import twinml as tw
from tests.small_disk import small_disk
from tests.sweep.models import Decay
from tests.sweep.test_execution import SCENARIO, N, bits, swept
from twinml.data import Table
from twinml.errors import ArgumentError, DataError, DiskFullError, SweepError
from twinml.sweep import local
from twinml.sweep.disk import check_room
from twinml.sweep.execute import execute
from twinml.sweep.lock import LOCK
from twinml.sweep.plan import Shard
from twinml.sweep.prepare import prepare
from twinml.sweep.status import sweep_status
from twinml.sweep.store import Store

STEP = 64


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return bits(swept(tmp_path_factory.mktemp("whole") / "a"))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[tuple[Path, Callable[[str], object]]]:
    """A disk of 72 kB, and how to give it another size."""
    with small_disk(tmp_path / "disk", "72k") as resize:
        yield tmp_path / "disk", resize


def finished(out: Path) -> dict[str, int]:
    """Files of the ledger's shards with the time of their last change; each is named once."""
    shards = [report.shard for report in Store(out)._ledger()]
    assert len(set(shards)) == len(shards)
    files = [out / "shards" / shard.name for shard in shards]
    return {file.name: file.stat().st_mtime_ns for file in files}


def ledger_covers(out: Path) -> bool:
    done = Store(out).done()
    return [(r.start, r.stop) for r in done] == [
        (at, min(at + STEP, N)) for at in range(0, N, STEP)
    ]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_disk_that_fills_up_is_named_and_the_sweep_goes_on_when_there_is_room(
    tmp_path, disk, whole, workers
):
    place, resize = disk
    out = place / "a"
    with pytest.raises(DiskFullError) as told:
        swept(out, shard_size=STEP, workers=workers)
    text = str(told.value)
    assert f"the disk at {place} (" in text and "No space left on device" in text
    assert "rows that are missing need about" in text and "more than is free" in text
    assert 0 < len(Store(out).done()) < -(-N // STEP)
    assert not list((out / "shards").glob(".*"))
    before = finished(out)
    status = sweep_status(out)
    assert status.state in ("failed", "interrupted") and "resume with" in status.text
    resize("2m")
    assert bits(swept(out, shard_size=STEP, resume=True)) == whole
    after = finished(out)
    assert {name: after[name] for name in before} == before  # none is run again
    assert ledger_covers(out) and not (out / LOCK).exists()


def test_a_full_disk_before_the_first_row_is_refused_with_both_sizes(disk):
    place, resize = disk
    with pytest.raises(ArgumentError, match=r"100,000 rows more, 3\.2 MB on disk; .* 74 kB free"):
        check_room(200_000, 100_000, 7, place / "not" / "yet")
    (place / "filler").write_bytes(bytes(72 * 1024 - 20_000))
    with pytest.raises(SweepError, match=r"cannot be written.*No space left"):
        swept(place / "a", samples=500, shard_size=STEP)
    (place / "filler").unlink()
    resize("2m")
    assert swept(place / "a", samples=500, shard_size=STEP, resume=True).complete


def test_a_cut_or_missing_shard_is_told_when_opened_and_computed_again(tmp_path, whole):
    out = swept(tmp_path / "a", shard_size=STEP).path
    cut, gone = (out / "shards" / Shard(start, start).name for start in (128, 512))
    size = cut.stat().st_size
    cut.write_bytes(cut.read_bytes()[:-7])
    gone.unlink()
    says = rf"000000000128\.parquet has {size - 7:,} of its {size:,} bytes and 1 more: 128 finished"
    with pytest.warns(UserWarning, match=says):
        part = tw.open_sweep(out)
    assert part.done == 128 and bits(part)["end"] == whole["end"][: 8 * 128]
    found = sweep_status(out)
    assert found.state == "damaged" and "resume with" in found.text and "has " in found.reason
    before = finished_files(out)
    assert bits(swept(out, shard_size=STEP, resume=True)) == whole
    assert sweep_status(out).state == "complete" and ledger_reads_once(out)
    after = finished_files(out)
    changed = {name for name in after if after[name] != before.get(name)}
    assert changed == {cut.name, gone.name}
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [e["start"] for e in log if e["event"] == "damaged"] == [128, 512]


def finished_files(out: Path) -> dict[str, int]:
    return {p.name: p.stat().st_mtime_ns for p in (out / "shards").iterdir()}


def ledger_reads_once(out: Path) -> bool:
    """The rows of the finished shards are all samples, once and in order."""
    samples = tw.open_sweep(out).table()["sample"]
    return samples.tolist() == list(range(N))


def test_an_end_before_the_first_shard_leaves_a_sweep_that_begins_anew(tmp_path, whole):
    def cut_off(*_):
        raise KeyboardInterrupt

    out = tmp_path / "a"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local, "compute_shard", cut_off)
        with pytest.raises(KeyboardInterrupt):
            swept(out, shard_size=STEP)
    assert not (out / "ledger.jsonl").exists() and tw.open_sweep(out).done == 0
    assert sweep_status(out).state == "stopped"
    with pytest.raises(SweepError, match=r"no finished rows \(0 of 1,000\)"):
        tw.open_sweep(out).table()
    assert bits(swept(out, resume=True)) == whole


def test_what_began_since_the_plan_was_made_is_not_mixed_with(tmp_path, whole):
    def planned(**options):
        model, scenario = Decay(), tw.Scenario.from_mapping(SCENARIO)
        return prepare(model, scenario, N, out=tmp_path / "a", block_size=256, **options)

    other, same, resuming = planned(seed=6), planned(seed=5), planned(seed=6, resume=True)
    assert bits(execute(same)) == whole
    with pytest.raises(ArgumentError, match="begun by another process in the meantime"):
        execute(other)
    with pytest.raises(ArgumentError, match="seed differs"):
        execute(resuming)
    swept(tmp_path / "b", samples=512)
    few = prepare(
        Decay(), tw.Scenario.from_mapping(SCENARIO), 512, seed=5, out=tmp_path / "b",
        block_size=256, resume=True,
    )  # fmt: skip
    swept(tmp_path / "b", resume=True)  # another process lets it grow
    with pytest.raises(ArgumentError, match="cannot shrink to 512"):
        execute(few)
    assert bits(tw.open_sweep(tmp_path / "b")) == whole


def test_status_tells_planned_from_ended_without_a_word(tmp_path):
    with pytest.raises(DataError, match=r"There is no sweep at .* no manifest\.json"):
        sweep_status(tmp_path)
    out = swept(tmp_path / "a", samples=512, shard_size=256).path
    assert sweep_status(out).state == "complete"
    (out / "ledger.jsonl").unlink()
    log = (out / "log.jsonl").read_text().splitlines()
    (out / "log.jsonl").write_text("\n".join(log[:2]) + "\n")  # planned, started
    found = sweep_status(out)
    assert found.state == "interrupted" and "without a word" in found.text
    (out / "log.jsonl").unlink()
    assert (sweep_status(out).state, sweep_status(out).done) == ("planned", 0)
    (out / "manifest.json").write_text("{")
    with pytest.raises(DataError, match="not a sweep's manifest"):
        sweep_status(out)


def made_older(out: Path) -> None:
    """What the first schema wrote: no column ``rung``, and less in manifest and ledger."""
    store = Store(out)
    manifest = store.read_manifest()
    for name in ("kernel", "twinml"):
        del manifest["identity"][name]
    store.write_json("manifest.json", {**manifest, "schema": "sweep/1"})
    lines = []
    for report in store.done():
        path = store.shard_path(report.shard)
        table = Table.read_parquet(path)
        names = [name for name in table.names if name != "rung"]
        units = {name: table.units[name] for name in names}
        Table({name: table[name] for name in names}, units).write_parquet(path)
        old = {k: v for k, v in report.to_mapping().items() if k != "mended"}
        old |= {"size": path.stat().st_size, "sha256": store._sha256(f"shards/{path.name}")}
        lines.append(json.dumps(old) + "\n")
    (out / "ledger.jsonl").write_text("".join(lines))
    (out / "log.jsonl").unlink()


def test_a_sweep_of_the_first_schema_is_read_resumed_and_grown_as_it_was_begun(tmp_path, whole):
    out = swept(tmp_path / "a", samples=512, shard_size=128).path
    made_older(out)
    (out / "shards" / Shard(256, 384).name).unlink()
    with pytest.warns(UserWarning, match="is gone"):
        assert tw.open_sweep(out).done == 256
    assert sweep_status(out).samples == 512
    grown = swept(out, shard_size=192, resume=True)
    assert grown.manifest["schema"] == "sweep/1" and grown.complete
    assert bits(grown) == {name: whole[name] for name in whole if name != "rung"}
    with pytest.raises(ArgumentError, match="seed differs"):
        swept(out, resume=True, seed=6)
