"""What the machine is doing: GPUs through NVIDIA's NVML, CPU, memory and processes through psutil, as plain values.

Nothing here raises for what a driver or an operating system does not report: that value is None.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

RETRY_SECONDS = 5.0


@dataclass(frozen=True)
class GpuProcess:
    """A process on a GPU."""

    pid: int
    name: str | None
    memory_bytes: int | None


@dataclass(frozen=True)
class Gpu:
    """A GPU as nvidia-smi shows it; utilization is a fraction from 0 to 1."""

    index: int
    name: str | None = None
    temperature_celsius: int | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    processes: tuple[GpuProcess, ...] = ()


@dataclass(frozen=True)
class GpuReport:
    """The GPUs; if there are none, `reason` is a sentence that says why."""

    gpus: tuple[Gpu, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Cpu:
    """The machine's cores and memory; loads are fractions from 0 to 1 since the last call, None in the first one."""

    load: float | None
    load_per_core: tuple[float, ...]
    memory_used_bytes: int | None
    memory_total_bytes: int | None


@dataclass(frozen=True)
class Process:
    """A process: resident memory, threads, and CPU time used so far."""

    pid: int
    memory_bytes: int | None
    threads: int | None
    cpu_seconds: float | None


class CpuTimes(NamedTuple):
    """Seconds since the boot that a core, or all of them, were idle, and all seconds counted."""

    idle: float
    everything: float


