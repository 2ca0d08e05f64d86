"""What an exported artifact holds, and when none is written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from twinml.errors import ArgumentError, ExportError, ParityError
from twinml.export import TARGETS, export, load_artifact, verify
from twinml.export.parity import TOLERANCE

DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)


@DTYPES
def test_the_loaded_file_equals_the_surrogate_at_any_batch_size(tmp_path, make_fake, dtype):
    surrogate = make_fake(dtype=dtype, targets=("peak_beds", "cases"), width=33, std=True)
    loaded = load_artifact(export(surrogate, tmp_path / "a").path)
    box = surrogate.guard_box
    rng = np.random.default_rng(0)
    for batch in (1, 2, 7, 64, 1000):
        x = rng.uniform(1.2 * box[:, 0] - 0.2 * box[:, 1], box[:, 1], (batch, 2))
        x = x.astype(str(dtype).removeprefix("torch.")).astype(float)
        expected = surrogate.predict(x)
        got = loaded.predict({"beta": x[:, 0], "day": x[:, 1]})
        assert np.array_equal(got.in_domain, expected.in_domain)
        for output in ("mean", "lower", "upper", "std"):
            for target in surrogate.targets:
                want = getattr(expected, output)[target]
                distance = np.abs(getattr(got, output)[target] - want).max()
                assert distance <= TOLERANCE * np.abs(want).max()


def test_verification_carries_figures_for_each_output(artifact):
    found = verify(artifact.path)
    assert set(found.files) == {path.name for path in artifact.path.iterdir()}
    assert all(value <= TOLERANCE for value in found.largest.values())
    assert {row["output"] for row in found.table()} == {*found.largest, "in_domain"}
    assert "every bit as written" in str(found) and "\nupper " in str(found)
    assert verify(artifact.path / "model.pt").files == ("model.pt",)
    assert ("input beta", "1.2 to 2.4 1/day") in artifact.describe()


def test_golden_rows_lie_inside_and_outside_the_training_box(artifact):
    inside = artifact.golden.in_domain
    assert inside.sum() >= 32 and (~inside).sum() >= 8


def test_golden_rows_find_a_narrow_domain_in_a_wide_box(tmp_path, make_fake):
    surrogate = make_fake()

    class Band(torch.nn.Module):
        def __init__(self, low: torch.Tensor, scale: torch.Tensor):
            super().__init__()
            self.register_buffer("low", low)
            self.register_buffer("scale", scale)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            unit = (x - self.low) / self.scale
            return ((unit[:, 0] - unit[:, 1]).abs() < 0.01).unsqueeze(1)

    network = surrogate.network
    network.box = Band(network.box.low, network.scale)
    inside = export(surrogate, tmp_path / "a").golden.in_domain
    assert inside.sum() >= 16 and (~inside).sum() >= 16


def test_an_input_that_never_varied_can_be_exported(tmp_path, make_fake):
    surrogate = make_fake()
    network = surrogate.network
    for buffer in (network.x_low, network.x_high, network.x_center, network.box.low):
        buffer[0] = 1.7
    network.box.high[0] = 1.7
    assert export(surrogate, tmp_path / "a").golden.in_domain.sum() >= 32


def test_the_model_file_is_readable_by_torch_alone(artifact):
    path = artifact.path / "model.pt"
    extra = {"twinml.json": "", "golden.json": ""}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        program = torch.jit.load(path, _extra_files=extra)
    about, golden = (json.loads(extra[name]) for name in ("twinml.json", "golden.json"))
    assert about["inputs"] == ["beta", "day"] and about["level"] == 0.9
    row = [float.fromhex(value) for value in golden["inputs"][3]]
    mean = program(torch.tensor([row], dtype=getattr(torch, about["dtype"])))[0]
    assert float(mean[0, 0]) == pytest.approx(float.fromhex(golden["outputs"]["mean"][3][0]))
    data = path.read_bytes()
    comment = zipfile.ZipFile(io.BytesIO(data)).comment
    assert comment.decode() == hashlib.sha256(data[: -len(comment)]).hexdigest()


def test_the_python_example_of_the_readme_runs_without_twinml(artifact):
    code = re.search(r"```python\n(.*?)```", (artifact.path / "README.md").read_text(), re.S)
    assert code is not None
    done = subprocess.run(
        [sys.executable, "-I", "-W", "ignore", "-c", code[1]],
        cwd=artifact.path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("True")


def test_triton_is_told_every_tensor_with_its_type_and_size(tmp_path, make_fake):
    surrogate = make_fake(dtype=torch.float64, targets=("peak_beds", "peak_day", "cases"))
    text = (export(surrogate, tmp_path / "a").path / "config.pbtxt").read_text()
    found = re.findall(r'name: "(\w+)", data_type: (\w+), dims: \[ (\d+) \]', text)
    assert found == [
        ("INPUT__0", "TYPE_FP64", "2"),
        ("OUTPUT__0", "TYPE_FP64", "3"),
        ("OUTPUT__1", "TYPE_FP64", "3"),
        ("OUTPUT__2", "TYPE_FP64", "3"),
        ("OUTPUT__3", "TYPE_BOOL", "1"),
        ("OUTPUT__4", "TYPE_FP64", "3"),
    ]
    assert text.count("[") == text.count("]") and text.count("{") == text.count("}")


AGAIN = """
import sys, torch
sys.path.insert(0, sys.argv[1])
from conftest import build_fake
from twinml.export import export
if sys.argv[3] == "later":  # other types of the same names were scripted before
    for width in (5, 6):
        export(build_fake(width=width), f"{sys.argv[2]}-{width}")
