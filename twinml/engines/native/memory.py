"""The memory a launch reads and writes, as ``kernels/args.h`` lays it out."""

from __future__ import annotations

import ctypes

from torch import Tensor

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_longlong


class ColumnView(ctypes.Structure):
    """A value per row, of numbers or of times; stride 0 where rows share one."""

    _fields_ = [("data", _POINTER), ("stride", _COUNT)]


class SignalView(ctypes.Structure):
    """An input over time."""

    _fields_ = [
        ("times", _POINTER), ("values", _POINTER), ("knots", _COUNT), ("row_stride", _COUNT),
        ("delay", ColumnView),
    ]  # fmt: skip


class ChangeView(ctypes.Structure):
    """A timed change."""

    _fields_ = [("at", ColumnView), ("until", ColumnView), ("value", ColumnView)]


class ChangeSeedView(ctypes.Structure):
    """Derivatives of a timed change; no data where it stands still."""

    _fields_ = [("at", ColumnView), ("until", ColumnView), ("value", ColumnView)]


class Args(ctypes.Structure):
    """The arguments of ``tw_run``; the same members in the same order as ``tw::Args``."""

    _fields_ = [
        ("bytes", _COUNT), ("entries", _COUNT), ("rows", _COUNT), ("order", _POINTER),
        ("next", _POINTER), ("lane_steps", _POINTER), ("cancel", _POINTER),
        ("first", ColumnView), ("last", ColumnView), ("save_times", _POINTER),
        ("save_count", _COUNT), ("save_stride", _COUNT), ("direction", _COUNT),
        ("parameters", ctypes.POINTER(ColumnView)), ("inputs", ctypes.POINTER(ColumnView)),
        ("signals", ctypes.POINTER(SignalView)), ("changes", ctypes.POINTER(ChangeView)),
        ("constants", ctypes.POINTER(ColumnView)), ("weights", ctypes.POINTER(_POINTER)),
        ("settings", _POINTER), ("clocks", _POINTER), ("max_steps", _COUNT),
        ("max_events", _COUNT), ("step_width", ctypes.c_double),
        ("t", _POINTER), ("h", _POINTER), ("y", _POINTER), ("steps", _POINTER),
        ("rejected", _POINTER), ("status", _POINTER), ("fail_time", _POINTER),
        ("grid", _POINTER), ("origin", _POINTER), ("states", _POINTER),
        ("samples", _POINTER), ("sample_times", _POINTER), ("sample_count", _COUNT),
        ("sample_stride", _COUNT), ("observed", _POINTER),
        ("continued", _COUNT), ("side", _POINTER), ("near_zero", _POINTER), ("happened", _POINTER),
        ("event_times", _POINTER), ("totals", _POINTER), ("moments", _POINTER),
        ("quantity_times", ctypes.POINTER(ColumnView)), ("record_place", _POINTER),
        ("record_total", _COUNT), ("record_t", _POINTER), ("record_t1", _POINTER),
        ("record_h", _POINTER), ("record_clipped", _POINTER), ("record_y", _POINTER),
        ("seed", _COUNT), ("ids", _POINTER),
        ("moving_y", _POINTER), ("moving_t", _POINTER), ("moving_states", _POINTER),
        ("moving_parameters", ctypes.POINTER(ColumnView)),
        ("moving_inputs", ctypes.POINTER(ColumnView)),
        ("moving_signals", ctypes.POINTER(ColumnView)),
        ("moving_changes", ctypes.POINTER(ChangeSeedView)), ("moving_grazes", _POINTER),
        ("tape", _POINTER), ("reverse", _POINTER),
        ("handed", _POINTER),
        ("handed_count", _POINTER), ("entries_at", _POINTER),
    ]  # fmt: skip


def column(values: Tensor, scale: int = 1) -> ColumnView:
    """A view of (B,) or (1,) values; ``scale`` numbers belong to one entry."""
    stride = 0 if values.shape[0] == 1 else values.stride(0) // scale
    return ColumnView(values.data_ptr(), stride)


def views(kind: type[ctypes.Structure], items: list) -> ctypes.Array:
    """An array of views, never empty."""
    array = (kind * max(1, len(items)))()
    for place, item in enumerate(items):
        array[place] = item
    return array
