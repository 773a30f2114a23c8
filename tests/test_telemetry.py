"""The GPU panel's figures from recorded NVML answers: two cards, processes, errors, no driver; and this machine's own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest

from lmcore import telemetry
from lmcore.telemetry import CpuMonitor, GpuMonitor, GpuProcess, GpuReport

GIB = 2**30


class Recorded:
    """Answers as nvidia-ml-py gives them: plain values, structs, or an error of its own kinds."""

    NVMLError = pynvml.NVMLError
    NVML_TEMPERATURE_GPU = pynvml.NVML_TEMPERATURE_GPU

    def __init__(self, cards: list[dict[str, Any]], **answers: Any) -> None:
        self.cards = cards
        self.answers = answers
        self.inits = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.inits += 1
        self._answer("nvmlInit", None)

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self._answer("nvmlDeviceGetCount", len(self.cards))

    def _answer(self, name: str, default: Any = None) -> Any:
        answer = self.answers.get(name, default)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __getattr__(self, name: str) -> Any:
        def function(*arguments: Any) -> Any:
            if name == "nvmlDeviceGetHandleByIndex":
                answer = self.cards[arguments[0]].get(name, self.cards[arguments[0]])
            elif arguments and isinstance(arguments[0], dict):
                answer = arguments[0].get(name, not_supported())
            else:
                answer = self.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return function


def not_supported() -> pynvml.NVMLError:
    return pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def lost() -> pynvml.NVMLError:
    return pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)


def on_card(pid: int, memory: int | None) -> SimpleNamespace:
    return SimpleNamespace(pid=pid, usedGpuMemory=memory)


def card(**changes: Any) -> dict[str, Any]:
    return {
        "nvmlDeviceGetName": "NVIDIA GeForce RTX 4090 D",
        "nvmlDeviceGetTemperature": 61,
        "nvmlDeviceGetPowerUsage": 287_123,
        "nvmlDeviceGetEnforcedPowerLimit": 425_000,
        "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=87, memory=40),
        "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=24 * GIB, used=10 * GIB, free=14 * GIB),
        "nvmlDeviceGetComputeRunningProcesses": [],
        "nvmlDeviceGetGraphicsRunningProcesses": [],
    } | changes


def test_two_cards_with_processes() -> None:
    first = card(
        nvmlDeviceGetComputeRunningProcesses=[on_card(999_999_998, 3 * GIB), on_card(os.getpid(), 4 * GIB)],
        nvmlDeviceGetGraphicsRunningProcesses=[on_card(os.getpid(), 4 * GIB), on_card(999_999_999, None)],
    )
    second = card(nvmlDeviceGetName=b"NVIDIA A100-SXM4-40GB", nvmlDeviceGetUtilizationRates=not_supported())
    report = GpuMonitor(Recorded([first, second], nvmlSystemGetProcessName="python")).read()
    assert report.reason == ""
    one, two = report.gpus
    assert (one.index, one.name, one.temperature_celsius) == (0, "NVIDIA GeForce RTX 4090 D", 61)
    assert (one.power_watts, one.power_limit_watts, one.utilization) == (287.123, 425.0, 0.87)
    assert (one.memory_used_bytes, one.memory_total_bytes) == (10 * GIB, 24 * GIB)
    assert [(process.pid, process.memory_bytes) for process in one.processes] == [
        (os.getpid(), 4 * GIB),
        (999_999_998, 3 * GIB),
        (999_999_999, None),
    ]
    assert "pytest" in (one.processes[0].name or "")
    assert one.processes[1] == GpuProcess(999_999_998, "python", 3 * GIB)
    assert (two.index, two.name, two.utilization, two.temperature_celsius) == (1, "NVIDIA A100-SXM4-40GB", None, 61)


@pytest.mark.parametrize("question", sorted(card()))
def test_each_value_that_the_driver_cannot_say_is_none_and_the_rest_is_there(question: str) -> None:
    whole, partial = (
        GpuMonitor(Recorded([given])).read().gpus[0] for given in (card(), card(**{question: not_supported()}))
    )
    differing = [name for name in vars(whole) if getattr(whole, name) != getattr(partial, name)]
    if "Processes" in question:
        assert partial.processes == ()
    else:
        assert differing
        assert all(getattr(partial, name) is None for name in differing)


def test_a_lost_card_beside_a_good_one_keeps_its_line() -> None:
    report = GpuMonitor(Recorded([card(nvmlDeviceGetHandleByIndex=lost()), card()])).read()
    assert report.gpus[0] == telemetry.Gpu(0)
    assert report.gpus[1].temperature_celsius == 61


def test_no_driver_is_a_reason_and_is_not_asked_for_at_every_look() -> None:
    backend = Recorded([], nvmlInit=pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND))
    monitor = GpuMonitor(backend)
    assert [monitor.read() for _ in range(3)] == [
        GpuReport(reason="There is no NVIDIA driver on this machine: NVML Shared Library Not Found.")
    ] * 3
    assert backend.inits == 1


def test_no_package_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert "nvidia-ml-py is not installed" in GpuMonitor().read().reason


def test_no_card_is_a_reason() -> None:
    assert "no card" in GpuMonitor(Recorded([])).read().reason


def test_a_lost_driver_is_said_and_found_again() -> None:
    backend = Recorded([card()])
    monitor = GpuMonitor(backend, retry_seconds=0)
    assert len(monitor.read().gpus) == 1
    assert len(monitor.read().gpus) == 1
    assert backend.inits == 1
    backend.answers["nvmlDeviceGetCount"] = pynvml.NVMLError(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)
    report = monitor.read()
    assert report.gpus == ()
    assert "does not answer" in report.reason
    del backend.answers["nvmlDeviceGetCount"]
    assert len(monitor.read().gpus) == 1
    assert backend.inits == 2


def test_a_name_that_is_no_text_is_none() -> None:
    broken = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    given = card(nvmlDeviceGetComputeRunningProcesses=[on_card(999_999_999, 1)])
    report = GpuMonitor(Recorded([given], nvmlSystemGetProcessName=broken)).read()
    assert report.gpus[0].processes == (GpuProcess(999_999_999, None, 1),)


def test_this_machine_answers_without_raising() -> None:
    report = telemetry.gpus()
    assert bool(report.gpus) != bool(report.reason)
    telemetry.cpu()
    sum(range(10**6))
    now = telemetry.cpu()
    assert now.memory_total_bytes is not None
    assert now.memory_total_bytes > 2**28


def test_load_is_the_busy_share_between_two_looks(tmp_path: Path) -> None:
    monitor = CpuMonitor(tmp_path)
    # user nice system idle iowait irq softirq steal guest guest_nice
    (tmp_path / "stat").write_text(
        "cpu  100 0 0 100 0 0 0 0 50 0\ncpu0 100 0 0 0 0 0 0 0 50 0\ncpu1 0 0 0 100 0 0 0 0 0 0\nintr 1\n"
    )
    (tmp_path / "meminfo").write_text("MemTotal:       1000 kB\nMemFree: 100 kB\nMemAvailable:    400 kB\n")
    first = monitor.read()
    assert (first.load, first.load_per_core) == (None, ())
    assert (first.memory_used_bytes, first.memory_total_bytes) == (600 * 1024, 1000 * 1024)
    (tmp_path / "stat").write_text(
        "cpu  160 0 0 120 20 0 0 0 90 0\ncpu0 150 0 0 0 0 0 0 0 90 0\ncpu1 10 0 0 120 20 0 0 0 0 0\nintr 1\n"
    )
    second = monitor.read()
    assert second.load == pytest.approx(0.6)
    assert second.load_per_core == pytest.approx((1.0, 0.2))


def test_without_proc_the_rest_is_none(tmp_path: Path) -> None:
    now = CpuMonitor(tmp_path).read()
    assert (now.load, now.load_per_core, now.memory_used_bytes) == (None, (), None)
    assert telemetry.process(1, tmp_path) is None
    own = telemetry.process(os.getpid(), tmp_path)
    assert own is not None
    assert own.memory_bytes is not None
    assert own.memory_bytes > 2**20


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_a_process_by_its_pid() -> None:
    before = telemetry.process_memory()
    ballast = bytearray(b"x" * 2**26)
    after = telemetry.process_memory(os.getpid())
    assert before is not None
    assert after is not None
    assert after - before > 0.8 * len(ballast)
    own = telemetry.process(os.getpid())
    assert own is not None
    assert own.threads is not None
    assert own.threads >= threading.active_count()
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert telemetry.process(child.pid) is None
    assert telemetry.process_memory(child.pid) is None
