"""Runs, calibrations, tables and artifacts that are not what a task needs."""

from __future__ import annotations

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.folder import changing, cutting, flipping, removing, writing
from tests.cli.bad_input.plant import KILN, RECORD, scenario

SIMULATE = "simulate twin=kiln horizon.stop=60"
CALIBRATE = "calibrate twin=kiln starts=1"
SWEEP = "sweep twin=kiln scenario=soak samples=8 workers=1"
CALIBRATED = scenario(
    "{distribution: uniform, low: 0.01, high: 0.05}", "{distribution: calibrated}"
)


OUT: dict[str, Bad] = {
    "out= of an earlier run": Bad(SIMULATE + " out=cal", ("out=cal", "not empty"), given=("cal",)),
    "out= that is a file": Bad(SIMULATE + " out=kiln.csv", ("out=kiln.csv", "file", "new folder")),
    "out= below a file": Bad(SIMULATE + " out=kiln.csv/a", ("kiln.csv/a", "out=<folder>")),
    "out= where nothing can be written": Bad(
        SIMULATE + " out=/proc/twinml",
        ("/proc/twinml", "cannot be written", "out=<folder>"),
        foreign=True,
    ),
    "runs that is a file": Bad(
        SIMULATE, ("runs/simulate", "cannot be written", "out=<folder>"), {"runs": "x"}
    ),
    "out= of an earlier sweep": Bad(
        SWEEP + " out=swp", ("out=swp", "already holds a sweep", "resume=swp"), given=("swp",)
    ),
    "out= of several runs that is taken": Bad(
        "simulate -m twin=kiln horizon.stop=60 seed=1,2 out=cal",
        ("out=cal", "not empty"),
        given=("cal",),
    ),
}

RESUME: dict[str, Bad] = {
    "resume= of nothing": Bad("sweep resume=swq", ("resume=swq", "not a folder")),
    "resume= of another task's run": Bad(
        "sweep resume=cal",
        ("resume=cal", "twinml calibrate", "expected one of twinml sweep"),
        given=("cal",),
    ),
    "resume= of another seed": Bad("sweep resume=swp seed=5", ("swp", "seed"), given=("swp",)),
    "resume= of another scenario": Bad(
        "sweep resume=swp scenario.horizon.stop=90", ("swp", "scenario"), given=("swp",)
    ),
    "resume= of fewer samples": Bad(
        "sweep resume=swp samples=16", ("128", "16", "shrink"), given=("swp",)
    ),
    "resume= and out=": Bad(
        "sweep resume=swp out=b", ("out=", "resume=", "not both"), given=("swp",)
    ),
    "resume= of a changed class": Bad(
        "sweep resume=swp samples=256",
        ("swp", "model"),
        {"kiln.py": KILN.replace("290.0)) /", "291.0)) /")},
        given=("swp",),
    ),
    "resume= of a broken manifest": Bad(
        "sweep resume=swp samples=256",
        ("swp/manifest.json", "not a sweep's manifest"),
        given=("swp",),
        prepare=writing("swp/manifest.json", "{"),
    ),
    "resume= of a task without it": Bad(
        "simulate twin=kiln resume=cal", ("'resume'",), given=("cal",)
    ),
}

CALIBRATION: dict[str, Bad] = {
    "a calibration that is not there": Bad(
        SWEEP + " calibration=nowhere",
        ("nowhere", "does not exist", "twinml calibrate"),
        CALIBRATED,
    ),
    "a calibration that is a sweep": Bad(
        SWEEP + " calibration=swp", ("swp", "calibration.json"), CALIBRATED, given=("swp",)
    ),
    "a calibration of another model": Bad(
        SWEEP + " calibration=package:outbreak_calibration.json",
        ("Outbreak", "Kiln", "twinml calibrate twin=kiln"),
        CALIBRATED,
    ),
    "a calibration that is cut off": Bad(
        SWEEP + " calibration=cal",
        ("cal/calibration.json", "JSON"),
        CALIBRATED,
        given=("cal",),
        prepare=cutting("cal/calibration.json"),
        foreign=True,
    ),
    "a calibration that lacks a key": Bad(
        SWEEP + " calibration=cal",
        ("cal/calibration.json", "covariance"),
        CALIBRATED,
        given=("cal",),
        prepare=changing("cal/calibration.json", covariance=None),
    ),
    "a calibration of a later version": Bad(
        SWEEP + " calibration=cal",
        ("cal/calibration.json", "calibration/9", "calibration/1"),
        CALIBRATED,
        given=("cal",),
        prepare=changing("cal/calibration.json", schema="calibration/9"),
    ),
}

