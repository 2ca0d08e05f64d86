"""``twinml lint FILE``: every problem of a scenario or twin file at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from twinml.cli.lint.place import Problem, Source
from twinml.cli.search import SearchPath, shown
from twinml.cli.tools.arguments import Parser, parse
from twinml.errors import ConfigError, DataError, TwinmlError

GROUPS = ("twin", "scenario")


def run(words: Sequence[str]) -> int:
    """Prints ``file:line: problem``; exit 1 when there is one, 2 when a file cannot be read."""
    parser = Parser(
        "twinml lint",
        description=(
            "Checks scenario and twin files: keys, types, units, names, bounds, and that they fit "
            "the model, the record and the calibration. Prints every problem with its line, and as "
            "advice the terms of a twin's equations whose units do not fit."
        ),
        epilog=(
            "Exit code: 0 no problem, 1 a problem, 2 a file cannot be read. "
            "Example: twinml lint configs/scenario/hot.yaml --twin kiln"
        ),
        add_help=False,
    )
    parser.add_argument("path", metavar="FILE", nargs="+", help="a YAML file, or a configs folder")
    parser.add_argument("--twin", help="check scenarios with this twin; else with every twin found")
    parser.add_argument("--config-dir", help="a folder that is searched first for twins")
    asked = parse(parser, words)
    if asked is None:
        return 0
    search = SearchPath.of(asked.config_dir)
    if asked.twin is not None:
        search.find("twin", asked.twin)
    code = 0
    for path in _files(asked.path):
        try:
            source = Source.read(path)
            problems, what = _examined(source, search, asked.twin)
        except ConfigError as error:
            print(str(error))
            code = 2
            continue
        if problems:
            code = max(code, 1)
        for problem in sorted(problems, key=lambda p: source.line(p.key) or 0):
            print(source.worded(problem))
        if not problems or what.startswith("fits"):
            print(f"{shown(path)}: {what}{'' if problems else ', no problem found'}")
        if kind_of(source) == "twin":
            from twinml.cli.lint.twin import advice

            for text in advice(source):
                print(f"{shown(path)}: advice: {text}")
    return code


def _files(paths: Sequence[str]) -> Iterator[Path]:
    for text in paths:
        path = Path(text)
        if path.is_dir():
            found = [f for f in sorted(path.rglob("*.yaml")) if f.parent.name in GROUPS]
            if not found:
                raise DataError(
                    f"{path} holds no twin/*.yaml or scenario/*.yaml. Give a file, or a folder "
                    "such as configs."
                )
            yield from found
        elif path.is_file():
            yield path
        else:
            raise DataError(f"{path} does not exist. Give a scenario or twin file, or a folder.")


def _examined(source: Source, search: SearchPath, twin: str | None) -> tuple[list[Problem], str]:
    if kind_of(source) == "twin":
        from twinml.cli.lint.twin import twin_problems

        return twin_problems(source)
    names = [twin] if twin else list(search.options("twin"))
    return _with_twins(source, search, names)


def kind_of(source: Source) -> str:
    """``twin`` or ``scenario``, by its keys, else by its folder.

    Raises:
        ConfigError: neither.
    """
    for kind, marks in (("twin", {"model"}), ("scenario", {"quantities", "horizon", "vary"})):
        if marks & set(source.values):
            return kind
    if source.path.parent.name in GROUPS:
        return source.path.parent.name
    raise ConfigError(
        f"{source.path} is neither a twin (it has no key 'model') nor a scenario (no 'horizon' or "
        "'quantities'); lint checks these two."
    )


def _with_twins(
    source: Source, search: SearchPath, names: Sequence[str]
) -> tuple[list[Problem], str]:
    """What is wrong with a scenario on the twin that it fits best, and which it fits."""
    from twinml.cli.lint.scenario import calibrated_problems, scenario_problems
    from twinml.cli.lint.twin import bare_model, read_twin

    alone = scenario_problems(source.values, None)
    fits, found, broken = [], {}, []
    for name in names:
        try:
            twin = read_twin(Source.read(search.find("twin", name)))[0]
            model = bare_model(twin)
        except TwinmlError as error:
            broken.append(f"twin '{name}' could not be built: {error}")
            continue
        fitted = (*twin.calibrate.fit, *(f"initial.{s}" for s in twin.calibrate.fit_initial))
        problems = scenario_problems(source.values, model, tuple(twin.inputs))
        if not problems:
            problems = calibrated_problems(source.values, fitted, name)
        if problems:
            found[name] = problems
        else:
            fits.append(name)
    if fits:
        return alone, f"a scenario that fits {', '.join(fits)}"
    if not found:
        return [*alone, *(Problem((), text) for text in broken)], "a scenario"
    nearest = min(found, key=lambda name: len(found[name]))
    if len(names) == 1:
        return found[nearest], "a scenario"
    if alone:  # no need to guess a twin: it is wrong whatever the model
        return alone, "a scenario"
    return found[nearest], (
        f"fits none of the {len(names)} twins; the problems above are those with '{nearest}'. "
        "Name the one that is meant with --twin"
    )
