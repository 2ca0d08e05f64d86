"""The tasks in the order in which people use them, small; each reads what the one before wrote."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet
import pytest
import yaml

from tests.cli.small import put
from twinml import __version__, resources
from twinml.calibrate import load_calibration
from twinml.cli.compose import compose
from twinml.cli.main import main
from twinml.cli.overrides import Selection
from twinml.cli.search import SearchPath
from twinml.cli.tasks.sweep import SweepKeys
from twinml.cli.twin import build_model, build_record, load_posterior
from twinml.data import Table
from twinml.run.directory import RunDirectory

SCENARIO = """
horizon: {start: 0, stop: 12, unit: day}
vary:
  beta: {distribution: calibrated}
  day: {distribution: uniform, low: 2, high: 8}
changes:
  - {at: day, multiply: {beta: 0.5}}
quantities:
  peak: max(in_bed)
  over: time_above(in_bed, 250)
"""


@pytest.fixture(scope="module")
def chain(tmp_path_factory) -> Path:
    """A folder in which calibrate, sweep, train and export have run."""
    folder = tmp_path_factory.mktemp("chain")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        put(folder / "configs/scenario/small.yaml", SCENARIO)
        twin = ["twin=outbreak", "fit=[beta]", "fit_initial=[]"]
        for words in (
            ["calibrate", *twin, "starts=1", "out=cal"],
            ["sweep", *twin, "scenario=small", "calibration=cal", "samples=256", "workers=1",
             "out=swp", "sensitivity=8"],
            ["train", "sweep=swp", "surrogate=mlp", "surrogate.steps=20", "surrogate.width=8",
             "out=trn"],
            ["export", "run=trn", "out=dist/small"],
        ):  # fmt: skip
            assert main(words) == 0, words
    return folder


@pytest.fixture
def here(chain, monkeypatch):
    monkeypatch.chdir(chain)
    return chain


def metrics(folder: Path) -> dict:
    return json.loads((folder / "metrics.json").read_text())


def test_a_calibration_stores_values_with_intervals(here):
    found = metrics(here / "cal")
    low, value, high = (found[f"calibration.beta.{w}"] for w in ("low", "value", "high"))
    assert low < value < high and found["fit.rmse"] > 0
    assert (here / "cal" / "calibration.json").is_file() and (here / "cal" / "fit.png").is_file()


def test_a_sweep_stores_a_row_per_sample_and_probabilities(here):
    table = Table.read_parquet(here / "swp" / "table.parquet")
    assert table.names == ("sample", "status", "rung", "beta", "day", "peak", "over")
    found = metrics(here / "swp")
    assert len(table) == found["sweep.samples"] == 256 and found["sweep.failed"] == 0
    assert 0 <= found["sweep.over.above_0.low"] <= found["sweep.over.above_0.probability"] <= 1
    assert "sensitivity.peak.day.total" in found
    block = json.loads((here / "swp" / "provenance.json").read_text())
    assert {"model", "scenario", "calibration"} <= set(block["inputs"])


def test_a_training_scores_every_quantity_with_its_coverage(here):
    found = metrics(here / "trn")
    for target in ("peak", "over"):
        assert 0 <= found[f"surrogate.mlp.{target}.coverage_90"] <= 1
        assert found[f"surrogate.mlp.{target}.rmse"] > 0
    assert (here / "trn" / "parity.png").is_file()


def test_the_artifact_verifies_and_a_changed_byte_does_not(here, tmp_path, capsys):
    assert main(["verify", "dist/small"]) == 0
    assert "unchanged" in capsys.readouterr().out
    copy = shutil.copytree(here / "dist" / "small", tmp_path / "copy")
    raw = bytearray((copy / "model.pt").read_bytes())
    raw[len(raw) // 2] ^= 1
    (copy / "model.pt").write_bytes(raw)
    assert main(["verify", str(copy)]) == 1
    assert "model.pt" in capsys.readouterr().err


def test_show_reads_everything_the_tasks_write(here, tmp_path, capsys):
    more = {
        "simulate": ["twin=outbreak", "horizon.stop=2"],
        "reproduce": ["run=cal"],
    }
    for task, words in more.items():
        assert main([task, *words, f"out={tmp_path / task}"]) == 0
    many = ["twin=outbreak", "horizon.stop=1,2", f"out={tmp_path / 'many'}", "-m"]
    assert main(["simulate", *many]) == 0
    folders = [here / name for name in ("cal", "swp", "trn", "dist/small")]
    folders += [tmp_path, *(p for p in tmp_path.iterdir()), here / "runs"]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert {".pt", ".parquet", ".json", ".yaml", ".html", ".png", ".csv", ".jsonl"} <= {
        f.suffix for f in files
    }
    capsys.readouterr()
    for path in dict.fromkeys([*folders, *files]):
        assert main(["show", str(path)]) == 0, path
        out = capsys.readouterr().out
        assert out.strip() and (path.suffix not in (".json", ".parquet") or "schema " in out), path
        assert "not a format" not in out and "another version" not in out, path
        if path not in (tmp_path, here / "runs") and path.name != "multirun.csv":
            assert path == tmp_path / "many" or f"twinml {__version__}" in out, path


def test_show_names_a_format_that_this_version_does_not_read(here, tmp_path, capsys):
    put(tmp_path / "a.json", '{"schema": "calibration/9", "names": []}')
    assert main(["show", str(tmp_path / "a.json")]) == 0
    assert "another version of twinml wrote it; this one reads calibration/1" in (
        capsys.readouterr().out
    )


def test_every_file_of_values_names_its_schema(here):
    folders = [here / name for name in ("cal", "swp", "trn", "dist/small")]
    for file in (file for folder in folders for file in folder.rglob("*")):
        if file.suffix in (".json", ".yaml"):
            assert "/" in yaml.safe_load(file.read_text())["schema"], file
        if file.suffix == ".parquet":
            assert pyarrow.parquet.read_schema(file).metadata[b"schema"] == b"table/1"


def test_a_sweep_without_one_good_sample_has_failed_and_says_why(here, tmp_path, capsys):
    words = ["sweep", *TWIN, "fit=[beta]", "calibration=cal", "samples=16", "workers=1"]
    out = tmp_path / "failed"
    assert main([*words, "solver.max_steps=2", f"out={out}"]) == 1
    assert "16 with MAX_STEPS" in capsys.readouterr().err
    block = json.loads((out / "provenance.json").read_text())
    assert block["status"] == "failed" and metrics(out)["sweep.failed"] == 16


def test_what_never_happened_is_named_by_sweep_and_train(here, tmp_path, capsys):
    never = SCENARIO + "  full: first_time(in_bed > 300)\n"
    put(tmp_path / "configs/scenario/never.yaml", never)
    words = ["sweep", *TWIN, "fit=[beta]", "calibration=cal", "scenario=never", "samples=128"]
    place = [f"out={tmp_path / 'swp'}", "workers=1", "sensitivity=0"]
    assert main([*words, *place, "--config-dir", str(tmp_path / "configs")]) == 0
    absent = json.loads((tmp_path / "swp" / "summary.json").read_text())["quantities"]["full"]
    count = absent["not_finite"]
    assert 0 < count < 128
    said = f"full is no finite number in {count} of 128 samples"
    assert said in capsys.readouterr().err and said in (tmp_path / "swp/report.html").read_text()
    words = ["train", f"sweep={tmp_path / 'swp'}", "surrogate=mlp", "surrogate.steps=2"]
    split = "split={train: 20, calibration: 10, selection: 0, test: 10}"
    assert main([*words, split, f"out={tmp_path / 'trn'}"]) == 0
    assert f"{count} rows are left out for all targets, since 'full'" in capsys.readouterr().err


def test_files_of_one_name_in_two_groups_are_both_recorded(here):
    block = json.loads((here / "swp" / "provenance.json").read_text())
    assert {"config:twin/outbreak.yaml", "config:solver/default.yaml"} <= set(block["inputs"])


def test_a_multirun_over_surrogate_options_ends_with_one_table(here, capsys):
    words = ["sweep=swp", "surrogate=mlp", "surrogate.width=8", "surrogate.steps=10", "out=many"]
    assert main(["train", *words, "-m", "seed=1,2"]) == 0
    out = capsys.readouterr().out
    assert "peak.coverage_90" in out and out.count("done") == 2
    assert main(["show", "many"]) == 0
    assert "multirun many: 2 jobs" in capsys.readouterr().out


def test_the_shipped_calibration_is_of_the_shipped_record(here):
    twin = compose(
        SweepKeys, "sweep", ("twin",), Selection({"twin": "outbreak"}), SearchPath.of()
    ).typed.twin
    model = build_model(twin)
    shipped = load_calibration(resources.data(twin.calibration.removeprefix("package:")))
    assert shipped.record == build_record(twin, model).digest
    assert shipped.names == ("beta", "gamma", "initial.infected")
    posterior, origin = load_posterior(twin, model, None)
    assert posterior.names == shipped.names and set(origin) == {"calibration"}


def test_a_sweep_grows_by_naming_only_itself(here, tmp_path, capsys):
    grown = shutil.copytree(here / "swp", tmp_path / "grown")
    assert main(["sweep", f"resume={grown}", "samples=300", "sensitivity=0"]) == 0
    table = Table.read_parquet(grown / "table.parquet")
    first = Table.read_parquet(here / "swp" / "table.parquet")
    assert len(table) == 300 and (table["peak"][:256] == first["peak"]).all()
    assert "300 samples" in (grown / "report.html").read_text()
    # no figure of the smaller sweep stays beside the report of the larger
    assert (here / "swp" / "tornado.png").is_file() and not (grown / "tornado.png").exists()
    assert main(["sweep", f"resume={grown}", "samples=400", "seed=5"]) == 2
    assert "seed differs" in capsys.readouterr().err and metrics(grown)["sweep.samples"] == 300


@pytest.mark.parametrize("name", ["swp", "trn"])
def test_a_run_gives_the_same_bits_again(here, tmp_path, capsys, name):
    assert main(["reproduce", f"run={name}", f"out={tmp_path / 'again'}"]) == 0
    assert "the same, bit for bit" in capsys.readouterr().out


TWIN = ["twin=outbreak", "scenario=small"]


@pytest.mark.parametrize(
    ("words", "code", "fragments"),
    [
        (["calibrate"], 2, ["needs a twin", "outbreak"]),
        (["calibrate", "twin=lorenz"], 2, ["has no record", "data.path="]),
        (["calibrate", "twin=outbreak", "fit=[beat]"], 2, ["beat", "beta"]),
        (["calibrate", "twin=outbreak", "fit=[]", "fit_initial=[]"], 2, ["nothing to fit", "beta"]),
        (["calibrate", "twin=outbreak", "fit_initial=[bed]"], 2, ["bed"]),
        (["calibrate", "twin=outbreak", "starts=0"], 2, ["starts"]),
        (["calibrate", "twin=outbreak", "level=1.5", "starts=1", "fit=[beta]"], 2, ["level"]),
        (["calibrate", "twin=outbreak", "twin.outputs.in_bed.noise=-1"], 2, ["noise"]),
        (["calibrate", "twin=outbreak", "twin.outputs.in_bed.unit=kg"], 2, ["kg"]),
        (["calibrate", "twin=outbreak", "twin.outputs.bed.column=in_bed"], 2, ["'bed'", "in_bed"]),
        (["calibrate", "twin=outbreak", "data.path=text.csv"], 2, ["line 3", "'many'"]),
        (["calibrate", "twin=outbreak", "data.path=back.csv"], 2, ["runs backwards"]),
        (["calibrate", "twin=outbreak", "data.path=empty.csv"], 2, ["empty"]),
        (["calibrate", "twin=outbreak", "solver.engine=eager"], 2, ["'solver.engine'", "method"]),
        (["sweep", "twin=outbreak"], 2, ["needs a scenario", "isolation"]),
        (["sweep", *TWIN, "twin.calibration=null"], 2, ["calibration=<run", "twinml calibrate"]),
        (["sweep", *TWIN, "calibration=nowhere"], 2, ["nowhere", "calibration.json"]),
        (["sweep", "twin=lorenz", "scenario=small", "calibration=cal"], 2, ["of Outbreak"]),
        (["sweep", *TWIN, "calibration=cal", "samples=0"], 2, ["samples"]),
        (["sweep", *TWIN, "calibration=cal", "out=swp"], 2, ["already holds", "resume=swp"]),
        (["sweep", *TWIN, "calibration=cal", "resume=cal"], 2, ["run of twinml calibrate"]),
        (["sweep", *TWIN, "calibration=cal", "resume=swp", "out=b"], 2, ["not both"]),
        (
            [
                "sweep",
                *TWIN,
                "fit=[beta]",
                "calibration=cal",
                "resume=swp",
                "samples=256",
                "seed=9",
            ],
            2,
            ["seed differs"],
        ),
        (["sweep", *TWIN, "calibration=cal", "workers=0"], 2, ["workers"]),
        (["sweep", *TWIN, "calibration=cal", "sensitivity=-4"], 2, ["sensitivity=-4", "8"]),
        (["sweep", "resume=nowhere"], 2, ["resume=nowhere is not a folder"]),
        (["sweep", *TWIN, "calibration=cal", "solver.device=cpu"], 2, ["solver.device"]),
        (
            ["sweep", *TWIN, "calibration=cal", "scenario.quantities.peak=max(in_bde)"],
            2,
            ["in_bde"],
        ),
        (["sweep", *TWIN, "calibration=cal", "scenario.vary.day.low=9"], 2, ["low"]),
        (["sweep", *TWIN, "calibration=cal", "executor.name=lokal"], 2, ["lokal", "local"]),
        (["sweep", *TWIN, "calibration=cal", "executor=dask"], 2, ["No executor 'dask'", "ray"]),
        (
            ["sweep", *TWIN, "calibration=cal", "executor.address=a:1"],
            2,
            ["executor.address is no key of the executor 'local'"],
        ),
        (["train", "surrogate=mlp"], 2, ["Which sweep?", "sweep=<run directory>"]),
        (["train", "sweep=cal"], 2, ["cal"]),
        (["train", "sweep=swp", "surrogate=gpp"], 2, ["No surrogate 'gpp'", "'gp'"]),
        (["train", "sweep=swp", "surrogate.widht=3"], 2, ["widht", "'width'"]),
        (["train", "sweep=swp", "targets=[peek]"], 2, ["peek", "peak"]),
        (["train", "sweep=swp", "level=2"], 2, ["level"]),
        (["train", "sweep=swp", "split={trane: 3}"], 2, ["trane", "train"]),
        (["export"], 2, ["Which surrogate?", "run=<run directory>"]),
        (["export", "run=swp"], 2, ["holds no surrogate.pt"]),
        (["export", "run=nowhere"], 2, ["does not exist"]),
        (["export", "run=trn", "target=onnx"], 2, ["No target 'onnx'", "torchscript"]),
        (["export", "run=trn", "out=dist/small"], 2, ["dist/small", "overwrite=true"]),
        (["export", "run=trn", "out=text.csv/a"], 2, ["cannot be written", "out=<folder>"]),
        (["train", "sweep=swp", "surrogate=null"], 2, ["surrogate=null", "gp, mlp"]),
        (["verify", "nowhere"], 2, ["nowhere"]),
        (["verify", "trn"], 1, ["trn"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else str(value),
)
def test_a_bad_call_is_refused_in_the_users_words(here, capsys, words, code, fragments):
    put(here / "text.csv", "day,in_bed\n1,3\n2,many\n3,4\n")
    put(here / "back.csv", "day,in_bed\n1,3\n3,8\n2,4\n")
    put(here / "empty.csv", "")
    before = {p: p.read_bytes() for p in here.glob("*/*.json")}
    got = main(words)
    err = capsys.readouterr().err
    assert got == code, err
    for fragment in fragments:
        assert fragment in err
    assert "Traceback" not in err and "omegaconf" not in err.lower() and "hydra" not in err.lower()
    assert {p: p.read_bytes() for p in here.glob("*/*.json")} == before


def test_two_sweeps_of_the_same_draws_are_compared_sample_by_sample(here, tmp_path, capsys):
    other = tmp_path / "longer"
    words = ["sweep", *TWIN, "fit=[beta]", "fit_initial=[]", "calibration=cal", "samples=256"]
    changed = "scenario.quantities.over='time_above(in_bed, 200)'"
    assert main([*words, "workers=1", "sensitivity=8", changed, f"out={other}"]) == 0
    capsys.readouterr()
    assert main(["compare", "swp", str(other)]) == 0
    out = capsys.readouterr().out
    for fragment in ("a sweep: A = swp", "sample by sample: 1 differ, 1 do not", "quantities.over"):
        assert fragment in out, out
    page = tmp_path / "page.html"
    assert main(["compare", "swp", str(other), "--html", str(page)]) == 0
    assert "both draw the same beta" in page.read_text() and capsys.readouterr().err.startswith("p")
    assert main(["compare", "swp", "swp", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["schema"] == "comparison/1" and told["kind"] == "a sweep"
    assert not any(section["different"] for section in told["sections"])
    assert sum(section["same"] for section in told["sections"]) > 20


@pytest.mark.parametrize("killed", [False, True], ids=["stopped", "killed and requeued"])
def test_a_stopped_training_goes_on_in_its_directory(here, tmp_path, monkeypatch, capsys, killed):
    from twinml.surrogate.training import checkpoint

    words = ["train", "sweep=swp", "surrogate=mlp", "surrogate.steps=40", "surrogate.width=8"]
    assert main([*words, f"out={tmp_path / 'whole'}"]) == 0
    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    words.append(f"out={tmp_path / 'a'}")
    keep, kept = checkpoint.Checkpoint.keep, []

    def stop(self, trainer):
        keep(self, trainer)
        kept.append(trainer.current_epoch)
        if len(kept) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint.Checkpoint, "keep", stop)
        assert main(words) == 130
    assert "the same words with out=" in capsys.readouterr().err
    run = RunDirectory(tmp_path / "a")
    if killed:  # nothing could be noted of the end: only Slurm knows that it is the same job
        run.update_provenance(status="running")
        assert main(words) == 2
        monkeypatch.setenv("SLURM_JOB_ID", "7")
        monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert main(words) == 0
    assert "going on from" in capsys.readouterr().err
    assert run.provenance()["status"] == "done" and not (run.path / "training.ckpt").exists()
    first, second = metrics(tmp_path / "whole"), metrics(tmp_path / "a")
    for found in (first, second):
        del found["surrogate.mlp.seconds"]
    assert first == second


def test_sweeps_of_other_draws_are_compared_as_independent(here, tmp_path, capsys):
    other = tmp_path / "seed"
    words = ["sweep", *TWIN, "fit=[beta]", "fit_initial=[]", "calibration=cal", "samples=256"]
    more = ["workers=1", "seed=7", "sensitivity=0", "morris=4", "trajectories=5", f"out={other}"]
    assert main([*words, *more]) == 0
    found = metrics(other)
    assert found["morris.peak.day.mean_size"] > 0 and "morris.over.calibrated.mean_size" in found
    paths = Table.read_parquet(other / "trajectories.parquet")
    assert paths.names[:2] == ("sample", "t") and set(paths["sample"]) == set(range(5))
    peaks = [paths["in_bed"][paths["sample"] == i].max() for i in range(5)]
    rows = Table.read_parquet(other / "table.parquet")["peak"][:5]
    assert peaks == pytest.approx(rows.tolist(), rel=1e-2)  # between the times kept it is higher
    page = (other / "report.html").read_text()
    assert "Over time" in page and "elementary effects from 4" in page and "Sobol" not in page
    assert not (other / "sensitivity.png").exists() and (other / "morris.png").is_file()
    capsys.readouterr()
    assert main(["compare", "swp", str(other)]) == 0
    out, err = capsys.readouterr()
    assert "'beta' is drawn differently" in err and "the rows taken as independent" in out
    # what both have comes first
    listed = [line.split()[0] for line in out.splitlines() if line.startswith("  s")]
    assert listed.index("sweep.peak.mean") < listed.index("sensitivity.over.calibrated.first")
    for page in ("page.pdf", "no/page.html"):
        assert main(["compare", "swp", str(other), "--html", page]) == 2


def test_two_calibrations_differ_in_standard_deviations(here, tmp_path, capsys):
    assert main(["calibrate", "twin=outbreak", "starts=1", f"out={tmp_path / 'all'}"]) == 0
    capsys.readouterr()
    assert main(["compare", "cal/calibration.json", f"{tmp_path}/all/calibration.json"]) == 0
    out = capsys.readouterr().out
    assert "in joint s.d." in out and "initial.infected" in out and "gamma" in out


def test_two_artifacts_differ_in_files_and_answers(here, tmp_path, capsys):
    place = tmp_path / "t"
    words = ["train", "sweep=swp", "surrogate.steps=20", "surrogate.width=8", "seed=5"]
    assert main([*words, f"out={place}"]) == 0
    assert main(["export", f"run={place}", f"out={tmp_path / 'a'}"]) == 0
    capsys.readouterr()
    assert main(["compare", "dist/small", str(tmp_path / "a")]) == 0
    out = capsys.readouterr().out
    assert "model.pt" in out and "B's answers at A's stored rows" in out and "peak" in out


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["cal", "swp"], ["cal is a run of calibrate", "swp is a sweep"]),
        (["cal", "nowhere"], ["nowhere does not exist"]),
        (["configs", "cal"], ["configs cannot be compared"]),
    ],
)
def test_unlike_things_are_not_compared(here, capsys, words, fragments):
    assert main(["compare", *words]) == 2
    err = capsys.readouterr().err
    for fragment in fragments:
        assert fragment in err
