"""What a simulation tells about the kernels that ran it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


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
        seconds: Wall time of this run of the kernel.
        threads: How many worked.
        lane_efficiency: Share of the lanes' steps that moved a row; None where nothing stepped.
    """

    method: str
    target: str
    text: str
    source: str
    library: str
    command: str
    compile_seconds: float
    cached: bool
    seconds: float
    threads: int
    lane_efficiency: float | None

    def lines(self) -> list[str]:
        """The report as text, the emitted code last."""
        age = "from the cache" if self.cached else "compiled now"
        use = "" if self.lane_efficiency is None else f", lanes used {self.lane_efficiency:.2f}"
        return [
            f"kernel   {self.method} for {self.target}, {age} ({self.compile_seconds:.2f} s to "
            f"compile); ran {self.seconds:.4g} s on {self.threads} threads{use}",
            f"library  {self.library}",
            f"source   {self.source}",
            f"command  {self.command}",
            self.text,
        ]
