"""The demo, small: every stage runs, twice to the same bits, and its checks can say no."""

from __future__ import annotations

import json

import pytest

from twinml.cli.main import main
from twinml.cli.tasks.demo import judged

SMALL = [
    "demo", "samples=600", "split={train: 300, calibration: 120, selection: 60, test: 120}",
    "starts=1", "workers=1", "sensitivity_samples=16", "surrogates.mlp.steps=40",
    "surrogates.mlp.width=16", "surrogates.gp.rows=40", "surrogates.gp.coarse_rows=20",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        assert main([*SMALL, "out=first", "checks={}"]) == 0
    return place


def test_a_demo_leaves_the_report_the_artifact_and_every_figure(folder):
    run = folder / "first"
    for name in (
        "report.html", "artifact/model.pt", "calibration.json", "fit.png", "risk.png",
        "sensitivity.png", "parity.png", "coverage.png", "quantities.png", "surrogate.pt",
    ):  # fmt: skip
        assert (run / name).is_file(), name
    metrics = json.loads((run / "metrics.json").read_text())
    for name in (
        "calibration.beta.value", "calibration.gamma.std", "calibration.initial.infected.low",
        "fit.rmse", "sweep.failed", "surrogate.gp.peak_beds.rmse",
        "surrogate.mlp.cases.coverage_90", "sensitivity.peak_beds.day.total",
        "surrogate.chosen.name", "export.largest_difference",
    ):  # fmt: skip
        assert name in metrics, name
    assert metrics["export.flipped_bits_accepted"] == 0 < metrics["export.flipped_bits_tried"]
    page = (run / "report.html").read_text()
    for word in ("start of isolation", "Sobol", "Reproducibility", "more than 250 boys in bed"):
        assert word in page


def test_a_demo_done_again_gives_the_same_bits(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    assert main(["reproduce", "run=first"]) == 0
    assert "bit for bit" in capsys.readouterr().out


def test_a_check_holds_only_for_a_measured_figure_inside_its_limits():
    measured = {"a": 1.0, "b": 3.0, "c": None}
    rows = judged({"a": [0, 1], "b": [0, 2], "c": [0, 1], "d": [0, 1]}, measured)
    assert [row[-1] for row in rows] == [True, False, False, False]


@pytest.mark.slow
def test_a_check_that_does_not_hold_ends_with_exit_1_and_its_report(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    words = [*SMALL, "out=second", "checks={fit.rmse: [0, 1.0], fit.rms: [0, 1]}"]
    assert main(words) == 1
    captured = capsys.readouterr()
    assert "2 of 2 checks do not hold: fit.rmse, fit.rms" in captured.err
    assert "Did you mean 'fit.rmse'" in captured.err
    assert (folder / "second" / "report.html").is_file()
    assert json.loads((folder / "second" / "metrics.json").read_text())["fit.rmse"] > 1


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["checks={fit.rmse: 3}"], ["[low, high]"]),
        (["surrogates.gp.kind=mlp"], ["'mlp' twice"]),
        (["choose.score=r2"], ["crps", "rmse"]),
        (["choose.target=peak_bed"], ["peak_bed", "Did you mean 'peak_beds'"]),
        (["level=90"], ["level=90", "no probability"]),
        (["samples=100"], ["samples=100", "split"]),
        (["split={train: 10}"], ["no calibration rows"]),
        (["sensitivity_samples=-4"], ["sensitivity_samples=-4"]),
        (["risk.by=dya"], ["dya", "Did you mean 'day'"]),
    ],
)
def test_a_demo_that_cannot_be_judged_is_refused_before_any_work(
    tmp_path, monkeypatch, capsys, words, fragments
):
    monkeypatch.chdir(tmp_path)
    assert main([*SMALL, *words, "out=run"]) == 2
    error = capsys.readouterr().err
    for fragment in fragments:
        assert fragment in error
    assert not (tmp_path / "run").exists()
