"""What a simulation tells about the kernels that ran it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Occupancy:
    """What a kernel takes of a GPU.

    Args:
        registers: Of a thread; local: bytes of memory of its own, spills and arrays.
        spills: Bytes that the compiler writes to memory for want of registers.
        block: Threads a block; grid: blocks.
        share: Of the threads that a multiprocessor can hold, those of this kernel.
    """

    registers: int
    local: int
    spills: int
    block: int
    grid: int
    share: float

    def line(self) -> str:
        """The above in words."""
        return (
            f"{self.registers} registers a thread, {self.local} bytes of local memory, "
            f"{self.spills} bytes spilled; {self.grid} blocks of {self.block} threads, "
            f"occupancy {self.share:.2f}"
        )


@final
@dataclass(frozen=True)
class Measured:
    """Seconds of a run of a kernel, and the share of the lanes' steps that moved a row."""

    seconds: float
    share: float | None

    def __call__(self) -> tuple[float, float | None]:
        return self.seconds, self.share


@final
@dataclass(frozen=True)
class KernelReport:
    """One generated kernel and one use of it.

    Args:
        method: The method it steps by.
        target: The instruction set it was compiled for.
        text: The emitted text; headers are included by name.
        source: Where that text lies; library: the compiled file.
        command: How it was compiled.
        compile_seconds: How long that took, whenever it was; cached: whether it was then.
        threads: How many worked.
        measured: Seconds of this run of the kernel, and the share of the lanes' steps that moved a
            row, None where nothing stepped. Asked for, a run on a GPU is waited for.
        occupancy: Of a GPU; None on a CPU.
    """

    method: str
    target: str
    text: str
    source: str
    library: str
    command: str
    compile_seconds: float
    cached: bool
    threads: int
    measured: Callable[[], tuple[float, float | None]]
    occupancy: Occupancy | None = None

    @property
    def seconds(self) -> float:
        """Wall time of this run of the kernel."""
        return self.measured()[0]

    @property
    def lane_efficiency(self) -> float | None:
        """Share of the lanes' steps that moved a row; None where nothing stepped."""
        return self.measured()[1]

    def lines(self) -> list[str]:
        """The report as text, the emitted code last."""
        age = "from the cache" if self.cached else "compiled now"
        seconds, share = self.measured()
        use = "" if share is None else f", lanes used {share:.2f}"
        taken = [] if self.occupancy is None else [f"device   {self.occupancy.line()}"]
        return [
            f"kernel   {self.method} for {self.target}, {age} ({self.compile_seconds:.2f} s to "
            f"compile); ran {seconds:.4g} s on {self.threads} threads{use}",
            *taken,
            f"library  {self.library}",
            f"source   {self.source}",
            f"command  {self.command}",
            self.text,
        ]
