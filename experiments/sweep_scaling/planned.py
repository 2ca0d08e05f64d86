"""Plans for 10^8 and 10^9 samples on one and on 64 GPUs, from what rows cost here.

The planner's own model (``twinml.sweep.plan.draft``) with another cost of a row. A GPU is not at
hand: its cost is the kernel's cost on one core here divided by a stated ratio, never less than
what drawing and writing a row cost on the core that feeds it, which is measured. Give a ratio
measured on the device at hand (``experiments/ensemble_benchmark/gpu.py``) to get its plan.
"""

from __future__ import annotations

from typing import Any

from twinml.sweep.pilot import Cost
from twinml.sweep.plan import Shape, draft

RATIO = 200.0  # one data-centre GPU to one core, float64, adaptive: an assumption, not a measure
FEEDING = 1.5e-6  # seconds of a core for a row drawn and stored: the part "cheap" measures it
STARTUP = 20.0  # seconds until a device's first row


def elsewhere(costs: dict[str, Any], ratio: float = RATIO) -> list[dict[str, Any]]:
    """One plan for each sweep, number of samples and number of devices."""
    found = []
    for sweep, measured in costs.items():
        here = Cost(**measured["cost"])
        device = Cost(
            max(here.seconds / ratio, FEEDING), here.call, here.base + 0.6e9, here.row
        )  # a CUDA context holds about 0.6 GB of the host's memory
        for samples in (10**8, 10**9):
            for gpus in (1, 64):
                block = 1 << 18
                shape = Shape(
                    samples, measured["columns"], block, block, "cuda", measured["kernel"]
                )
                made = draft(shape, (), device, gpus, startup=STARTUP)
                found.append(
                    {
                        "sweep": sweep, "samples": samples, "gpus": gpus, "seconds": made.seconds,
                        "memory_per_worker": made.memory, "table_bytes": made.bytes,
                        "shards": len(made.shards), "text": made.text,
                    }
                )  # fmt: skip
    return found
