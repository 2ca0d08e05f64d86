"""Tab completion, asked through the real shells as far as they are there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.small import put
from twinml.cli.completion.candidates import candidates
from twinml.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
DRIVE = """
source ./script
COMP_LINE="$1"; COMP_POINT=${{#1}}
COMP_WORDS=(twinml); COMP_CWORD=1
compopt() {{ :; }}
twinml() {{ "{python}" -m twinml "$@"; }}
_twinml
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture
def place(folder):
    put(folder / "configs/twin/kiln.yaml", "model: {_target_: kiln.Kiln}\n")
    put(folder / "more/twin/oven.yaml", "model: {_target_: oven.Oven}\n")
    put(folder / "runs/a/calibration.json", "{}")
    put(folder / "kiln.csv", "time\n0\n")
    put(folder / ".hidden", "")
    return folder


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("s", ["simulate", "sweep", "show", "status"]),
        ("simulate twin=ki", ["twin=kiln"]),
        ("simulate --config-dir more twin=o", ["twin=oven", "twin=outbreak"]),
        ("simulate --config-dir m", ["more/"]),
        ("sweep scen", ["scenario="]),
        ("train -m surrogate=mlp,g", ["surrogate=mlp,gp"]),
        ("train surrogate.coarse_r", ["surrogate.coarse_rows="]),
        ("simulate dry_run=t", ["dry_run=true"]),
        ("simulate solver.dtype=float3", ["solver.dtype=float32"]),
        ("simulate solver.rt", ["solver.rtol="]),
        ("simulate data.path=k", ["data.path=kiln.csv"]),
        ("calibrate param", ["parameters."]),
        ("export run=runs/", ["run=runs/a/"]),
        ("sweep calibration=runs/a/", ["calibration=runs/a/calibration.json"]),
        ("show ru", ["runs/"]),
        ("show .h", [".hidden"]),
        ("twins --c", ["--config-dir"]),
        ("compare --", ["--json", "--help", "--html"]),
        ("lint k --twin k", ["kiln"]),
        ("completion z", ["zsh"]),
        ("nothing x", []),
        ("simulate --h", ["--help"]),
    ],
)
def test_what_may_follow(place, line, expected):
    *words, current = line.split(" ")
    assert sorted(candidates(words, current)) == sorted(expected)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("twinml sim", ["simulate"]),
        ("twinml simulate twin=kil", ["kiln"]),
        ("twinml simulate data.path=kil", ["kiln.csv"]),
        ("twinml show kiln", ["kiln.csv"]),
        ("twinml export run=runs/", ["runs/a/"]),
    ],
)
def test_bash_gets_the_rest_of_the_word(place, capsys, line, expected):
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    assert main(["completion", "bash"]) == 0
    put(place / "script", capsys.readouterr().out)
    put(place / "drive", DRIVE.format(python=sys.executable))
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [bash, "--norc", "drive", line], capture_output=True, text=True, env=env, cwd=place
    )
    assert done.stdout.split() == expected, done.stderr


def test_completion_loads_no_torch(place):
    code = (
        "from twinml.cli.main import main; import sys\n"
        "for line in ('s', 'simulate ', 'sweep twin=', 'train surrogate=', 'show --', 'lint --'):\n"
        "    main(['completion', '--line', 'twinml ' + line])\n"
        "assert not {'torch', 'numpy', 'hydra', 'scipy'} & set(sys.modules), 'heavy'\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=env, cwd=place
    )
    assert done.returncode == 0, done.stderr


def test_a_shell_must_be_named(place, capsys):
    assert main(["completion"]) == 2 and main(["completion", "fish"]) == 2
    assert "twinml completion bash" in capsys.readouterr().err
    assert main(["completion", "zsh"]) == 0
    assert capsys.readouterr().out.startswith("#compdef twinml")