TRAIN: dict[str, Bad] = {
    "no sweep": Bad("train surrogate=gp", ("sweep=<run directory>",)),
    "no surrogate": Bad(
        "train sweep=swp surrogate=null", ("surrogate=null", "gp, mlp"), given=("swp",)
    ),
    "a sweep that is not there": Bad(
        "train sweep=nowhere surrogate=gp", ("nowhere", "manifest.json")
    ),
    "a sweep that is a calibration": Bad(
        "train sweep=cal surrogate=gp", ("cal", "no sweep", "manifest.json"), given=("cal",)
    ),
    "an unknown target": Bad(
        "train sweep=swp surrogate=gp targets=[hotest]", ("'hotest'", "'hottest'"), given=("swp",)
    ),
    "an unknown input": Bad(
        "train sweep=swp surrogate=gp inputs=[los]", ("'los'", "'loss'"), given=("swp",)
    ),
    "an unknown kind": Bad(
        "train sweep=swp surrogate=gp surrogate.kind=forest", ("'forest'", "gp"), given=("swp",)
    ),
    "an unknown option of a surrogate": Bad(
        "train sweep=swp surrogate=mlp surrogate.widht=8", ("'widht'", "'width'"), given=("swp",)
    ),
    "an option of the wrong type": Bad(
        "train sweep=swp surrogate=mlp surrogate.width=wide", ("width", "'wide'"), given=("swp",)
    ),
    "a split that is no split": Bad(
        "train sweep=swp surrogate=gp split={trian:0.5}",
        ("split", "'trian'", "train"),
        given=("swp",),
    ),
    "a level that the rows cannot give": Bad(
        "train sweep=swp surrogate=gp level=0.99", ("level 0.99", "99", "samples"), given=("swp",)
    ),
    "a shard that is cut off": Bad(
        "train sweep=swp surrogate=gp",
        ("swp", "shard", "resume=swp"),
        given=("swp",),
        code=1,
        keeps=("runs",),
        prepare=cutting("swp/shards/000000000000.parquet"),
    ),
    "a shard that was changed": Bad(
        "train sweep=swp surrogate=gp",
        ("swp/shards/000000000000.parquet", "sha256", "Resume the sweep"),
        given=("swp",),
        prepare=flipping("swp/shards/000000000000.parquet"),
        code=1,
        keeps=("runs",),
    ),
    "a sweep whose rows all failed": Bad(
        "train sweep=failed surrogate=gp",
        ("failed", "128"),
        given=("failed",),
        code=1,
        keeps=("runs",),
    ),
}

