"""Settings of the whole test run."""

from __future__ import annotations

import torch

# The arrays of tests are small: a second thread would wait longer than it works.
torch.set_num_threads(1)
