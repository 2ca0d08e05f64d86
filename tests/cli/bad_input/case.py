"""One bad call: what was typed in which folder, and what the program must answer."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import re
import shlex
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from tests.cli.bad_input.plant import FILES
from twinml import resources
from twinml.cli import compose
from twinml.cli.main import main
from twinml.cli.overrides import Selection
from twinml.cli.search import SearchPath

BEGIN = r"^twinml( \w+)?: "
VARYING = {
    r"\d{4}-\d\d-\d\d/\d{6}-[0-9a-f]{6}": "<date>/<time>",
    r"[\d,.]+ [kMGT]B free": "<n> GB free",
    r"[\d,]+ bytes": "<n> bytes",
    r"(sha256|digest) [0-9a-f]{12}\b": r"\1 <hex>",
    r"\d+\.\d{8,}": "<number>",
    r"Shipped: .*\.": "Shipped: <records>.",
    r"\S*/site-packages/": "(<packages>/",
    r"process \d+ on (?!node7)[^\s,]+": "process <pid> on <host>",
    r"process \d+ on node7": "process <pid> on node7",
    r"life is \d+ s old": "life is <n> s old",
    r"line \d+ column \d+ \(char \d+\)": "<place>",
}
# Steps that make what later tasks take; each runs in the folder of the files of ``plant.py``.
STEPS = (
    "calibrate twin=kiln starts=1 out=cal",
    "sweep twin=kiln scenario=soak samples=128 workers=1 sensitivity=0 out=swp",
    "train sweep=swp surrogate=gp out=trn",
    "export run=trn out=dist/hottest",
)
FAILING = "sweep twin=kiln scenario=soak samples=128 workers=1 solver.max_steps=1 out=failed"


@dataclass(frozen=True)
class Bad:
    """A row of the table.

    Args:
        words: What follows ``twinml``, as a shell would split it.
        says: Fragments that the message must hold: what is wrong, where, and the fix.
        files: Files laid over those of ``plant.py``; None removes one.
        given: Products of earlier tasks to copy into the folder: cal, swp, trn, dist, failed.
        prepare: Anything else to do to the folder, called with it.
        environment: Variables set for the call.
        code: Expected exit code.
        keeps: Folders that may stay behind although the call failed.
        foreign: The text quotes Python or a library, whose words differ between versions.
    """

    words: str
    says: tuple[str, ...]
    files: Mapping[str, str | bytes | None] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    prepare: Callable[[Path], object] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    code: int = 2
    keeps: tuple[str, ...] = ()
    foreign: bool = False

    def lay(self, folder: Path, products: Path) -> None:
        """Fills the empty folder."""
        for product in self.given:
            shutil.copytree(products / product, folder / product)
        for name, content in {**FILES, **self.files}.items():
            if content is None:
                continue
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        if self.prepare is not None:
            self.prepare(folder)


@dataclass(frozen=True)
class Ended:
    """What a call printed, and its exit code."""

    code: int
    out: str
    err: str

    def plain(self, folder: Path) -> str:
        """All of stderr, with the folder's own path as <here>."""
        text = self.err.replace(str(folder.resolve()), "<here>").replace(str(folder), "<here>")
        text = text.replace(str(resources.configs()), "<package>/configs")
        return text.replace(str(resources.PACKAGE), "<package>")

    def message(self, folder: Path) -> str:
        """The last paragraph, without what differs between machines, seconds and versions."""
        text = self.plain(folder)
        begun = [found.start() for found in re.finditer(BEGIN, text, re.MULTILINE)]
        text = text[begun[-1] if begun else 0 :].rstrip("\n")
        for pattern, short in VARYING.items():
            text = re.sub(pattern, short, text)
        return re.sub(r"(Known: |one of: |Choose among )([^.<]*)", _without_shipped, text)


def call(words: str, folder: Path, environment: Mapping[str, str]) -> Ended:
    """The program in this process, in ``folder``; the process is as before afterwards."""
    out, err = io.StringIO(), io.StringIO()
    with (
        _inside(folder, environment),
        mock.patch.object(compose, "_join", _joined_once),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("default")  # a warning is a line that the user would see
        code = main(shlex.split(words))
    return Ended(code, out.getvalue(), err.getvalue())


_join = compose._join
_joined: dict[tuple[Any, ...], Any] = {}


def _joined_once(task: str, selection: Selection, search: SearchPath) -> Any:
    """Hydra's part of a call, which takes most of its time, once for equal files."""
    own = Path("configs")
    files = {path: path.read_bytes() for path in own.rglob("*.yaml") if path.is_file()}
    key = (task, *selection.groups.items(), *files.items(), own.resolve() in search.folders)
    if key not in _joined:
        _joined[key] = _join(task, selection, search)
    return copy.deepcopy(_joined[key])


@contextlib.contextmanager
def _inside(folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    before = os.getcwd(), list(sys.path), set(sys.modules), dict(os.environ)
    for name in ("TWINML_DATA", "TWINML_DEBUG"):
        os.environ.pop(name, None)
    os.environ.update(environment)
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before[0])
        sys.path[:] = before[1]
        for name in set(sys.modules) - before[2]:
            if str(folder) in str(getattr(sys.modules[name], "__file__", None)):
                del sys.modules[name]
        os.environ.clear()
        os.environ.update(before[3])


def make_products(folder: Path) -> Path:
    """Runs the tasks in order and returns the folder that holds what they wrote."""
    Bad("", ()).lay(folder, folder)
    for words in STEPS:
        ended = call(words, folder, {})
        assert ended.code == 0, ended.err
    assert call(FAILING, folder, {}).code == 1
    return folder


def _without_shipped(found: re.Match[str]) -> str:
    """A list of names without those that ship, which become more with every version."""
    shipped = {file.stem for file in resources.configs().rglob("*.yaml")}
    shipped |= {file.name for file in (resources.PACKAGE / "library" / "data").iterdir()}
    names = found[2].split(", ")
    kept = [name for name in names if name not in shipped]
    return found[1] + ", ".join([*kept, *(["those that ship"] if len(kept) < len(names) else [])])


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file with its bytes and every folder below ``folder``; Python's own caches left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
        if "__pycache__" not in path.parts
    }
