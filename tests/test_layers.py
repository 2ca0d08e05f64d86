"""The layer table and the single home of each heavy package, read from the source with ``ast``."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "twinml"

# Lowest first. A module imports only from rows above its own in this list.
LAYERS: tuple[frozenset[str], ...] = tuple(
    frozenset(row.split())
    for row in (
        "errors callable_module frames",
        "units resources expression",
        "physics nn",
        "solve",
        "lowering",
        "engines",
        "fields",  # operations compiled by the engines' compilers; the library's grids call them
        "library",
        "data",
        "scenario",
        "uncertainty",
        "calibrate estimate sweep surrogate",
        "design",
        "export validate",
        "run report",
        "cli serve",
    )
)
RANK = {name: rank for rank, row in enumerate(LAYERS) for name in row}

# Package -> where it may be imported, and there inside functions only.
OWNERS = {
    "cupy": "engines/cuda/",
    "cuda": "engines/cuda/",
    "ray": "sweep/ray.py",
    "lightning": "surrogate/training/",
    "gpytorch": "surrogate/gp.py",
    "linear_operator": "surrogate/gp.py",
    "torchdiffeq": "engines/eager.py",
    "hydra": "cli/",
    "omegaconf": "cli/",
    "rich": "cli/console.py",
    "pint": "units.py",
    "matplotlib": "report/",
    "torch.jit": "export/torchscript.py",
}
# Only the command line reaches for the shipped physics.
LIBRARY_USERS = frozenset({"cli", "library"})


class Import(NamedTuple):
    file: str
    line: int
    module: str
    at_top: bool

    def __str__(self) -> str:
        return f"twinml/{self.file}:{self.line} imports {self.module}"


def imports_of(source: str, file: str) -> Iterator[Import]:
    """Every import of a module, relative ones made absolute, and every use of ``torch.jit``."""
    tree = ast.parse(source)
    inside = {
        child
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.walk(node)
        if child is not node
    }
    package = ["twinml", *PurePosixPath(file).parent.parts]
    for node in ast.walk(tree):
        at_top = node not in inside
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(file, node.lineno, alias.name, at_top)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            base = [*base, *(node.module or "").split(".")] if node.module else base
            for alias in node.names:
                yield Import(file, node.lineno, ".".join([*base, alias.name]), at_top)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) == "torch.jit":
            yield Import(file, node.lineno, "torch.jit", at_top)


def package_imports() -> list[Import]:
    return [
        found
        for path in sorted(PACKAGE.rglob("*.py"))
        for found in imports_of(path.read_text(), path.relative_to(PACKAGE).as_posix())
    ]


def part(file: str) -> str:
    """The layer member a file belongs to: its first folder, or its own name."""
    return PurePosixPath(file).parts[0].removesuffix(".py")


def violates_layers(found: Import) -> bool:
    here = part(found.file)
    if here in ("__init__", "__main__") or found.module.split(".")[0] != "twinml":
        return False
    if found.module in ("twinml", "twinml.__version__"):
        return found.module == "twinml"  # the facade sits above every layer
    there = found.module.split(".")[1]
    if there not in RANK:
        return True  # a name of the facade, such as `from twinml import simulate`
    if there == here:
        return False
    if there == "library" and here not in LIBRARY_USERS:
        return True
    return RANK[there] >= RANK[here]


def violates_ownership(found: Import) -> bool:
    for package, owner in OWNERS.items():
        if found.module == package or found.module.startswith(package + "."):
            at_home = found.file.startswith(owner) if owner.endswith("/") else found.file == owner
            return found.at_top or not at_home
    return False


def test_every_part_of_the_package_has_a_layer():
    parts = {part(p.relative_to(PACKAGE).as_posix()) for p in PACKAGE.rglob("*.py")}
    assert parts - {"__init__", "__main__"} <= set(RANK)


def test_a_module_imports_only_from_layers_below():
    assert not [str(found) for found in package_imports() if violates_layers(found)]


def test_heavy_packages_are_imported_on_use_by_their_owner():
    assert not [str(found) for found in package_imports() if violates_ownership(found)]


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("solve/control.py", "from twinml.engines import simulate"),
        ("solve/control.py", "def f():\n    from ..engines import simulate"),
        ("calibrate/fit.py", "import twinml.sweep.store"),
        ("physics/state.py", "import twinml as tw"),
        ("physics/state.py", "from twinml import simulate"),
        ("calibrate/fit.py", "from twinml.library import Outbreak"),
    ],
)
def test_an_upward_import_is_caught(file, source):
    assert any(violates_layers(found) for found in imports_of(source, file))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("sweep/plan.py", "def f():\n    import ray"),
        ("surrogate/gp.py", "import gpytorch"),
        ("export/manifest.py", "def f():\n    return torch.jit.load('x')"),
        ("run/directory.py", "def f():\n    from omegaconf import OmegaConf"),
    ],
)
def test_a_heavy_import_away_from_home_is_caught(file, source):
    assert any(violates_ownership(found) for found in imports_of(source, file))


def modules_after(code: str) -> set[str]:
    """Top-level modules loaded by a fresh interpreter that runs ``code``."""
    script = f"{code}\nimport sys, json\nprint('\\n' + json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return {name.partition(".")[0] for name in json.loads(done.stdout.splitlines()[-1])}


def test_help_loads_no_torch_and_no_hydra():
    loaded = modules_after("from twinml.cli.main import main\nassert main(['--help']) == 0")
    assert not loaded & {"torch", "numpy", "scipy", "hydra", "omegaconf", "rich", "pint"}


def test_importing_twinml_needs_only_torch_and_numpy():
    extra = modules_after("import twinml") - modules_after("import torch, numpy")
    assert not {name for name in extra if name not in sys.stdlib_module_names} - {"twinml"}
