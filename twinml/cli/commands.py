"""The program's words: tasks, which do work, and tools, which read and print. No heavy import."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Command:
    """One word after ``twinml``; its module is imported when it is typed."""

    name: str
    module: str
    summary: str


TASKS = {
    command.name: command
    for command in (
        Command("simulate", "twinml.cli.tasks.simulate", "integrate a twin over time"),
        Command("calibrate", "twinml.cli.tasks.calibrate", "fit parameters to a record"),
        Command("sweep", "twinml.cli.tasks.sweep", "run many scenarios of a twin into one table"),
        Command("train", "twinml.cli.tasks.train", "learn a surrogate from a sweep"),
        Command("export", "twinml.cli.tasks.export", "write a trained surrogate as an artifact"),
        Command("reproduce", "twinml.cli.tasks.reproduce", "do a run again and compare metrics"),
        Command("demo", "twinml.cli.tasks.demo", "the worked example, from record to report"),
    )
}

TOOLS = {
    command.name: command
    for command in (
        Command("doctor", "twinml.cli.tools.doctor", "what works on this machine, and why not"),
        Command("new", "twinml.cli.tools.new", "write a twin of one's own, ready to run"),
        Command("twins", "twinml.cli.tools.twins", "the twins found, and where"),
        Command("show", "twinml.cli.tools.show", "what a file or folder of ours holds"),
        Command("status", "twinml.cli.tools.status", "how far a sweep is, from another terminal"),
        Command("data", "twinml.cli.tools.data", "what a record holds, and what is wrong with it"),
        Command("compare", "twinml.cli.tools.compare", "two runs, sweeps, artifacts compared"),
        Command("lint", "twinml.cli.tools.lint", "check scenario and twin files, all problems"),
        Command("completion", "twinml.cli.tools.completion", "tab completion for bash and zsh"),
        Command("verify", "twinml.cli.tools.verify", "check an artifact's bytes and numbers"),
    )
}

COMMANDS = {**TASKS, **TOOLS}