EXPORT: dict[str, Bad] = {
    "no run to export": Bad("export", ("run=<run directory>",)),
    "a run that is not there": Bad("export run=nowhere", ("nowhere", "does not exist")),
    "a run that is no surrogate": Bad(
        "export run=swp", ("swp", "surrogate.pt", "twinml train"), given=("swp",)
    ),
    "a run that failed": Bad(
        "export run=trn",
        ("trn", "failed"),
        given=("trn",),
        prepare=changing("trn/provenance.json", status="failed"),
    ),
    "a surrogate that is cut off": Bad(
        "export run=trn",
        ("trn/surrogate.pt",),
        given=("trn",),
        prepare=cutting("trn/surrogate.pt"),
        foreign=True,
    ),
    "an artifact that is there already": Bad(
        "export run=trn out=dist/hottest",
        ("dist/hottest", "exists", "overwrite=true"),
        given=("trn", "dist"),
    ),
    "an artifact that is a file": Bad(
        "export run=trn out=kiln.csv", ("kiln.csv", "exists"), given=("trn",)
    ),
    "an artifact over a file": Bad(
        "export run=trn out=kiln.csv overwrite=true", ("kiln.csv",), given=("trn",)
    ),
    "an artifact over a folder of one's own": Bad(
        "export run=trn out=configs overwrite=true", ("configs",), given=("trn",)
    ),
    "a target by another name": Bad(
        "export run=trn target.name=onyx", ("'onyx'", "torchscript"), given=("trn",)
    ),
    "an artifact below a file": Bad(
        "export run=trn out=kiln.csv/a", ("kiln.csv/a", "out=<folder>"), given=("trn",)
    ),
}

VERIFY: dict[str, Bad] = {
    "nothing to verify": Bad("verify nowhere", ("nowhere", "Check the path")),
    "an empty folder": Bad(
        "verify empty", ("empty", "manifest.json"), prepare=lambda f: (f / "empty").mkdir(), code=1
    ),
    "a folder that is no artifact": Bad(
        "verify swp", ("swp/manifest.json", "'sweep/2'"), given=("swp",), code=1
    ),
    "a file that is no artifact": Bad("verify kiln.csv", ("kiln.csv", "twinml export"), code=1),
    "an artifact with a flipped bit": Bad(
        "verify dist/hottest",
        ("model.pt",),
        given=("dist",),
        prepare=flipping("dist/hottest/model.pt"),
        code=1,
    ),
    "an artifact without its model": Bad(
        "verify dist/hottest",
        ("model.pt",),
        given=("dist",),
        prepare=removing("dist/hottest/model.pt"),
        code=1,
    ),
    "an artifact with a file too many": Bad(
        "verify dist/hottest",
        ("extra.bin",),
        given=("dist",),
        prepare=writing("dist/hottest/extra.bin", "x"),
        code=1,
    ),
    "a bare model that is cut off": Bad(
        "verify dist/hottest/model.pt",
        ("model.pt",),
        given=("dist",),
        prepare=cutting("dist/hottest/model.pt"),
        code=1,
    ),
}

REPRODUCE: dict[str, Bad] = {
    "no run to reproduce": Bad("reproduce", ("run=<directory>",)),
    "a run that is gone": Bad("reproduce run=nowhere", ("nowhere", "does not exist")),
    "a folder that is no run": Bad("reproduce run=configs", ("configs", "provenance.json")),
    "a run without its configuration": Bad(
        "reproduce run=cal",
        ("cal/config.yaml",),
        given=("cal",),
        prepare=removing("cal/config.yaml"),
    ),
    "a run with another configuration": Bad(
        "reproduce run=cal",
        ("cal/config.yaml",),
        given=("cal",),
        prepare=writing("cal/config.yaml", "speed: 3\n"),
    ),
    "a run with broken provenance": Bad(
        "reproduce run=cal",
        ("cal/provenance.json", "JSON"),
        given=("cal",),
        code=1,
        prepare=cutting("cal/provenance.json"),
        foreign=True,
    ),
    "a run that gives other numbers": Bad(
        "reproduce run=cal out=again",
        ("cal", "other numbers", "calibration.loss.value", "record has changed"),
        {"kiln.csv": RECORD.replace("301.6", "300.6")},
        given=("cal",),
        code=1,
        keeps=("again",),
    ),
}

SEVERAL: dict[str, Bad] = {
    "one bad run among several": Bad(
        "simulate -m twin=kiln horizon.stop=60 parameters.loss=0.02,9 out=all",
        ("value=9", "exit 2"),
        code=2,
        keeps=("all",),
    ),
}
