"""Pictures of the screens in three sizes, from recorded runs at a frozen hour: a change that nobody meant shows here.

`pytest --snapshot-update` takes them anew; look at the report before committing them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.tui.recorded import EPOCH, finish, record, training
from tui.app import LmApp
from tui.watch import run_list
from tui.widgets.chart_view import ChartView

SIZES = ((80, 24), (120, 40), (200, 60))
pytestmark = pytest.mark.slow


class Clock:
    """The time module at one moment, for those who ask what time it is."""

    def __init__(self, now: float) -> None:
        self._now = now

    def time(self) -> float:
        return self._now

    def strftime(self, pattern: str) -> str:
        return time.strftime(pattern, time.gmtime(self._now))

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LmApp:
    root = tmp_path / "runs"
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record(root, "exp12", [*training(), finish(1000)])
    record(root, "exp6", [*training(700), finish(700)], settings={"model.n_layer": 1})
    record(root, "novel-1", training(430), settings={"model.architecture": "lstm", "optimizer.name": "sgd"})
    clock = Clock(EPOCH + 3600)
    monkeypatch.setattr(run_list, "time", clock)
    monkeypatch.setattr("tui.app.time", clock)
    monkeypatch.setattr(LmApp, "watch_machine", lambda self: None)
    return LmApp(root=root, run="exp12")


async def settled(pilot: Pilot[Any]) -> None:
    """Wait until the chosen runs have been read and drawn."""
    app: Any = pilot.app
    for _ in range(500):
        await asyncio.sleep(0.02)
        if app.session.rows and all(
            name in app.session.data and len(app.session.data[name].train) for name in app.screen.slots()
        ):
            break
    await asyncio.sleep(0.6)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_watch(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    assert snap_compare(app, terminal_size=size, run_before=settled)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_watch_with_overlay_and_cursor(app: LmApp, size: tuple[int, int], snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        app.session.settings.overlay = ["exp12", "exp6", "novel-1"]
        await settled(pilot)
        app.screen.refresh_chart()  # type: ignore[attr-defined]
        await settled(pilot)
        app.screen.show_panel(1)  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.press("left", "left", "left")
        await pilot.pause()
        assert app.screen.query_one(ChartView).drawing is not None

    assert snap_compare(app, terminal_size=size, run_before=act)


def test_watch_light(app: LmApp, snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("t")

    assert snap_compare(app, terminal_size=(120, 40), run_before=act)


def test_watch_in_ascii(app: LmApp, snap_compare: Callable[..., bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_ASCII", "1")
    assert snap_compare(app, terminal_size=(120, 40), run_before=settled)


def test_help(app: LmApp, snap_compare: Callable[..., bool]) -> None:
    async def act(pilot: Pilot[Any]) -> None:
        await settled(pilot)
        await pilot.press("question_mark")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(120, 40), run_before=act)
