"""Shipped files are found from a checkout and from a wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from twinml import resources
from twinml.errors import DataError


def test_a_checkout_offers_its_configs_and_kernels():
    assert (resources.configs() / "twin").is_dir()
    assert (resources.kernels() / "status.h").is_file()
    assert (resources.slurm() / "sweep.sbatch").is_file()


def test_a_wheel_offers_the_copies_packed_into_it(monkeypatch, tmp_path):
    (tmp_path / "twinml" / "_configs").mkdir(parents=True)
    (tmp_path / "twinml" / "_kernels").mkdir()
    monkeypatch.setattr(resources, "PACKAGE", tmp_path / "twinml")
    assert resources.configs() == tmp_path / "twinml" / "_configs"
    assert resources.kernels() == tmp_path / "twinml" / "_kernels"


def test_an_unknown_record_is_refused_with_the_shipped_ones(monkeypatch, tmp_path):
    folder = tmp_path / "library" / "data"
    folder.mkdir(parents=True)
    (folder / "influenza_1978.csv").write_text("day,in_bed\n")
    monkeypatch.setattr(resources, "PACKAGE", tmp_path)
    assert resources.data("influenza_1978.csv").is_file()
    with pytest.raises(DataError, match="Did you mean 'influenza_1978"):
        resources.data("influenza_1987.csv")


def test_the_wheel_carries_configs_kernels_scripts_and_its_console_script(tmp_path):
    root = Path(__file__).resolve().parent.parent
    words = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)]
    subprocess.run([*words, str(root)], check=True, capture_output=True, text=True)
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    for kind in ("configs", "kernels", "slurm"):
        for file in (root / kind).rglob("*.*"):
            assert f"twinml/_{kind}/{file.relative_to(root / kind).as_posix()}" in packed
    assert "twinml/cli/main.py" in packed
    assert not {name for name in packed if name.startswith(("tests/", "configs/", "runs/"))}
    scripts = next(name for name in packed if name.endswith("entry_points.txt"))
    assert b"twinml = twinml.cli.main:main" in zipfile.ZipFile(wheel).read(scripts)
