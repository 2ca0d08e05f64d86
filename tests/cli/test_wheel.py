"""A twin of one's own in an empty folder, with twinml from its wheel: every file runs as it is."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.cli.small import put

ROOT = Path(__file__).resolve().parents[2]


class Place(NamedTuple):
    """An empty folder and an environment that holds the wheel."""

    work: Path
    programs: Path
    package: Path

    def run(self, *words: str) -> str:
        """What a program of the environment prints."""
        clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "TWINML_DATA")}
        program = self.programs / words[0]
        done = subprocess.run(
            [program, *words[1:]],
            cwd=self.work,
            env={**clean, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def twinml(self, *words: str) -> str:
        return self.run("twinml", *words)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Place:
    """The wheel, built and installed; torch and the others come from this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, *build], check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    install = ["install", "--quiet", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", python, *install], check=True, capture_output=True
    )
    (site,) = (folder / "venv" / "lib").glob("python*/site-packages")
    # behind the wheel's own folder
    (site / "shared.pth").write_text(sysconfig.get_path("purelib") + "\n")
    (folder / "work").mkdir()
    return Place(folder / "work", python.parent, site / "twinml")


def test_a_new_twin_goes_all_the_way(place):
    found = place.run("python", "-c", "import twinml; print(twinml.__file__)")
    assert Path(found.strip()).parent == place.package
    told = place.twinml("new", "kiln")
    small = {
        "calibrate": ["starts=4"],
        "sweep": ["samples=512", "executor=local", "sensitivity=0"],
        "train": ["surrogate.steps=50", "surrogate.width=8"],
    }
    commands = [line.split() for line in told.partition("Next")[2].splitlines()[1:]]
    assert [words[1] for words in commands[:-1]] == [
        "simulate", "calibrate", "sweep", "train", "export", "verify",
    ]  # fmt: skip
    for program, word, *rest in commands[:-1]:
        printed = place.run(program, word, *rest, *small.get(word, []))
    assert "unchanged" in printed
    assert "passed" in place.run(*commands[-1], "-p", "no:cacheprovider")
    assert "configs/twin/kiln.yaml" in place.twinml("twins")
    place.twinml("new", "heat_exchanger")
    place.twinml("simulate", "twin=heat_exchanger")
    assert sorted(p.name for p in place.work.iterdir() if p.name != "__pycache__") == [
        "configs", "dist", "heat_exchanger.csv", "heat_exchanger.py", "kiln.csv", "kiln.py",
        "runs", "tests",
    ]  # fmt: skip


def test_files_named_like_other_modules_are_in_nobodys_way(place, tmp_path):
    program = ["python", "-m", "twinml"]  # Python itself puts the working directory first here
    place = place._replace(work=tmp_path)
    place.run(*program, "new", "kiln")
    for name in ("queue", "random", "yaml", "scipy", "scenario", "worker"):
        put(tmp_path / f"{name}.py", "raise RuntimeError('the wrong module')\n")
    # two workers, each of which must find kiln.py and none of the others
    place.run(
        *program, "sweep", "twin=kiln", "scenario=kiln_what_if", "samples=20000", "workers=2",
        "scenario.vary={fuel: {distribution: uniform, low: 5e-4, high: 8e-4}}",
        "scenario.changes=[]", "scenario.horizon.stop=0.05", "sensitivity=0", "out=swp",
    )  # fmt: skip
    assert (tmp_path / "swp/table.parquet").is_file()
