"""One file per tool: reads, prints, writes no run."""
