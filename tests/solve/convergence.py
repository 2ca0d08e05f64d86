"""A problem with a known solution and the slope of its error."""

from __future__ import annotations

import numpy as np


def slope_of(errors: list[float], steps: list[int]) -> float:
    return float(-np.polyfit(np.log(steps), np.log(errors), 1)[0])


def spiral(t: float, y: np.ndarray) -> np.ndarray:
    """A turn that speeds up, non-autonomous and nonlinear; solved by (cos t^2, sin t^2)."""
    speed = 2.0 * t * (y[0] ** 2 + y[1] ** 2)
    return np.array([-speed * y[1], speed * y[0]])


def spiral_solution(t: float | np.ndarray) -> np.ndarray:
    return np.stack([np.cos(t**2), np.sin(t**2)], axis=-1)
