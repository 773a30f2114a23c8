"""The Watch screen as a person uses it, against recorded runs and one that another thread writes."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from textual.app import ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot
from textual.widgets import Input, Static

from lmcore.runs import ControlReader, Run, identity
from tests.tui.recorded import evaluation, record, record_all, sample, scoring, start, train, training
from tui.app import LmApp
from tui.settings import load_settings
from tui.watch import screen as screen_module
from tui.watch.run_list import RunList, arrange
from tui.watch.screen import WatchScreen
from tui.watch.view import RunPanel, RunView
from tui.watcher import RunRow
from tui.widgets.action_bar import ActionBar
from tui.widgets.chart_panel import ChartPanel
from tui.widgets.chart_view import ChartView
from tui.widgets.dialogs import AskName, Confirm
from tui.widgets.header import Status


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record_all(tmp_path / "runs")
    return tmp_path / "runs"


async def until(pilot: Pilot[Any], condition: Callable[[], object], seconds: float = 15.0) -> None:
    """Let the app work until something is so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


@asynccontextmanager
async def watching(
    root: Path, run: str | None = None, size: tuple[int, int] = (150, 42)
) -> AsyncIterator[tuple[LmApp, WatchScreen, Pilot[Any]]]:
    """An open app whose list is there and whose selected run has been read."""
    app = LmApp(root=root, run=run)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.session.rows and app.session.selected in app.session.data)
        screen = app.screen
        assert isinstance(screen, WatchScreen)
        events = root / str(app.session.selected) / "events.jsonl"
        recorded = events.exists() and '"kind": "train"' in events.read_text(errors="replace")
        await until(pilot, lambda: is_drawn(screen, curve=recorded))
        await pilot.pause()
        yield app, screen, pilot


def is_drawn(screen: WatchScreen, *, curve: bool) -> bool:
    """Whether the chart is drawn, and a curve in it: without one its x-axis ends at 1."""
    drawing = screen.chart.query_one(ChartView).drawing
    return drawing is not None and (drawing.x_high > 1 or not curve)


def text_of(widget: Any) -> str:
    """What a widget shows, as plain text."""
    return "\n".join("".join(segment.text for segment in widget.render_line(y)) for y in range(widget.size.height))


async def shows(screen: WatchScreen, pilot: Pilot[Any], text: str) -> None:
    """Wait until the facts show a text."""
    await until(pilot, lambda: text in text_of(screen.query_one("#facts")))


def titles(screen: WatchScreen) -> str:
    return str(screen.chart.border_title)


async def test_the_list_shows_every_run_with_its_state_and_its_best_perplexity(root: Path) -> None:
    async with watching(root) as (app, screen, _):
        shown = text_of(screen.runs)
        for name, state in {
            "whole": "✓ finished",
            "killed": "✗ crashed",
            "torn": "■ stopped",
            "alive": "▶ 30%",
            "empty": "· created",
        }.items():
            line = next(line for line in shown.splitlines() if line[2:].startswith(name))
            assert state in line
        assert "7 runs · 1 training" in text_of(screen.query_one(Status))
        assert len(app.session.rows) == 7


@pytest.mark.parametrize("name", ["whole", "killed", "nan", "torn", "later-version", "empty", "alive"])
async def test_it_opens_on_any_run_with_curve_facts_and_samples(root: Path, name: str) -> None:
    async with watching(root, run=name) as (_app, screen, pilot):
        await until(pilot, lambda: name in str(screen.query_one("#facts-panel").border_title))
        assert screen.runs.current == name
        assert not screen.query(".-failed")
        await until(pilot, lambda: ("no data yet" in text_of(screen.query_one(ChartView))) == (name == "empty"))
        curve = text_of(screen.query_one(ChartView))
        if name == "whole":
            facts = text_of(screen.query_one("#facts"))
            assert "step 1,000/1,000" in facts
            assert "59.6M" in facts
            assert "at step 1000" in text_of(screen.query_one("#samples")).replace("\n", " ")
            assert "★" in curve
            assert "▾" in curve


