"""Load and memory of the machine, read in the background for the header and the Machine screen."""

from __future__ import annotations

from dataclasses import dataclass, field

from lmcore.telemetry import Cpu, GpuReport, Process, cpu, gpus, process


@dataclass(frozen=True)
class Snapshot:
    """One reading: the GPUs, the CPU, and the processes of the active runs by run name."""

    time: float
    gpus: GpuReport
    cpu: Cpu
    processes: dict[str, Process] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """Load of the busiest GPU, else of the CPU, in a few characters."""
        busy = [gpu for gpu in self.gpus.gpus if gpu.utilization is not None]
        if busy:
            gpu = max(busy, key=lambda card: card.utilization or 0.0)
            return f"cuda:{gpu.index} {gpu.utilization:.0%}"
        return f"cpu {self.cpu.load:.0%}" if self.cpu.load is not None else ""


def read(time: float, pids: dict[str, int]) -> Snapshot:
    """Read everything now; `pids` are the processes of the active runs."""
    found = {name: process(pid) for name, pid in pids.items()}
    return Snapshot(time, gpus(), cpu(), {name: seen for name, seen in found.items() if seen is not None})
