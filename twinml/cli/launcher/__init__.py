"""Where a task runs: here, or as a job of a batch system."""