async def test_the_footer_offers_what_the_selected_run_can_do(root: Path) -> None:
    async with watching(root, run="alive") as (_, screen, pilot):
        await until(pilot, lambda: "p pause" in text_of(screen.query_one(ActionBar)))
        assert "u resume" not in text_of(screen.query_one(ActionBar))
        Run(root / "alive").events.write("heartbeat", step=300, paused=True, memory_bytes=1)
        await until(pilot, lambda: "u resume" in text_of(screen.query_one(ActionBar)))
        assert "p pause" not in text_of(screen.query_one(ActionBar))
        screen.runs.move_to([row.name for row in screen.runs.rows].index("whole"))
        await until(pilot, lambda: "s stop" not in text_of(screen.query_one(ActionBar)))


async def test_the_status_leaves_out_what_does_not_fit(root: Path) -> None:
    async with LmApp(root=root).run_test(size=(80, 24)) as pilot:
        status = pilot.app.screen.query_one(Status)
        status.show(["7 runs", "1 training", "cpu 100%", "12:00"])
        await pilot.pause()
        assert text_of(status).strip() == "7 runs · 1 training"


async def test_up_and_down_choose_the_run_and_the_panels_follow(root: Path) -> None:
    async with watching(root) as (app, screen, pilot):
        first = app.session.selected
        await pilot.press("down")
        await pilot.pause()
        assert app.session.selected != first
        assert str(screen.query_one("#facts-panel").border_title) == app.session.selected
        await pilot.press("end")
        await pilot.pause()
        assert app.session.selected == screen.runs.rows[-1].name
        await pilot.press("home", "k")
        await pilot.pause()
        assert app.session.selected == screen.runs.rows[0].name


async def test_space_overlays_runs_with_markers_of_their_own_and_enter_shows_one_alone(root: Path) -> None:
    async with watching(root, run="whole") as (app, screen, pilot):
        await pilot.press("space", "down", "space", "down")
        await until(pilot, lambda: len(screen.chart.slots) == 3 and set(screen.chart.slots) <= set(app.session.data))
        await pilot.pause()
        assert len(set(screen.chart.slots.values())) == 3
        assert text_of(screen.query_one("#legend")).count("●") >= 1
        legend = text_of(screen.query_one("#legend"))
        assert all(name in legend for name in screen.chart.slots)
        await pilot.press("enter")
        assert list(screen.chart.slots) == [app.session.selected]


