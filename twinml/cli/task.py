"""What a task is, what it returns, and the one job of it that is running."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinml.cli.compose import Composed
from twinml.cli.console import Console
from twinml.cli.launcher.requeue import started_before
from twinml.errors import (
    DeclarationError,
    ExpressionError,
    InputError,
    ScenarioError,
    UnitError,
)
from twinml.run.directory import RunDirectory


@dataclass(frozen=True)
class Outcome:
    """What a task hands back: metrics for the file, a table for the eye, and what it wrote.

    ``headline`` names the metrics that stand for the whole in a multirun's table; as a mapping,
    by the heading of their column, so that different metrics can share one. ``notes`` are sentences
    for the page; ``page`` is the ``report.Page`` of a task that begins its own. ``code`` is the
    exit code: 1 for work that was stopped before its end, whose results are of its beginning.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    title: str = ""
    written: Sequence[tuple[str, Path]] = ()
    headline: Mapping[str, str] | Sequence[str] = ()
    notes: Sequence[str] = ()
    code: int = 0
    page: Any = None


@dataclass
class Job:
    """One execution of a task."""

    task: Task
    composed: Composed
    console: Console
    command: Sequence[str]
    out: Path | None = None
    run: RunDirectory | None = None
    resumed: bool = False

    def start(self, inputs: Mapping[str, str], *, resume: str | Path | None = None) -> RunDirectory:
        """Opens the run directory. Called when the inputs are known to be good, before any work.

        Args:
            inputs: Name -> sha256 of each file and source the run depends on.
            resume: An earlier run directory to go on in.

        Raises:
            InputError: the folder cannot be used.
        """
        from twinml.run.provenance import digest_file, provenance

        self.resumed = resume is not None
        again = self.resumed or started_before(self.out, self.command)
        self.run = RunDirectory.create(self.task.name, resume or self.out, resume=again)
        files = {
            # Groups may hold files of the same name.
            f"config:{file.parent.name}/{file.name}": digest_file(file)
            for file in self.composed.files
        }
        self.run.write_config(self.composed.plain)
        self.run.write_provenance(
            provenance(
                task=self.task.name,
                command=self.command,
                seed=self.composed.plain.get("seed", 0),
                choices=self.composed.choices,
                inputs={**files, **inputs},
            )
        )
        return self.run

    @contextmanager
    def blaming(self, group: str) -> Iterator[None]:
        """Names the group's file in what is refused about its content."""
        try:
            yield
        except (DeclarationError, ScenarioError, ExpressionError, UnitError) as error:
            raise type(error)(f"{self.composed.blame(group)}{error}") from error

    def finish(self, outcome: Outcome) -> None:
        """Stores the metrics and marks the run as done, or as stopped before its end."""
        if self.run is not None:
            self.run.write_metrics(outcome.metrics)
            self._end("stopped" if outcome.code else "done", outcome.code)

    def fail(self, error: BaseException, code: int) -> None:
        """Marks the run, if it was opened, as failed; after bad input nothing is left of it."""
        if self.run is None:
            return
        discarded = code == InputError.exit_code and not self.resumed and self.run.discard()
        if not discarded:
            with suppress(OSError):  # a full disk: the error that led here is the one to tell
                self._end("failed", code, error=f"{type(error).__name__}: {error}")

    def _end(self, status: str, code: int, error: str | None = None) -> None:
        from twinml.run.provenance import now

        assert self.run is not None
        self.run.update_provenance(status=status, exit_code=code, ended=now(), error=error)


@dataclass(frozen=True)
class Task:
    """A word of the command line that does work.

    ``out_is_run`` is false where ``out`` names the product itself, as for ``export``.
    ``takes_address`` is true where ``out`` and ``resume`` may be addresses such as
    ``s3://bucket/a``. ``plan`` says in words what would be done, for ``dry_run=true``.
    """

    name: str
    summary: str
    schema: type
    run: Callable[[Any, Job], Outcome]
    groups: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    out_is_run: bool = True
    takes_address: bool = False
    plan: Callable[[Any, Job], str] | None = None
