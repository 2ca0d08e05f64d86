"""The README's examples run as they stand, from the top, in an empty folder."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import pytest

from twinml.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(*languages: str) -> list[tuple[str, str]]:
    """Fenced blocks in the order written."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return [(kind, body) for kind, body in _BLOCK.findall(text) if kind in languages]


def test_every_block_is_of_a_kind_that_is_checked():
    kinds = {kind for kind, _ in _BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))}
    assert kinds <= {"python", "sh", "make"}


# torch marks TorchScript as deprecated; a user of the artifact sees its note once.
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_examples_run_in_the_order_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    known: dict[str, object] = {}
    ran = 0
    for kind, body in blocks("python", "sh"):
        if kind == "python":
            exec(compile(body, "README.md", "exec"), known)
            ran += 1
            continue
        for line in body.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words:
                assert words[0] == "twinml", f"cannot run: {line}"
                assert main(words[1:]) == 0, f"{line}\n{capsys.readouterr().err}"
                ran += 1
    assert ran >= 10


@pytest.fixture(autouse=True)
def nothing_of_it_stays_imported(tmp_path):
    """The twin that the README writes must not be found by later tests."""
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def test_the_make_targets_exist():
    made = re.findall(r"^(\w[\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    (_, body), *_ = blocks("make")
    for line in body.splitlines():
        command = line.split("#")[0].split()
        assert command[0] == "make" and command[-1] in made, line


@pytest.mark.parametrize("folder", re.findall(r"^\| `([\w/]+)/` ", (ROOT / "README.md").read_text(
    encoding="utf-8"), re.MULTILINE))  # fmt: skip
def test_the_folders_named_exist(folder):
    assert (ROOT / folder).is_dir()
