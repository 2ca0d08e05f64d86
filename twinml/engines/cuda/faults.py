"""Errors of a device in the user's words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from twinml.engines.cuda import device
from twinml.errors import DeviceError, OutOfMemoryError, TwinmlError

Found = TypeVar("Found")


def told(device_name: str, work: Callable[[], Found]) -> Found:
    """The work's result; errors of the device in words.

    Raises:
        OutOfMemoryError: its memory is used up.
        DeviceError: it failed, or was lost.
    """
    try:
        return work()
    except TwinmlError:
        raise
    except Exception as error:
        if device.is_out_of_memory(error):
            raise OutOfMemoryError(
                f"{device_name} has no memory left for this run, not even for a few rows at once "
                f"({_first(error)}). Free tensors that are not needed, end other programs there, "
                "keep quantities or keep='final', or use engine='native'."
            ) from error
        if "cuda" not in f"{type(error).__name__} {error}".lower():
            raise
        raise DeviceError(
            f"{device_name} failed or was lost during the run: {_first(error)}. Nothing of this "
            "run can be used, and CUDA refuses further work in this process: start it again, see "
            "nvidia-smi, or use engine='native'."
        ) from error


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