export(build_fake(targets=("peak_beds", "cases")), sys.argv[2])
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    for seed, history in (("1", "first"), ("2", "later")):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", AGAIN, here, str(tmp_path / seed), history]
        subprocess.run(command, env=environment, check=True)
    first, second = tmp_path / "1", tmp_path / "2"
    assert {path.name for path in first.iterdir()} == {path.name for path in second.iterdir()}
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes(), path.name


def test_the_file_does_not_tell_where_it_was_made(artifact):
    assert str(Path(__file__).parent).encode() not in artifact.model
    assert b"debug_pkl" not in artifact.model


def test_an_existing_artifact_is_replaced_only_on_request(artifact, make_fake):
    before = artifact.model
    with pytest.raises(ArgumentError, match="exists already"):
        export(make_fake(seed=1), artifact.path)
    assert (artifact.path / "model.pt").read_bytes() == before
    export(make_fake(seed=1), artifact.path, overwrite=True)
    assert (artifact.path / "model.pt").read_bytes() != before
    verify(artifact.path)
    assert [path.name for path in artifact.path.parent.iterdir()] == ["outbreak"]


def test_overwrite_never_removes_what_twinml_did_not_write(artifact, make_fake, tmp_path):
    (artifact.path / "thesis.txt").write_text("three years")
    with pytest.raises(ArgumentError, match=r"thesis\.txt"):
        export(make_fake(), artifact.path, overwrite=True)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "data.csv").write_text("1")
    with pytest.raises(ArgumentError, match="not replaced"):
        export(make_fake(), foreign, overwrite=True)
    with pytest.raises(ArgumentError, match="is a file"):
        export(make_fake(), foreign / "data.csv", overwrite=True)


def test_a_damaged_artifact_may_be_replaced(artifact, make_fake):
    (artifact.path / "model.pt").write_bytes(b"damaged")
    export(make_fake(), artifact.path, overwrite=True)
    verify(artifact.path)


