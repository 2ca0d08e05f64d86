"""A run fixes the experiment: its directory, what it was made of, and how to compare two."""

from __future__ import annotations

from twinml.run.compare import Difference, compare_metrics
from twinml.run.directory import RunDirectory, open_run
from twinml.run.provenance import provenance

__all__ = ["Difference", "RunDirectory", "compare_metrics", "open_run", "provenance"]
