"""What a fitted surrogate must be, whatever its kind."""

from __future__ import annotations

import logging
import os
import warnings

import numpy as np
import pytest
import torch

from tests.surrogate.conftest import INPUTS, SMALL, TARGETS, bench
from twinml.data.table import Table
from twinml.surrogate import fit
from twinml.surrogate.rows import prepare_rows


def bits(surrogate) -> dict[str, bytes]:
    return {k: v.numpy().tobytes() for k, v in surrogate.module().state_dict().items()}


def test_the_smooth_target_is_learned(case):
    assert case.surrogate.metrics["heat"]["rmse"] < 0.02 * case.surrogate.metrics["heat"]["range"]
    assert case.surrogate.metrics["heat"]["r2"] > 0.99


def test_every_interval_covers_new_rows_at_its_level(case):
    fresh = bench(20_000, seed=9)
    predicted = case.surrogate.predict(fresh)
    spread = 4 * (0.09 / 400 + 0.09 / 20_000) ** 0.5  # 400 calibration rows, 20,000 fresh ones
    for name in TARGETS:
        inside = (predicted.lower[name] <= fresh[name]) & (fresh[name] <= predicted.upper[name])
        assert inside.mean() == pytest.approx(0.9, abs=spread)


def test_the_network_learns_where_the_scatter_is_large(case):
    if case.kind == "gp":
        pytest.skip("a process has one noise level per target")
    left, right = case.surrogate.predict(
        {"load": [110, 290], "speed": 0.0, "wear": [0.61, 0.79]}
    ).std["noise"]
    assert right > 3 * left


def test_metrics_describe_the_test_and_selection_rows(case):
    surrogate = case.surrogate
    assert surrogate.training["rows"] == {
        "train": 2000,
        "calibration": 400,
        "selection": 400,
        "test": 1200,
    }
    for metrics, rows in ((surrogate.metrics, 1200), (surrogate.selection_metrics, 400)):
        assert tuple(metrics) == TARGETS
        for scores in metrics.values():
            assert scores["rows"] == rows and 0 < scores["crps"] < scores["rmse"]
            assert scores["coverage_90_low"] < scores["coverage_90"] < scores["coverage_90_high"]
    assert surrogate.input_units == {"load": "N", "speed": "m/s", "wear": "1"}
    assert surrogate.target_units == {"heat": "K", "noise": "1"}


def test_no_training_row_is_outside_the_domain(case):
    rows = prepare_rows(case.table, INPUTS, TARGETS, seed=1)
    assert case.surrogate.predict(rows.parts["train"]).in_domain.all()


def test_tied_inputs_far_from_zero_do_not_put_training_rows_outside():
    """In float32 a year is known to 1e-4 years, and tied inputs have no spread across."""
    pytest.importorskip("lightning")
    year = 2020 + bench(300)["load"] / 30
    table = Table({**bench(300).columns, "load": year, "wear": 2 * year + 7})
    surrogate = fit(table, INPUTS, TARGETS, "mlp", options={**SMALL["mlp"], "steps": 20})
    rows = prepare_rows(table, INPUTS, TARGETS)
    assert surrogate.predict(rows.parts["train"]).in_domain.all()


def test_points_away_from_the_training_rows_are_marked(case):
    """wear follows load, so the corner of the box is empty."""
    inside = {"load": 280.0, "speed": 0.0, "wear": 0.78}
    assert case.surrogate.predict(inside).in_domain.tolist() == [True]
    for change in ({"load": 110.0}, {"speed": 1.5}, {"wear": np.nan}):
        assert case.surrogate.predict({**inside, **change}).in_domain.tolist() == [False]


@pytest.mark.parametrize("kind", ["gp", "mlp"])
def test_two_fits_give_the_same_bits_whatever_the_row_order_and_leave_no_trace(
    kind, tmp_path, monkeypatch, capfd
):
    pytest.importorskip({"gp": "gpytorch", "mlp": "lightning"}[kind])
    monkeypatch.chdir(tmp_path)
    # a batch job's environment must not change what this one process does
    for name in ("SLURM_NTASKS", "SLURM_NNODES", "WORLD_SIZE"):
        monkeypatch.setenv(name, "4")
    monkeypatch.setenv("SLURM_JOB_NAME", "sweep")
    table, options = bench(600), {**SMALL[kind], **({"steps": 60} if kind == "mlp" else {})}
    shuffled = table.rows(np.random.default_rng(0).permutation(600))
    state, environment = torch.get_rng_state(), dict(os.environ)
    filters, level = list(warnings.filters), logging.getLogger("lightning.pytorch").level
    first = fit(table, INPUTS, TARGETS, kind, options=options, seed=4)
    assert torch.equal(state, torch.get_rng_state()) and environment == dict(os.environ)
    assert warnings.filters == filters
    assert logging.getLogger("lightning.pytorch").level == level
    assert not torch.are_deterministic_algorithms_enabled() and torch.is_grad_enabled()
    torch.manual_seed(99)
    second = fit(shuffled, INPUTS, TARGETS, kind, options=options, seed=4)
    assert bits(first) == bits(second) and first.metrics == second.metrics
    assert bits(fit(table, INPUTS, TARGETS, kind, options=options, seed=5)) != bits(first)
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


