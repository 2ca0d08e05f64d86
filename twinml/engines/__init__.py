"""Executors of one meaning: eager torch now, generated kernels beside it later."""