class GpuMonitor:
    """Reads NVML, initialized once; a lost driver is tried again every few seconds.

    `backend` has the functions of the module `pynvml`, which is the default.
    """

    def __init__(self, backend: Any = None, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._nvml = backend
        self._retry_seconds = retry_seconds
        self._retry_at = 0.0
        self._ready = False
        self._reason = ""
        self._lock = threading.Lock()

    def read(self) -> GpuReport:
        """All GPUs now. Threads may call it."""
        with self._lock:
            if not self._ready and not self._start():
                return GpuReport(reason=self._reason)
            try:
                count = int(self._nvml.nvmlDeviceGetCount())
            except self._nvml.NVMLError as error:
                self._lose(f"The NVIDIA driver does not respond: {error}.")
                return GpuReport(reason=self._reason)
            if count == 0:
                return GpuReport(reason="The NVIDIA driver reports no GPU.")
            return GpuReport(tuple(self._gpu(index) for index in range(count)))

    def _start(self) -> bool:
        if time.monotonic() < self._retry_at:
            return False
        try:
            if self._nvml is None:
                import pynvml

                self._nvml = pynvml
            self._nvml.nvmlInit()
        except ImportError:
            self._lose("The package nvidia-ml-py is not installed.")
        except self._nvml.NVMLError as error:
            self._lose(f"There is no NVIDIA driver on this machine: {error}.")
        else:
            self._ready = True
        return self._ready

    def _lose(self, reason: str) -> None:
        if self._ready:
            self._ask("nvmlShutdown")
        self._ready = False
        self._reason = reason
        self._retry_at = time.monotonic() + self._retry_seconds

    def _gpu(self, index: int) -> Gpu:
        handle = self._ask("nvmlDeviceGetHandleByIndex", index)
        if handle is None:
            return Gpu(index)
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", handle)
        limit = self._ask("nvmlDeviceGetEnforcedPowerLimit", handle)
        rates = self._ask("nvmlDeviceGetUtilizationRates", handle)
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        return Gpu(
            index=index,
            name=_text(self._ask("nvmlDeviceGetName", handle)),
            temperature_celsius=self._ask("nvmlDeviceGetTemperature", handle, self._nvml.NVML_TEMPERATURE_GPU),
            power_watts=None if milliwatts is None else milliwatts / 1000,
            power_limit_watts=None if limit is None else limit / 1000,
            utilization=None if rates is None else rates.gpu / 100,
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[GpuProcess, ...]:
        memory: dict[int, int | None] = {}
        for function in ("nvmlDeviceGetComputeRunningProcesses", "nvmlDeviceGetGraphicsRunningProcesses"):
            for process in self._ask(function, handle) or ():
                # A process that both computes and draws is listed twice with the same memory.
                memory[process.pid] = memory.get(process.pid) or process.usedGpuMemory
        by_memory = sorted(memory.items(), key=lambda item: (-(item[1] or 0), item[0]))
        return tuple(GpuProcess(pid, self._process_name(pid), used) for pid, used in by_memory)

    def _process_name(self, pid: int) -> str | None:
        """The command line if this user may read it, otherwise NVML's name of it."""
        return _command(pid) or _text(self._ask("nvmlSystemGetProcessName", pid))

    def _ask(self, function: str, *arguments: Any) -> Any:
        """An answer, or None: not supported by the GPU, not permitted, the GPU lost, or unknown to this driver."""
        try:
            return getattr(self._nvml, function)(*arguments)
        except (self._nvml.NVMLError, UnicodeDecodeError):
            return None


@dataclass
class CpuMonitor:
    """CPU load as the share of busy time between two calls; psutil's own counts each thread's calls apart."""

    _last: list[CpuTimes] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self) -> Cpu:
        """The machine now. Threads may call it."""
        import psutil

        with self._lock:
            counted = _allowed(lambda: [psutil.cpu_times(), *psutil.cpu_times(percpu=True)]) or []
            times = [_cpu_times(each) for each in counted]
            loads = [_load(before, after) for before, after in zip(self._last, times, strict=False)]
            self._last = times
        memory = _allowed(psutil.virtual_memory)
        used, total = (None, None) if memory is None else (memory.total - memory.available, memory.total)
        return Cpu(loads[0] if loads else None, tuple(loads[1:]), used, total)


_GPUS = GpuMonitor()
_CPU = CpuMonitor()


def gpus() -> GpuReport:
    """All NVIDIA GPUs of this machine now."""
    return _GPUS.read()


def cpu() -> Cpu:
    """Load and memory of this machine; the load is that since the last call."""
    return _CPU.read()


def process(pid: int) -> Process | None:
    """Memory, threads and CPU time of a process; None if it is gone (a zombie is)."""
    import psutil

    try:
        found = psutil.Process(pid)
        with found.oneshot():
            if _allowed(found.status) == psutil.STATUS_ZOMBIE:
                return None
            times, memory = _allowed(found.cpu_times), _allowed(found.memory_info)
            return Process(
                pid,
                memory_bytes=None if memory is None else memory.rss,
                threads=_allowed(found.num_threads),
                cpu_seconds=None if times is None else times.user + times.system,
            )
    except (psutil.NoSuchProcess, OverflowError, ValueError):
        return None


def process_memory(pid: int | None = None) -> int | None:
    """Resident memory in bytes of a process, by default this one; None if it is not known."""
    found = process(os.getpid() if pid is None else pid)
    return found.memory_bytes if found else None


def _allowed(question: Callable[[], Any]) -> Any:
    """The answer, or None where the operating system keeps it from this user."""
    import psutil

    try:
        return question()
    except (psutil.AccessDenied, OSError):
        return None


def _cpu_times(times: Any) -> CpuTimes:
    """What psutil counted of one core, or of all. Linux contains a guest's time in the user's already."""
    counted = times._asdict()
    idle = counted["idle"] + counted.get("iowait", 0.0)
    return CpuTimes(idle, sum(counted.values()) - counted.get("guest", 0.0) - counted.get("guest_nice", 0.0))


def _load(before: CpuTimes, after: CpuTimes) -> float:
    everything = after.everything - before.everything
    return min(1.0, max(0.0, 1 - (after.idle - before.idle) / everything)) if everything > 0 else 0.0


def _command(pid: int) -> str | None:
    import psutil

    try:
        command = " ".join(psutil.Process(pid).cmdline()).strip()
    except psutil.Error:
        return None
    return os.fsencode(command).decode(errors="replace") or None


def _text(value: str | bytes | None) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else value
