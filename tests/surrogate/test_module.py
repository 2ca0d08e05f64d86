"""The module that is exported, and the file a surrogate is kept in."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from tests.surrogate.conftest import INPUTS, TARGETS, bench
from twinml.errors import ArgumentError, DataError, ShapeError
from twinml.surrogate import load_surrogate


def matrix(rows: int) -> np.ndarray:
    table = bench(rows, seed=3)
    return np.stack([table[name] for name in INPUTS], axis=1)


def test_prediction_and_module_are_the_same_numbers(case):
    x = matrix(9)
    mean, lower, upper, in_domain, std = case.surrogate.module()(torch.from_numpy(x))
    inner = {"gp": torch.float64, "mlp": torch.float32}[case.kind]
    assert mean.dtype == lower.dtype == upper.dtype == std.dtype == inner
    assert (mean.shape, in_domain.shape, in_domain.dtype) == ((9, 2), (9, 1), torch.bool)
    predicted = case.surrogate.predict(dict(zip(INPUTS, x.T, strict=True)))
    for j, name in enumerate(TARGETS):
        assert np.array_equal(predicted.mean[name], mean[:, j].numpy())
        assert np.array_equal(predicted.lower[name], lower[:, j].numpy())
        assert np.array_equal(predicted.upper[name], upper[:, j].numpy())
        assert np.array_equal(predicted.std[name], std[:, j].numpy())
    assert np.array_equal(predicted.in_domain, in_domain[:, 0].numpy())


@pytest.mark.parametrize("batch", [0, 1, 7, 512, 513, 5000])
def test_the_scripted_module_agrees_at_any_batch_size(case, batch):
    module = case.surrogate.module()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        scripted = torch.jit.script(module)
    x = torch.from_numpy(matrix(max(batch, 1))[:batch])
    everything = module(torch.from_numpy(matrix(max(batch, 1))))
    for one, two, reference in zip(module(x), scripted(x), everything, strict=True):
        assert one.shape == two.shape and one.shape[0] == batch
        if one.dtype == torch.bool:
            assert torch.equal(one, two)
        elif batch:
            scale = reference.abs().amax(0)
            assert ((one - two).abs() <= 2e-6 * scale).all()


def test_a_row_does_not_depend_on_its_batch(case):
    module, x = case.surrogate.module(), torch.from_numpy(matrix(1300))
    together = module(x)
    for index in (0, 700, 1299):
        for whole, alone in zip(together, module(x[index : index + 1]), strict=True):
            if whole.dtype == torch.bool:
                assert bool(whole[index]) == bool(alone[0])
            else:
                assert ((whole[index] - alone[0]).abs() <= 2e-6 * whole.abs().amax(0)).all()


def test_the_module_exports_with_a_free_batch_size(case):
    module = case.surrogate.module()
    batch = torch.export.Dim("batch")
    example = (torch.from_numpy(matrix(2)),)
    program = torch.export.export(module, example, dynamic_shapes=({0: batch},)).module()
    for rows in (1, 2, 7, 64):
        x = torch.from_numpy(matrix(rows))
        for one, two in zip(module(x), program(x), strict=True):
            assert torch.allclose(one.double(), two.double(), rtol=1e-5, atol=1e-6)


def test_the_module_has_finite_gradients_at_its_own_rows(case):
    module = case.surrogate.module()
    rows = bench(4000)
    x = torch.from_numpy(np.stack([rows[name] for name in INPUTS], axis=1)).requires_grad_()
    mean, *_, std = module(x)
    (mean.sum() + std.sum()).backward()
    assert torch.isfinite(x.grad).all()


def test_a_surrogate_comes_back_from_its_file(case, tmp_path):
    case.surrogate.save(tmp_path / "a" / "one.pt")
    case.surrogate.save(tmp_path / "two.pt")
    assert (tmp_path / "a" / "one.pt").read_bytes() == (tmp_path / "two.pt").read_bytes()
    back = load_surrogate(tmp_path / "two.pt")
    for name in ("kind", "inputs", "targets", "input_units", "target_units", "level", "seed"):
        assert getattr(back, name) == getattr(case.surrogate, name)
    assert back.metrics == case.surrogate.metrics and back.options == case.surrogate.options
    assert "seconds" not in back.training and back.training["rows"]["train"] == 2000
    x = matrix(20)
    assert np.array_equal(back.predict(x).upper["heat"], case.surrogate.predict(x).upper["heat"])


def test_foreign_and_damaged_files_are_refused(case, tmp_path):
    with pytest.raises(DataError, match="no surrogate at"):
        load_surrogate(tmp_path / "absent.pt")
    torch.save({"schema": "surrogate/9", "surrogate": "", "state": {}}, tmp_path / "later.pt")
    with pytest.raises(DataError, match=r"'surrogate/9'.*'surrogate/1'"):
        load_surrogate(tmp_path / "later.pt")
    case.surrogate.save(tmp_path / "cut.pt")
    whole = (tmp_path / "cut.pt").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not a surrogate"):
        (tmp_path / "cut.pt").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read as a surrogate"):
            load_surrogate(tmp_path / "cut.pt")


def test_inputs_that_do_not_fit_are_refused_by_name(case):
    predict = case.surrogate.predict
    with pytest.raises(ArgumentError, match=r"'sped' is not an input.*Did you mean 'speed'"):
        predict({"load": 1.0, "sped": 1.0, "wear": 1.0})
    with pytest.raises(ArgumentError, match="No value for speed, wear"):
        predict({"load": 1.0})
    with pytest.raises(ShapeError, match=r"shape \(4, 2\); expected \(B, 3\)"):
        predict(np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="one length B"):
        predict({"load": np.zeros(2), "speed": np.zeros(3), "wear": 0.0})


def test_the_process_predicts_what_gpytorch_predicts():
    gpytorch = pytest.importorskip("gpytorch")
    from twinml.surrogate import gp
    from twinml.surrogate.options import GpOptions

    generator = torch.Generator().manual_seed(0)
    z = torch.randn(60, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(z[:, :1]) + 0.1 * torch.randn(60, 1, generator=generator, dtype=torch.float64)
    predictor = gp.fit_gp(z, y, GpOptions(rows=50), progress=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = gp._model(gpytorch, z[:50], y[:50, 0], 1e-6).eval()
        model.covariance.base_kernel.lengthscale = predictor.lengthscale[0]
        model.covariance.outputscale = predictor.outputscale[0]
        model.likelihood.noise = predictor.noise[0]
        with torch.no_grad():
            model.prior.weights.copy_(predictor.weight[0][:, None])
            model.prior.bias.copy_(predictor.bias[:1])
            expected = model.likelihood.eval()(model(z))
    mean, std = predictor(z)
    assert torch.allclose(mean[:, 0], expected.mean, atol=1e-9)
    assert torch.allclose(std[:, 0], expected.variance.sqrt(), atol=1e-9)
    assert 0.06 < float(predictor.noise[0]) ** 0.5 < 0.15
