"""No artifact with a changed bit, a missing, added or foreign file is ever accepted or run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from twinml.errors import ArgumentError, IntegrityError, ParityError
from twinml.export import export, load_artifact, read_artifact, torchscript, verify
from twinml.export.manifest import FILE, Manifest
from twinml.export.seal import check_seal
from twinml.export.torchscript import pack


def flipped(data: bytes, position: int, bit: int) -> bytes:
    changed = bytearray(data)
    changed[position] ^= 1 << bit
    return bytes(changed)


def must_not_load(_: bytes) -> None:
    raise AssertionError("a file that was not checked is being loaded")


@pytest.fixture
def never_loaded(monkeypatch):
    monkeypatch.setattr(torch.jit, "load", must_not_load)


def test_a_flipped_bit_at_any_byte_of_the_model_file_is_refused(artifact):
    data = artifact.model
    check_seal(data, "model.pt")
    ends = {*range(200), *range(len(data) - 200, len(data))}
    for position in range(len(data)):
        for bit in range(8) if position in ends else (position % 8,):
            with pytest.raises(IntegrityError, match=r"model\.pt"):
                check_seal(flipped(data, position, bit), "model.pt")


def test_a_flipped_bit_at_any_byte_of_the_manifest_is_refused(artifact):
    data = (artifact.path / FILE).read_bytes()
    assert Manifest.from_json(data, FILE).to_json() == data
    for position in range(len(data)):
        for bit in range(8):
            with pytest.raises(IntegrityError, match=FILE):
                Manifest.from_json(flipped(data, position, bit), FILE)


@pytest.mark.parametrize("name", ["model.pt", FILE, "config.pbtxt", "README.md"])
def test_verify_refuses_a_folder_with_a_flipped_bit_and_loads_nothing(artifact, name, never_loaded):
    path = artifact.path / name
    data = path.read_bytes()
    step = max(1, len(data) // 150)
    for position in [*range(0, len(data), step), len(data) - 65, len(data) - 1]:
        path.write_bytes(flipped(data, position, position % 8))
        with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
            verify(artifact.path)


def test_verify_refuses_a_bare_file_with_a_flipped_bit_and_loads_nothing(artifact, never_loaded):
    path = artifact.path / "model.pt"
    data = artifact.model
    seal_length = len(data) - 66  # the field before the comment
    for position in [*range(0, len(data), len(data) // 150), seal_length, seal_length + 1]:
        path.write_bytes(flipped(data, position, position % 8))
        with pytest.raises(IntegrityError, match=r"model\.pt"):
            verify(path)
        with pytest.raises(IntegrityError):
            load_artifact(path)


CHANGES = {
    "empty": lambda data: b"",
    "one byte": lambda data: data[:1],
    "cut": lambda data: data[:-1],
    "unsealed": lambda data: data[:-64],
    "half": lambda data: data[: len(data) // 2],
    "headless": lambda data: data[1:],
    "extended": lambda data: data + b"\0",
    "doubled": lambda data: data + data,
    "shifted": lambda data: b"\0" + data,
    "text": lambda data: b"a model, honestly",
    "upper case": lambda data: data[:-64] + data[-64:].upper(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("bare", [True, False], ids=["file", "folder"])
def test_verify_refuses_a_model_file_of_another_length_or_kind(
    artifact, change, bare, never_loaded
):
    path = artifact.path / "model.pt"
    path.write_bytes(change(artifact.model))
    with pytest.raises(IntegrityError, match=r"model\.pt"):
        verify(path if bare else artifact.path)


@pytest.mark.parametrize("name", ["model.pt", FILE, "config.pbtxt", "README.md"])
def test_verify_refuses_a_folder_that_lacks_a_file(artifact, name, never_loaded):
    (artifact.path / name).unlink()
    with pytest.raises(IntegrityError, match=name.replace(".", r"\.")):
        verify(artifact.path)


def test_verify_refuses_a_folder_with_an_added_file_or_folder(artifact, never_loaded):
    (artifact.path / "1").mkdir()
    with pytest.raises(IntegrityError, match="also holds 1,"):
        verify(artifact.path)
    (artifact.path / "1").rmdir()
    (artifact.path / ".notes").write_text("")
    with pytest.raises(IntegrityError, match=r"\.notes"):
        verify(artifact.path)


def test_verify_refuses_a_file_of_another_artifact(artifact, make_fake, tmp_path, never_loaded):
    other = torchscript_free_export(make_fake(seed=1), tmp_path / "other")
    for name in ("model.pt", FILE):
        mixed = tmp_path / f"mixed-{name}"
        shutil.copytree(artifact.path, mixed)
        shutil.copy(other / name, mixed / name)
        with pytest.raises(IntegrityError, match=r"model\.pt"):
            verify(mixed)


def torchscript_free_export(surrogate, path: Path) -> Path:
    """Export while ``torch.jit.load`` is forbidden: the parity check gets the eager module."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.jit, "load", lambda *_, **__: surrogate.module())
        return export(surrogate, path).path


def test_a_folder_in_place_of_a_file_is_refused(artifact):
    (artifact.path / "model.pt").unlink()
    (artifact.path / "model.pt").mkdir()
    with pytest.raises(IntegrityError, match="no regular file"):
        verify(artifact.path)


def test_a_plain_torch_file_is_refused_unrun(tmp_path, make_fake, never_loaded):
    path = tmp_path / "model.pt"
    torch.save(make_fake().module().state_dict(), path)
    with pytest.raises(IntegrityError, match="seal"):
        verify(path)


def test_a_path_with_nothing_there_is_the_users_input(tmp_path):
    with pytest.raises(ArgumentError, match="nothing at") as caught:
        verify(tmp_path / "absent")
    assert caught.value.exit_code == 2


def test_a_file_of_a_later_version_names_the_version(artifact):
    written = artifact.description.to_json().replace(b"model/1", b"model/2")
    path = artifact.path / "model.pt"
    path.write_bytes(pack(torch.nn.Identity(), {"twinml.json": written, "golden.json": b"{}"}))
    with pytest.raises(ArgumentError, match=r"model/2.*written by twinml"):
        read_artifact(path)


def test_a_sealed_file_that_is_no_artifact_is_refused(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pack(torch.nn.Identity(), {}))
    with pytest.raises(IntegrityError, match=r"twinml\.json"):
        verify(path)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_changed_weights_are_found_even_under_a_fresh_seal(tmp_path, make_fake, dtype):
    surrogate = make_fake(dtype=dtype, targets=("peak_beds", "cases"))
    art = export(surrogate, tmp_path / "a")
    with torch.no_grad():
        surrogate.network.layers[-1].bias[1] *= 1 + 1e-2
    extra = torchscript.unpack(art.model, "model.pt")
    path = tmp_path / "model.pt"
    path.write_bytes(pack(surrogate.module(), extra))
    with pytest.raises(ParityError, match=r"(mean|lower|upper) of cases .* at batch size \d"):
        verify(path)


def test_a_changed_guard_is_found_even_under_a_fresh_seal(tmp_path, make_fake):
    surrogate = make_fake()
    art = export(surrogate, tmp_path / "a")
    surrogate.network.box.high[0] += 10.0
    path = tmp_path / "model.pt"
    path.write_bytes(pack(surrogate.module(), torchscript.unpack(art.model, "model.pt")))
    with pytest.raises(ParityError, match="in_domain"):
        verify(path)
