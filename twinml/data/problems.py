"""What keeps rows of a file from being used, with their places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from twinml.errors import DataError


@dataclass(frozen=True)
class Problem:
    """One reason why a file cannot be used as it stands.

    Args:
        kind: One word for counting, such as "number" or "late".
        place: Where, in the file's own terms: "line 7, column 'level'".
        text: What is there, what was expected and what to do, without the place.
        column: The column, or "" where the whole row or file is meant.
        row: Position among the rows of values, or -1 for the whole file.
    """

    kind: str
    place: str
    text: str
    column: str = ""
    row: int = -1

    def sentence(self, source: str) -> str:
        """The problem with its file and place in front."""
        return f"{source}{', ' + self.place if self.place else ''}: {self.text}"


def refuse(source: str, problems: Sequence[Problem]) -> None:
    """Raise the first problem, and say how many like it there are.

    Raises:
        DataError: there is at least one problem.
    """
    if not problems:
        return
    first = problems[0]
    alike = sum(p.kind == first.kind for p in problems) - 1
    others = len(problems) - 1 - alike
    more = [f"{alike} more like it"] if alike else []
    more += [f"{others} other problem{'s'[: others > 1]}"] if others else []
    rest = f" And {' and '.join(more)}" if more else ""
    if more:
        rest += f": 'twinml data {source}' lists all." if Path(source).is_file() else "."
    raise DataError(first.sentence(source) + rest)