async def test_x_cycles_the_axis_and_y_the_scale(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        chart = screen.query_one(ChartView)
        for axis, end in (("epoch", "epoch"), ("tokens", "tokens"), ("time", "time"), ("step", "step")):
            await pilot.press("x")
            await pilot.pause()
            assert f"x: {axis}" in titles(screen)
            assert text_of(chart).rstrip().endswith(end)
        assert "log y" in titles(screen)
        await pilot.press("y")
        assert "linear y" in titles(screen)


async def test_m_cycles_the_smoothing_and_the_raw_curve_stays_as_a_ghost(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        assert any(series.ghost for series in screen.chart._plot.series)
        seen = []
        for _ in range(4):
            await pilot.press("m")
            seen.append(titles(screen).split("·")[-1].strip())
        assert seen == ["smooth 0.9", "smooth 0.97", "not smoothed", "smooth 0.6"]


async def test_v_cycles_through_every_curve(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        seen = set()
        for _ in range(6):
            await pilot.press("v")
            await pilot.pause()
            seen.add(titles(screen).split(" ──")[0])
            assert "no data yet" not in text_of(screen.query_one(ChartView))
        assert seen == {
            "Perplexity",
            "Loss",
            "Learning rate",
            "Gradient norm",
            "Tokens per second",
            "Next-token accuracy",
        }


async def test_the_cursor_reads_values_and_scrubs_the_samples(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        screen.action_cursor(-40)
        await pilot.pause()
        step = screen.chart.cursor_step
        assert step is not None
        assert 100 < step < 1000
        assert f"step {step:,}" in str(screen.chart.border_subtitle)
        assert "val " in str(screen.chart.border_subtitle)
        shown = step // 100 * 100
        assert f"step {shown:,}" in str(screen.query_one("#samples-panel").border_title)
        assert f"as it was at step {shown}." in text_of(screen.query_one("#samples")).replace("\n", " ")
        await pilot.press("left")
        assert (screen.chart.cursor_step or 0) < step
        await pilot.press("x")
        assert abs((screen.chart.cursor_step or 0) - step) < 20
        await pilot.press("escape")
        assert screen.chart.cursor_step is None


async def test_zoom_and_pan_change_what_is_seen_and_zero_shows_all(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        view = screen.query_one(ChartView)

        def span() -> tuple[float, float]:
            drawing = view.drawing
            assert drawing is not None
            return drawing.x_low, drawing.x_high

        whole = span()
        await pilot.press("plus")
        await pilot.pause()
        near = span()
        assert near[1] - near[0] == pytest.approx((whole[1] - whole[0]) / 2)
        await pilot.press("less_than_sign")
        await pilot.pause()
        assert span()[0] < near[0]
        await pilot.press("greater_than_sign", "minus")
        await pilot.press("0")
        await pilot.pause()
        assert span() == whole


async def test_a_click_puts_the_cursor_and_the_wheel_zooms(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, pilot):
        view = screen.query_one(ChartView)
        await pilot.click(ChartView, offset=(view.size.width // 2, 5))
        await pilot.pause()
        assert screen.chart.cursor_step == pytest.approx(500, abs=60)
        view.post_message(MouseScrollUp(view, 40, 5, 0, -1, 0, False, False, False))
        await pilot.pause()
        assert screen.chart.viewport.window is not None


async def test_slash_filters_while_typing_and_escape_shows_all_again(root: Path) -> None:
    async with watching(root) as (_, screen, pilot):
        await pilot.press("slash", *"crashed")
        await pilot.pause()
        assert {row.name for row in screen.runs.rows} == {"killed", "nan"}
        await pilot.press("enter", "down")
        assert screen.focused is screen.runs
        await pilot.press("slash", "escape")
        await pilot.pause()
        assert len(screen.runs.rows) == 7


async def test_o_sorts_by_each_column_and_shift_o_turns_the_order(root: Path) -> None:
    async with watching(root) as (app, screen, pilot):
        app.session.settings.sort = "corpus"
        await pilot.press("o")
        assert app.session.settings.sort == "name"
        names = [row.name for row in screen.runs.rows]
        assert names == sorted(names)
        await pilot.press("O")
        assert [row.name for row in screen.runs.rows] == names[::-1]


async def test_a_click_on_a_title_sorts_and_on_a_row_selects(root: Path) -> None:
    async with watching(root) as (app, screen, pilot):
        await pilot.click(RunList, offset=(3, 0))
        assert app.session.settings.sort == "name"
        await pilot.click(RunList, offset=(6, 3))
        await pilot.pause()
        assert app.session.selected == screen.runs.rows[2].name
        await pilot.click(RunList, offset=(0, 3))
        assert app.session.settings.overlay == [app.session.selected]


async def test_a_request_is_shown_as_requested_until_the_run_answers(root: Path) -> None:
    async with watching(root, run="alive") as (_app, screen, pilot):
        run = Run(root / "alive")
        for key, action in (("p", "pause"), ("u", "resume"), ("c", "checkpoint"), ("s", "stop")):
            reader = ControlReader(run.control_path)
            await pilot.press(key)
            (asked,) = reader.poll()
            assert asked["action"] == action
            await pilot.pause()
            assert f"{action}: requested" in text_of(screen.query_one("#facts"))
            assert f"{action}…" in text_of(screen.runs)
            run.events.write("control", id=asked["id"], action=action, state="acknowledged", note="")
            await shows(screen, pilot, f"{action}: acknowledged")
            run.events.write("control", id=asked["id"], action=action, state="done", note="")
            await shows(screen, pilot, f"{action}: done")
            assert f"{action}…" not in text_of(screen.runs)
        run.events.close()


async def test_a_request_to_a_run_that_ended_is_refused_with_a_reason(root: Path) -> None:
    async with watching(root, run="whole") as (app, _, pilot):
        await pilot.press("p")
        await pilot.pause()
        assert any("is not training" in notification.message for notification in app._notifications)
        assert not (root / "whole" / "control.jsonl").exists()


async def test_deleting_asks_first_and_no_is_the_default(root: Path) -> None:
    async with watching(root, run="killed") as (app, _, pilot):
        await pilot.press("D")
        await pilot.pause()
        assert isinstance(app.screen, Confirm)
        await pilot.press("enter")
        await pilot.pause()
        assert (root / "killed").is_dir()
        await pilot.press("D", "y")
        await until(
            pilot, lambda: not (root / "killed").exists() and all(row.name != "killed" for row in app.session.rows)
        )
        assert app.session.selected != "killed"


async def test_a_running_run_is_not_deleted(root: Path) -> None:
    async with watching(root, run="alive") as (app, screen, pilot):
        await pilot.press("D")
        await pilot.pause()
        assert app.screen is screen
        assert (root / "alive").is_dir()


async def test_renaming_refuses_what_is_no_name_and_moves_the_run(root: Path) -> None:
    async with watching(root, run="torn") as (app, screen, pilot):
        await pilot.press("N")
        await pilot.pause()
        assert isinstance(app.screen, AskName)
        app.screen.query_one(Input).value = "a b"
        await pilot.press("enter")
        await pilot.pause()
        assert isinstance(app.screen, AskName)
        app.screen.query_one(Input).value = "mended"
        await pilot.press("enter")
        await until(pilot, lambda: any(row.name == "mended" for row in app.session.rows))
        await until(pilot, lambda: screen.runs.current == "mended")
        assert (root / "mended").is_dir()


async def test_a_live_run_moves_on_the_screen_while_it_is_written(root: Path) -> None:
    run = record(root, "live", [start(**identity()), train(10)])
    stop = threading.Event()

    def write() -> None:
        for step in range(20, 400, 10):
            for event in (train(step), *([evaluation(step, 4.0), sample(step, " live")] if step % 100 == 0 else [])):
                fields = {key: value for key, value in event.items() if key not in ("kind", "time")}
                run.events.write(event["kind"], **fields)
            if stop.wait(0.01):
                break

    async with watching(root, run="live") as (app, screen, pilot):
        view = screen.query_one(ChartView)
        redraws, writer = view.redraws, threading.Thread(target=write)
        writer.start()
        try:
            await until(pilot, lambda: len(app.session.data["live"].train) == 39)
            await until(pilot, lambda: "step 390" in text_of(screen.query_one("#facts")))
        finally:
            stop.set()
            writer.join()
        assert "step 300" in str(screen.query_one("#samples-panel").border_title)
        # Forty writes in half a second are few redraws: bursts coalesce.
        assert 1 <= view.redraws - redraws <= 12
        run.events.close()


async def test_nothing_is_drawn_while_nothing_happens(root: Path) -> None:
    async with watching(root, run="whole") as (_, screen, _pilot):
        await asyncio.sleep(1.2)
        redraws = screen.query_one(ChartView).redraws
        await asyncio.sleep(1.5)
        assert screen.query_one(ChartView).redraws == redraws


async def test_the_end_of_a_run_makes_a_toast_and_a_mark(root: Path) -> None:
    run = record(root, "ending", [start(**identity()), *training(100)[1:]])
    run.events.write("heartbeat", step=100, paused=False, memory_bytes=1)
    async with watching(root, run="ending") as (app, screen, pilot):
        run.events.write("warning", step=100, what="overfit", message="Validation rises.")
        await until(pilot, lambda: any("Validation rises" in n.message for n in app._notifications))
        await until(pilot, lambda: "overfit" in text_of(screen.runs))
        run.events.write("finish", step=100, why="done", message="", summary={})
        run.events.close()
        await until(pilot, lambda: any("ending finished" in n.message for n in app._notifications))


async def test_an_exception_in_a_panel_shows_there_and_in_the_log_and_the_rest_lives_on(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(root, run="whole") as (app, screen, pilot):
        monkeypatch.setattr(ChartPanel, "_series", lambda *_: 1 / 0)
        await pilot.press("x")
        await pilot.pause()
        panel = screen.chart
        assert panel.has_class("-failed")
        assert "ZeroDivisionError" in text_of(panel.query_one(".panel-error"))
        assert "ZeroDivisionError" in (tmp_path / "state" / "tui.log").read_text()
        await pilot.press("down")
        await pilot.pause()
        assert str(screen.query_one("#facts-panel").border_title) == app.session.selected
        monkeypatch.undo()
        await pilot.press("x")
        await pilot.pause()
        assert not panel.has_class("-failed")


async def test_an_exception_while_drawing_or_in_a_handler_stays_in_its_panel(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with watching(root, run="whole") as (app, screen, pilot):
        monkeypatch.setattr(ChartView, "render_line", lambda *_: 1 / 0)
        screen.query_one(ChartView).refresh()
        await until(pilot, lambda: screen.chart.has_class("-failed"))
        monkeypatch.setattr(RunList, "on_click", lambda *_: 1 / 0)
        await pilot.click(RunList, offset=(5, 2))
        await until(pilot, lambda: screen.query_one("#runs").has_class("-failed"))
        assert app.is_running


async def test_warnings_of_the_run_are_shown_every_substitution_and_the_newest_other(root: Path) -> None:
    def warning(step: int, what: str, message: str) -> dict[str, Any]:
        return {"kind": "warning", "time": 1.0, "step": step, "what": what, "message": message}

    replaced = "The tokenizer gpt1 could not be downloaded; a BPE trained on the corpus is used instead."
    events = [
        start(),
        warning(0, "substitution", replaced),
        train(10),
        warning(10, "plateau", "The loss has not decreased."),
        warning(20, "overfit", "Validation loss rises."),
        train(30),
    ]
    record(root, "replaced", events)
    async with watching(root, run="replaced", size=(200, 60)) as (_, screen, pilot):
        await until(pilot, lambda: "Validation loss rises." in text_of(screen.query_one("#facts")))
        facts = " ".join(text_of(screen.query_one("#facts")).split())
        assert replaced in facts
        assert "The loss has not decreased." not in facts


class StepPanel(RunPanel):
    """A panel as one file would add it."""

    TITLE = "Step"

    def compose_panel(self) -> ComposeResult:
        yield Static(id="steps")

    def show(self, view: RunView) -> None:
        if view.data is not None:
            self.query_one("#steps", Static).update(f"at {view.cursor_step or view.data.last_train.get('step')}")


async def test_a_new_panel_is_its_class_and_a_line_of_the_screen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    panels = screen_module.run_panels
    monkeypatch.setattr(screen_module, "run_panels", lambda: [*panels(), StepPanel(id="step-panel")])
    app = LmApp(root=root, run="whole")
    async with app.run_test(size=(80, 24)) as pilot:
        screen: Any = app.screen
        await until(pilot, lambda: screen.ready and "whole" in app.session.data)
        assert [panel.TITLE for panel in screen.panels][-1] == "Step"
        screen.show_panel(5)
        await until(pilot, lambda: "at 1000" in text_of(screen.query_one("#steps")))
        screen.chart.set_cursor(app.session.data["whole"].x_of_step(500, screen.chart.x_kind))
        await until(pilot, lambda: "at 500" in text_of(screen.query_one("#steps")))


async def test_terminal_codes_in_names_and_samples_are_harmless(root: Path) -> None:
    record(
        root,
        "evil",
        [start(), train(10), sample(10, "\x1b]0;owned\x07 \x1b[31mred")],
        settings={"data.corpus": "a\x1b[2Jb"},
    )
    async with watching(root, run="evil", size=(200, 50)) as (_, screen, pilot):
        await until(pilot, lambda: "owned" in text_of(screen.query_one("#samples")))
        everything = text_of(screen.query_one("#samples")) + text_of(screen.runs) + text_of(screen.query_one("#facts"))
        assert "\x1b" not in everything
        assert "\x07" not in everything
        assert "␛" in everything


async def test_selection_axes_theme_and_layout_survive_a_restart(root: Path) -> None:
    async with watching(root, run="nan") as (app, _, pilot):
        await pilot.press("space", "x", "t", "l", "m")
        assert app.theme == "lm-light"
    saved = load_settings()
    assert (saved.run, saved.overlay, saved.x_axis, saved.theme, saved.layout, saved.smoothing) == (
        "nan",
        ["nan"],
        "epoch",
        "lm-light",
        "wide",
        0.9,
    )
    async with watching(root) as (app, screen, _):
        assert app.session.selected == "nan"
        assert app.theme == "lm-light"
        assert screen.has_class("-wide")
        assert "x: epoch" in titles(screen)


async def test_a_directory_without_runs_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    app = LmApp(root=tmp_path / "none")
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: "No runs yet" in text_of(app.screen.query_one("#facts")))
        await pilot.press("p", "D", "N", "space", "left", "x", "g")
        await pilot.pause()
        assert app.is_running
        record(tmp_path / "none", "first", [start(**identity()), train(10)])
        await pilot.press("1")
        await until(pilot, lambda: app.session.selected == "first")


@pytest.mark.parametrize("size", [(100, 28), (150, 42), (200, 60)])
async def test_a_scoring_shows_how_far_it_is_and_its_own_time_left(root: Path, size: tuple[int, int]) -> None:
    now = time.time()
    events = [train(500), train(1000, seconds_left=700.0, time=now), scoring(1000, "test", 428, time=now)]
    record(root, "last", [start(**identity()), *events])
    async with watching(root, "last", size) as (_, screen, pilot):
        facts = text_of(screen.query_one("#facts"))
        assert "scoring final test 42%" in facts
        assert "ETA 4m 46s" in facts
        assert "test 42%" in text_of(screen.runs)
        assert "100%" not in text_of(screen.runs)
        # The next split, then the end: what a heartbeat said is not shown when it is over.
        append(root / "last", {**evaluation(1000, 3.0), "split": "test", "final": True, "time": now + 1})
        await until(pilot, lambda: "scoring" not in text_of(screen.query_one("#facts")))


async def test_the_time_left_is_the_runs_own_which_knows_of_evaluations(root: Path) -> None:
    record(root, "long", [start(**identity()), train(10), train(20, seconds_left=7320.0, time=time.time())])
    async with watching(root, "long") as (_, screen, _):
        assert "ETA 2h 02m" in text_of(screen.query_one("#facts"))


async def test_a_diagnosis_names_only_settings_that_have_an_effect_in_the_run(root: Path) -> None:
    flat = [start(), *(train(step, loss=7.3) for step in range(10, 610, 10))]
    for name, settings in (
        ("flat-lstm", {"model.architecture": "lstm"}),
        ("flat-gpt", {"model.norm_position": "post"}),
    ):
        record(root, name, flat, settings=settings)
        async with watching(root, name, (200, 60)) as (_, screen, pilot):
            await shows(screen, pilot, "plateau:")
            await pilot.pause()
            assert ("norm_position" in text_of(screen.query_one("#facts"))) == (name == "flat-gpt")


def append(run: Path, event: dict[str, Any]) -> None:
    with (run / "events.jsonl").open("a") as file:
        file.write(json.dumps(event) + "\n")


def test_runs_that_train_keep_their_order_while_their_heartbeats_alternate() -> None:
    rows = [RunRow("b", "running", "", modified=200.0), RunRow("a", "paused", "", modified=100.0)]
    rows += [RunRow("old", "finished", "", modified=10.0), RunRow("new", "finished", "", modified=20.0)]
    assert [row.name for row in arrange(rows, "", "recent", False)] == ["a", "b", "new", "old"]
    assert [row.name for row in arrange(rows, "", "recent", True)] == ["old", "new", "a", "b"]
