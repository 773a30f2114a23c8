"""Pictures of Presets, Generate, Compare and Machine in three sizes, from recorded data at a frozen hour; see
test_snapshots.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from lmcore.telemetry import Cpu, Gpu, GpuProcess, GpuReport, Process
from tests.tui.recorded import EPOCH, finish, record, train, training
from tests.tui.scenes import FAKE_ENGINE, MEMORY, empty_checkpoint, until
from tests.tui.test_snapshots import SIZES, Clock
from tui.app import LmApp
from tui.engine.client import Engine
from tui.session.messages import TelemetryChanged
from tui.session.telemetry import Snapshot
from tui.watch import run_list

GIB = 2**30
PROCESSES = (GpuProcess(77, "x", 5 * GIB), GpuProcess(1187, "python", 7 * GIB))
CARDS = (
    Gpu(0, "NVIDIA GeForce RTX 4090 D", 61, 287.0, 425.0, 0.87, 12 * GIB, 24 * GIB, PROCESSES),
    Gpu(1, "NVIDIA GeForce RTX 4090 D", None, None, 425.0, None, GIB, 24 * GIB),
)
CPU = Cpu(0.55, (0.8, 0.3), 9 * GIB, 32 * GIB)
NO_DRIVER = GpuReport(reason="There is no NVIDIA driver on this machine: NVML Shared Library Not Found.")

sizes = pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LmApp:
    root = tmp_path / "runs"
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record(root, "alpha", [*training(), finish(1000)])
    beta = [*training(700), train(700, memory=MEMORY, memory_bytes=4 * GIB), finish(700)]
    record(root, "beta", beta, settings={"model.n_layer": 1, "optimizer.name": "adam"})
    clock = Clock(EPOCH + 3600)
    monkeypatch.setattr(run_list, "time", clock)
    monkeypatch.setattr("tui.app.time", clock)
    monkeypatch.setattr(LmApp, "watch_machine", lambda self: None)
    for screen in ("presets", "generate"):
        monkeypatch.setattr(f"tui.{screen}.screen.Engine", lambda say: Engine(say, FAKE_ENGINE))
    app = LmApp(root=root)
    app.session.selected = "beta"
    return app


def reading(gpus: GpuReport, second: int) -> TelemetryChanged:
    load = (second * 7 % 10) / 10
    cards = tuple(
        card if card.utilization is None else Gpu(**{**vars(card), "utilization": load}) for card in gpus.gpus
    )
    return TelemetryChanged(
        Snapshot(EPOCH + second, GpuReport(cards, gpus.reason), CPU, {"beta": Process(77, 5 * GIB, 9, second / 2)})
    )


@sizes
def test_presets(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        screen: Any = app.screen
        app.post_message(reading(NO_DRIVER, 0))
        await until(pilot, lambda: screen.draft and screen.plan.parameters and screen.plan.memory)
        await pilot.pause()

    app.session.settings.mode, app.session.settings.preset = "presets", "exp12"
    assert snap_compare(app, terminal_size=size, run_before=act)


@sizes
def test_generate(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        screen: Any = app.screen
        await until(pilot, lambda: len(screen.text_panels) == 2)
        screen.query_one(Input).value = "Harry looked at the door "
        await pilot.press("enter")
        await until(pilot, lambda: all(panel.column.state == "done" for panel in screen.text_panels))
        await pilot.press("escape", "right", "right", "right")
        await pilot.pause()

    for run in app.session.watcher.root.iterdir():
        empty_checkpoint(app.session.watcher.run(run.name), 600)
    app.session.settings.mode, app.session.settings.sources = "generate", ["alpha:best", "beta:best"]
    assert snap_compare(app, terminal_size=size, run_before=act)


@sizes
def test_compare(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        screen: Any = app.screen
        await until(
            pilot,
            lambda: (
                len(screen.query_one("#runs-table").rows) == 2
                and all(name in app.session.data for name in ("alpha", "beta"))
            ),
        )
        await asyncio.sleep(0.6)
        await pilot.pause()

    app.session.settings.mode, app.session.settings.overlay = "compare", ["alpha", "beta"]
    assert snap_compare(app, terminal_size=size, run_before=act)


async def read_machine(pilot: Pilot[Any], gpus: GpuReport) -> None:
    """Some seconds of readings, once the run has been read."""
    app: Any = pilot.app
    await until(pilot, lambda: "beta" in app.session.data and app.session.data["beta"].last_train and app.screen.memory)
    for second in range(20):
        app.post_message(reading(gpus, second))
    await pilot.pause()
    await asyncio.sleep(0.2)
    await pilot.pause()


@sizes
def test_machine(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    app.session.settings.mode = "machine"
    assert snap_compare(app, terminal_size=size, run_before=lambda pilot: read_machine(pilot, GpuReport(CARDS)))


def test_machine_without_a_driver_in_ascii(
    app: LmApp, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_ASCII", "1")
    app.session.settings.mode = "machine"
    assert snap_compare(app, terminal_size=(120, 40), run_before=lambda pilot: read_machine(pilot, NO_DRIVER))
