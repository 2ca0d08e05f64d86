"""Times in a kernel's memory: float64, or pairs of float32 that add up to them."""

from __future__ import annotations

import torch
from torch import Tensor


def to_stamps(times: Tensor, bits: int) -> Tensor:
    """Times (...,) float64 as the kernel reads them: the same, or (..., 2) float32."""
    times = times.detach().to(torch.float64)
    if bits == 64:
        return times
    high = times.to(torch.float32)
    low = (times - high.to(torch.float64)).to(torch.float32)
    # An infinite time has no low part.
    low = torch.where(torch.isfinite(high), low, 0.0)
    return torch.stack([high, low], dim=-1)


def from_stamps(stamps: Tensor, bits: int) -> Tensor:
    """Times (...,) float64."""
    if bits == 64:
        return stamps
    return stamps[..., 0].to(torch.float64) + stamps[..., 1].to(torch.float64)