def test_progress_is_reported():
    pytest.importorskip("lightning")
    pytest.importorskip("gpytorch")
    for kind, what in (("gp", "targets"), ("mlp", "epochs")):
        calls = []
        options = {**SMALL[kind], **({"steps": 24, "batch": 16} if kind == "mlp" else {})}
        fit(bench(300), INPUTS, TARGETS, kind, options=options, progress=lambda *a: calls.append(a))  # noqa: B023
        assert {c[0] for c in calls} == {what}
        assert [c[1] for c in calls] == list(range(1, calls[-1][2] + 1))


def test_an_interrupt_stays_an_interrupt():
    """Lightning would end the process with code 1 and leave the signal ignored."""
    import signal

    pytest.importorskip("lightning")
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(bench(300), INPUTS, TARGETS, "mlp", options=SMALL["mlp"], progress=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("kind", ["gp", "mlp"])
def test_a_constant_target_is_predicted_exactly_and_a_constant_input_held(kind):
    pytest.importorskip({"gp": "gpytorch", "mlp": "lightning"}[kind])
    table = bench(300)
    columns = {**table.columns, "heat": np.full(300, 0.1), "wear": np.full(300, 7.3)}
    options = {**SMALL[kind], **({"steps": 30} if kind == "mlp" else {})}
    surrogate = fit(Table(columns), INPUTS, TARGETS, kind, options=options)
    scores = surrogate.metrics["heat"]
    assert scores["coverage_90"] == 1.0 and scores["width"] == 0.0 and np.isnan(scores["r2"])
    point = {"load": 200.0, "speed": 0.0, "wear": np.array([7.3, 7.4])}
    assert surrogate.predict(point).in_domain.tolist() == [True, False]


@pytest.mark.parametrize("stop", [1, 4, 20])
def test_a_killed_training_goes_on_to_the_bits_of_one_that_was_not(stop, tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    from twinml.surrogate.training import checkpoint

    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    options, file = {**SMALL["mlp"], "steps": 200}, tmp_path / "training.ckpt"

    def fitted(place, seed=3, end=None):
        calls = []

        def progress(what, done, total):
            calls.append(done)
            if done == end:
                raise InterruptedError

        model = fit(
            bench(400), INPUTS, TARGETS, "mlp",
            options=options, seed=seed, progress=progress, checkpoint=place,
        )  # fmt: skip
        return bits(model), model.training["best_epoch"], calls

    whole, best, every = fitted(None)
    with pytest.raises(InterruptedError):
        fitted(file, end=stop + 1)
    assert file.exists()
    again, again_best, calls = fitted(file)
    assert again == whole and again_best == best
    assert calls == every[stop:]  # and nothing is done twice
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_of_another_training_or_a_torn_one_is_not_gone_on_with(tmp_path, monkeypatch):
    pytest.importorskip("lightning")
    from twinml.surrogate.training import checkpoint

    monkeypatch.setattr(checkpoint, "EVERY", 0.0)
    options, file = {**SMALL["mlp"], "steps": 60}, tmp_path / "training.ckpt"

    def fitted(seed, place=file, end=None):
        calls = []

        def progress(what, done, total):
            calls.append(done)
            if done == end:
                raise InterruptedError

        model = fit(
            bench(300), INPUTS, TARGETS, "mlp",
            options=options, seed=seed, progress=progress, checkpoint=place,
        )  # fmt: skip
        return bits(model), calls

    whole = fitted(1, None)
    with pytest.raises(InterruptedError):
        fitted(2, end=3)
    assert fitted(1) == whole
    file.write_bytes(b"PK\x03\x04 torn")
    assert fitted(1) == whole
    assert not file.exists()
