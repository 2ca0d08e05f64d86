"""One file per task: its keys, and the one verb it calls."""
