"""What a person sees while a task works and when it ends. The only home of rich.

On a terminal: a progress bar and a drawn table. Elsewhere, in a log or a pipe: plain lines, and
rich is not imported. Progress and notices go to stderr, results to stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# Called with the number of finished items, the number of all of them and a short note.
Progress = Callable[..., None]


class Console:
    """Output of one command."""

    def __init__(self) -> None:
        self.drawn = sys.stderr.isatty()

    def notice(self, text: str) -> None:
        """One line beside the results."""
        print(f"twinml: {text}", file=sys.stderr, flush=True)

    @contextmanager
    def progress(self, label: str) -> Iterator[Progress]:
        """Yields a function ``(done, total, note="")`` that shows how far the work is."""
        if self.drawn:
            with _bar(label) as advance:
                yield advance
        else:
            yield _lines(label)

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
        """Prints rows under column names; numbers right, words left."""
        if not rows:
            return
        cells = [[show(value) for value in row] for row in rows]
        right = [all(_is_number(row[i]) for row in rows) for i in range(len(columns))]
        if sys.stdout.isatty():
            _draw(columns, cells, right, title)
            return
        if title:
            print(title)
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in [list(columns), *cells]:
            parts = [
                cell.rjust(width) if aligned else cell.ljust(width)
                for cell, width, aligned in zip(line, widths, right, strict=True)
            ]
            print(("  " + "  ".join(parts)).rstrip())

    def paths(self, written: Sequence[tuple[str, Any]]) -> None:
        """Prints what was written and where."""
        width = max((len(name) for name, _ in written), default=0)
        for name, path in written:
            print(f"{name.ljust(width)}  {path}")


def show(value: Any) -> str:
    """A cell: floats to five significant digits, an absent value as a dash."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}" if abs(value) >= 100_000 else str(value)
    return str(value)


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _lines(label: str) -> Progress:
    """Plain progress: a line at each tenth of the work."""
    last = -1

    def advance(done: int, total: int | None = None, note: str = "") -> None:
        nonlocal last
        tenth = done if not total else 10 * done // total
        if tenth == last:
            return
        last = tenth
        of = f" of {total:,}" if total else ""
        print(f"{label}: {done:,}{of}{' ' + note if note else ''}", file=sys.stderr, flush=True)

    return advance


@contextmanager
def _bar(label: str) -> Iterator[Progress]:
    from rich.console import Console as RichConsole
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with RichProgress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None, note="")

        def advance(done: int, total: int | None = None, note: str = "") -> None:
            bar.update(task, completed=done, total=total, note=note)

        yield advance


def _draw(
    columns: Sequence[str], cells: list[list[str]], right: Sequence[bool], title: str
) -> None:
    from rich.console import Console as RichConsole
    from rich.table import Table

    table = Table(title=title or None, title_justify="left")
    for name, aligned in zip(columns, right, strict=True):
        table.add_column(name, justify="right" if aligned else "left")
    for row in cells:
        table.add_row(*row)
    RichConsole().print(table)
