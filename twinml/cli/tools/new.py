"""``twinml new NAME``: a twin of one's own, every file of which runs as it is.

``--slurm`` writes batch scripts instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import keyword
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template

from twinml import resources
from twinml.cli.console import Console
from twinml.cli.search import SearchPath, shown
from twinml.cli.tools.arguments import Parser, parse
from twinml.errors import InputError

TEMPLATES = resources.PACKAGE / "cli" / "template"
# Template -> where it goes, both for a twin called `name`.
FILES = {
    "model.py.txt": "{name}.py",
    "twin.yaml.txt": "configs/twin/{name}.yaml",
    "scenario.yaml.txt": "configs/scenario/{name}_what_if.yaml",
    "test.py.txt": "tests/test_{name}.py",
    "record.csv": "{name}.csv",
}
PURPOSE = ("the physics", "the twin", "what varies", "its test", "a synthetic record")
SCRIPTS = {"sweep": "a sweep as a job", "train": "a training as a job"}
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Plan:
    """The files of a new twin, not yet written."""

    name: str
    class_name: str
    texts: dict[Path, str]


def run(words: Sequence[str]) -> int:
    """Writes the files, checks the model's units, prints what to type next."""
    parser = Parser(
        "twinml new",
        description=(
            "Writes a twin that runs as it is, to be changed into your own: its physics, twin and "
            "scenario files, a test and a synthetic record. With --slurm: batch scripts that run "
            "a sweep or a training on a cluster. Nothing is ever overwritten."
        ),
        epilog="Example: twinml new heat_exchanger writes heat_exchanger.py with HeatExchanger.",
        add_help=False,
    )
    slurm = "--slurm" in words
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?" if slurm else None,
        help="in lower case, such as kiln or heat_pump",
    )
    parser.add_argument("--slurm", action="store_true", help="write slurm/*.sbatch")
    asked = parse(parser, words)
    if asked is None:
        return 0
    if slurm:
        return _write_scripts(asked.name)
    plan = make_plan(asked.name)
    write(plan)
    rows = [[shown(path), what] for path, what in zip(plan.texts, PURPOSE, strict=True)]
    Console().table(("written", ""), rows)
    print(_units(plan))
    print(f"Next, in this order:\n{_commands(plan.name)}")
    return 0


def _write_scripts(name: str | None) -> int:
    if name is not None:
        raise InputError(
            f"'--slurm' writes batch scripts that serve every twin, so it takes no name. Write "
            f"the twin '{name}' by twinml new {name}."
        )
    texts = {
        Path("slurm", file.name): file.read_text(encoding="utf-8")
        for file in sorted(resources.slurm().glob("*.sbatch"))
    }
    _refuse_present("slurm", texts)
    write(Plan("slurm", "", texts))
    Console().table(("written", ""), [[shown(path), SCRIPTS[path.stem]] for path in texts])
    print(
        "Set the account, partition and environment of your cluster in them, then\n"
        "  sbatch slurm/sweep.sbatch twin=<name> scenario=<name> samples=100_000\n"
        "or let twinml write and submit a script: twinml sweep ... launcher=slurm"
    )
    return 0


def make_plan(name: str) -> Plan:
    """What would be written for ``name``.

    Raises:
        InputError: no usable name, one that is taken, or a file that is there already.
    """
    class_name = "".join(part.capitalize() for part in name.split("_"))
    _check_name(name, class_name)
    values = {"name": name, "class_name": class_name}
    texts = {}
    for template, place in FILES.items():
        text = (TEMPLATES / template).read_text(encoding="utf-8")
        texts[Path(place.format(name=name))] = Template(text).substitute(values)
    _refuse_present(name, texts)
    return Plan(name, class_name, texts)


def _refuse_present(name: str, texts: Iterable[Path]) -> None:
    there = [str(path) for path in texts if os.path.lexists(path)]
    if there:
        do = "Move it away" if name == "slurm" else "Choose another name, or move it away"
        raise InputError(
            f"'{name}' is not written: {', '.join(there)} exist{'s' if len(there) == 1 else ''} "
            f"already, and nothing is overwritten. {do}."
        )


def _check_name(name: str, class_name: str) -> None:
    if not NAME.fullmatch(name):
        close = re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
        close = close.strip("_0123456789") if not close[:1].isalpha() else close.strip("_")
        hint = f" Try '{close}'." if NAME.fullmatch(close) else ""
        raise InputError(
            f"'{name}' cannot be the name of a twin: it names a Python file, a class and the YAML "
            f"files. Expected lower-case words joined by '_', such as heat_exchanger.{hint}"
        )
    if keyword.iskeyword(name) or keyword.iskeyword(class_name):
        raise InputError(
            f"'{name}' is a word of Python itself, so no file or class can be called so. "
            f"Try '{name}_plant'."
        )
    if name in SearchPath.of().options("twin"):
        used = SearchPath.of().find("twin", name)
        raise InputError(
            f"There is a twin '{name}' already ({shown(used)}), which the new one would hide or "
            "overwrite. Choose another name."
        )
    taken = "a module of Python itself" if name in sys.stdlib_module_names else _installed(name)
    if taken:
        raise InputError(
            f"'{name}' is {taken}: a {name}.py beside it would be mixed up with it. "
            f"Try '{name}_plant'."
        )


def _installed(name: str) -> str:
    """What else answers to ``import name``, or nothing."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return "the name of a module that is loaded"
    if found is None:
        return ""
    place = found.origin or next(iter(found.submodule_search_locations or ()), "built in")
    if Path(place) == Path.cwd() / f"{name}.py":  # refused below, by the file's name
        return ""
    return f"the name of a package or folder that Python imports ({shown(Path(place))})"


def write(plan: Plan) -> None:
    """Puts all files in place, or none.

    Raises:
        InputError: the file system refused.
    """
    placed: list[Path] = []
    made: list[Path] = []
    try:
        for path, text in plan.texts.items():
            for parent in reversed(path.parents):
                if not parent.exists():
                    parent.mkdir()
                    made.append(parent)
            with open(path, "x", encoding="utf-8") as file:  # refuses one that has just appeared
                placed.append(path)
                file.write(text)
    except BaseException as error:
        for path in placed:
            path.unlink(missing_ok=True)
        for parent in reversed(made):
            parent.rmdir()
        if not isinstance(error, OSError):
            raise
        raise InputError(
            f"'{plan.name}' is not written: {error.strerror} ({error.filename}). Nothing is left "
            "behind; go to a folder in which you may write."
        ) from error


def _units(plan: Plan) -> str:
    """One line on the units of the model just written."""
    from twinml.cli.target import import_target
    from twinml.physics.dimensions import check_dimensions

    importlib.invalidate_caches()  # the file is younger than what Python knows of the folder
    model = import_target(f"{plan.name}.{plan.class_name}", f"twin '{plan.name}'")()
    return f"{plan.name}.py: {check_dimensions(model)}"


def _commands(name: str) -> str:
    runs = f"runs/{name}"
    return "\n".join(
        f"  {line}"
        for line in (
            f"twinml simulate twin={name}",
            f"twinml calibrate twin={name} out={runs}/calibrate",
            f"twinml sweep twin={name} scenario={name}_what_if calibration={runs}/calibrate "
            f"out={runs}/sweep",
            f"twinml train sweep={runs}/sweep surrogate=mlp out={runs}/train",
            f"twinml export run={runs}/train out=dist/{name}",
            f"twinml verify dist/{name}",
            f"python -m pytest tests/test_{name}.py",
        )
    )