def test_nothing_is_left_behind_when_the_numbers_disagree(tmp_path, make_fake):
    surrogate = make_fake()
    honest = surrogate.predict

    def predict(x):
        answer = honest(x)
        answer.upper["peak_beds"] = answer.upper["peak_beds"] * (1 + 1e-5)
        return answer

    surrogate.predict = predict
    with pytest.raises(ParityError, match="upper of peak_beds"):
        export(surrogate, tmp_path / "new" / "a")
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_behind_when_the_disk_refuses(tmp_path, make_fake, monkeypatch):
    def refuse(_):
        raise OSError(28, "No space left on device", "model.pt")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(ExportError, match="No space left"):
        export(make_fake(), tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_target_names_those_there_are(tmp_path, make_fake):
    with pytest.raises(ArgumentError, match=r"torchscript.*Did you mean 'torchscript'"):
        export(make_fake(), tmp_path / "a", target="torchscrip")
    assert list(TARGETS) == ["torchscript"]


def test_something_that_is_no_surrogate_is_refused_by_name(tmp_path):
    with pytest.raises(ArgumentError, match=r"got a Linear without .*predict"):
        export(torch.nn.Linear(2, 1), tmp_path / "a")


class Wrapped(torch.nn.Module):
    """Another forward around the network of a fake."""

    def __init__(self, network):
        super().__init__()
        self.network = network
        for name in ("x_low", "x_high", "x_center"):
            self.register_buffer(name, getattr(network, name).clone())


class Unscriptable(Wrapped):
    def forward(self, x):
        return tuple({**dict(enumerate(self.network(x)))}.values())


class FourOutputs(Wrapped):
    def forward(self, x):
        return self.network(x)[:4]


@pytest.mark.parametrize(
    ("kind", "words"), [(Unscriptable, "cannot compile"), (FourOutputs, "expected a tuple")]
)
def test_a_module_that_cannot_be_exported_is_refused_by_name(tmp_path, make_fake, kind, words):
    surrogate = make_fake()
    surrogate.network = kind(surrogate.network)
    with pytest.raises(ExportError, match=f"{kind.__name__}.forward.*{words}|{words}"):
        export(surrogate, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_export_leaves_the_surrogate_as_it_was(tmp_path, make_fake):
    surrogate = make_fake()
    surrogate.network.train()
    export(surrogate, tmp_path / "a")
    assert surrogate.network.training
    assert all(parameter.requires_grad for parameter in surrogate.network.parameters())


def test_values_by_name_are_checked_by_name(artifact):
    loaded = load_artifact(artifact.path)
    answer = loaded.predict({"day": [3.0, 30.0], "beta": 1.8})
    assert answer.mean["peak_beds"].shape == (2,)
    assert answer.in_domain.tolist() == [True, False]
    with pytest.raises(ArgumentError, match="Did you mean 'beta'"):
        loaded.predict({"bet": 1.8, "day": 3.0})
    with pytest.raises(ArgumentError, match="day not given"):
        loaded.predict({"beta": 1.8})
    with pytest.raises(ArgumentError, match="one length"):
        loaded.predict({"beta": [1.8, 1.9, 2.0], "day": [3.0, 4.0]})


class Branching(Wrapped):
    """Loops, branches, strings, keyword arguments and numbered names in one forward."""

    def __init__(self, network):
        super().__init__(network)
        self._0 = 1.5

    def helper(self, x: torch.Tensor, alpha: float = 2.0) -> torch.Tensor:
        x1 = torch.add(x, x, alpha=alpha)
        return x1 * self._0

    def forward(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        mean, lower, upper, inside, std = self.network(x)
        alpha = 0.5
        for i in range(3):
            if i > 1:
                mean1 = torch.sub(mean, lower, alpha=alpha * i)
                mean = self.helper(mean1, alpha=alpha)
            else:
                mean = mean + 1.0
        if x.dim() != 2:
            raise ValueError("mean alpha _0 x1")
        return mean, lower, upper, inside, std


def test_names_of_variables_may_be_any(tmp_path, make_fake):
    surrogate = make_fake()
    surrogate.network = Branching(surrogate.network)
    verify(export(surrogate, tmp_path / "a").path)
