"""The Presets screen: list, settings and their edits, estimates, corpus, differences, and a start that outlives the
screen.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from lmcore.config import Config, setting_choices, setting_help
from lmcore.presets import load_preset, preset_names
from lmcore.runs import find_run
from lmcore.telemetry import GpuReport
from tests.tui.recorded import finish, record, start
from tests.tui.scenes import FAKE_ENGINE, notes, opened, shown, until
from tui.engine.client import Engine
from tui.presets import launch
from tui.presets.draft import Draft, fits_alone
from tui.presets.panels import Plan, PlanPanel
from tui.presets.screen import PresetsScreen
from tui.watch.screen import WatchScreen
from tui.widgets.choose import Choose
from tui.widgets.dialogs import AskName

GIB = 2**30


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    # No torch in these tests: whoever counts is the computing process without it.
    monkeypatch.setattr("tui.presets.screen.Engine", lambda say: Engine(say, FAKE_ENGINE))
    monkeypatch.setattr(
        "tui.session.telemetry.gpus", lambda: GpuReport(reason="There is no NVIDIA driver on this machine.")
    )
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


async def chosen(screen: Any, pilot: Pilot[Any]) -> None:
    """Wait until a preset is shown and counted."""
    await until(
        pilot,
        lambda: screen.draft is not None and screen.plan.parameters is not None and screen.plan.memory is not None,
    )
    await pilot.pause()


async def edit(screen: Any, pilot: Pilot[Any], name: str, value: str) -> None:
    """Go to a setting, and type another value."""
    options = screen.query_one("#settings", OptionList)
    options.highlighted = options.get_option_index(name)
    await pilot.pause()
    await pilot.press("e")
    screen.query_one("#value", Input).value = ""
    await pilot.press(
        *(("full_stop" if c == "." else "minus" if c == "-" else "underscore" if c == "_" else c) for c in value)
    )
    await pilot.pause()


def plan(screen: Any) -> str:
    return shown(screen.query_one("#plan"))


async def test_every_preset_and_every_setting_with_its_meaning(root: Path) -> None:
    async with opened(root, "presets", size=(220, 220), preset="exp12") as (_, screen, pilot):
        await chosen(screen, pilot)
        listed = screen.query_one("#presets", OptionList)
        assert [option.id for option in listed.options] == preset_names()
        assert load_preset("exp12").summary in str(screen.settings_panel.border_title)
        await pilot.press("h")
        await pilot.pause()
        settings = shown(screen.query_one("#settings")).splitlines()
        assert [line.strip() for line in settings if line.strip() in Config.model_fields] == list(Config.model_fields)
        line = next(line for line in settings if line.split()[:1] == ["n_head"])
        assert line.split()[1] == "12"
        assert setting_help("model.n_head") in line
        screen.query_one("#presets").focus()
        await pilot.press("home")
        await chosen(screen, pilot)
        assert screen.draft.preset.name == preset_names()[0]


async def test_the_plan_names_parameters_memory_time_and_advice(root: Path) -> None:
    async with opened(root, "presets", preset="exp12") as (app, screen, pilot):
        await chosen(screen, pilot)
        said = plan(screen)
        assert "4,000 parameters, 3,600 learnable" in said
        assert "at most" not in said
        # Before the text is read, the vocabulary is only bounded.
        screen.query_one(PlanPanel).show(screen.draft, Plan((4000, 3600), exact=False), None)
        await pilot.pause()
        assert "at most 4,000 parameters" in plan(screen)
        assert "✓ Fits" in said
        assert "time unknown until a run has been trained on this machine" in said
        assert "⚠ caution: A post-norm transformer at learning rate 0.001" in said
        assert app.session.settings.preset == "exp12"


async def test_typing_is_validated_and_escape_takes_it_back(root: Path) -> None:
    async with opened(root, "presets", preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        before = screen.draft.text("optimizer.lr")
        await edit(screen, pilot, "optimizer.lr", "-1")
        assert "optimizer.lr = -1 is not valid: it must be above 0" in shown(screen.query_one("#problem"))
        await pilot.press("enter")
        assert isinstance(screen.focused, Input)
        await pilot.press("s")
        await pilot.press("escape")
        assert screen.draft.edits == {}
        assert screen.draft.text("optimizer.lr") == before
        assert not screen.settings_panel.has_class("-wrong")


async def test_an_edit_changes_plan_and_assignments_and_can_be_reset(root: Path) -> None:
    async with opened(root, "presets", preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        await edit(screen, pilot, "model.n_layer", "7")
        await pilot.press("enter")
        await chosen(screen, pilot)
        assert screen.draft.assignments() == ["model.n_layer=7"]
        assert screen.draft.config.model.n_layer == 7
        assert "7,000 parameters" in plan(screen)
        assert f"model.n_layer {load_preset('quick').config.model.n_layer} → 7" in plan(screen)
        await pilot.press("r")
        assert screen.draft.edits == {}
        await edit(screen, pilot, "training.seed", "5")
        await pilot.press("enter", "R")
        assert screen.draft.edits == {}


async def test_space_goes_through_the_few_values_of_a_setting(root: Path) -> None:
    async with opened(root, "presets", preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        options = screen.query_one("#settings", OptionList)
        options.focus()
        options.highlighted = options.get_option_index("model.norm")
        seen = []
        for _ in setting_choices("model.norm"):
            await pilot.press("space")
            seen.append(screen.draft.config.model.norm)
        assert sorted(seen) == sorted(setting_choices("model.norm"))


async def test_the_corpus_is_picked_from_those_there_are(root: Path) -> None:
    async with opened(root, "presets", preset="exp12") as (app, screen, pilot):
        await chosen(screen, pilot)
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.press("slash", *"python", "enter")
        await until(pilot, lambda: app.screen is screen)
        assert screen.draft.config.data.corpus == "python-docs"


async def test_what_differs_from_another_preset_and_from_a_run(root: Path) -> None:
    record(root, "mine", [start(), finish(1)], settings={"model.n_layer": 9})
    async with opened(root, "presets", preset="exp12") as (app, screen, pilot):
        await chosen(screen, pilot)
        await until(pilot, lambda: app.session.rows)
        for find, said in (("exp11", "model.n_layer 2 → 4"), ("mine", "model.n_layer 9 → 4")):
            await pilot.press("d")
            await until(pilot, lambda: isinstance(app.screen, Choose))
            await pilot.press("slash", *find, "enter")
            await until(pilot, lambda: app.screen is screen)
            await pilot.pause()
            assert f"Differences from {find}:" in plan(screen)
            assert said in plan(screen)


async def test_a_config_that_does_not_fit_together_is_not_started(root: Path) -> None:
    async with opened(root, "presets", preset="quick") as (app, screen, pilot):
        await chosen(screen, pilot)
        # Possible by itself, so that n_head may follow; together with the n_head of now it is not.
        await edit(screen, pilot, "model.n_embd", "50")
        await pilot.press("enter")
        assert not isinstance(screen.focused, Input)
        await pilot.press("s")
        await until(pilot, lambda: "n_embd 50 is not a multiple of n_head" in notes(app))
        assert app.screen == screen
        await edit(screen, pilot, "model.n_head", "5")
        await pilot.press("enter")
        assert screen.draft.problem == ""


def leaves_a_run(name: str, root: Path, ready: Path) -> list[str]:
    """A command that stands for `lm train`: it makes a run and goes on until it is ended."""
    script = f"""
import time
from pathlib import Path
from lmcore.config import Config
from lmcore.runs import create_run, identity
run = create_run({name!r}, Config(), {{}}, Path({str(root)!r}))
run.events.write("start", **identity(), total_steps=9, resumed_from=None)
Path({str(ready)!r}).touch()
time.sleep(60)
"""
    return [sys.executable, "-c", script]


async def test_enter_starts_a_run_that_outlives_the_screen(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def command(preset: str, name: str, assignments: list[str]) -> list[str]:
        asked.append([preset, name, *assignments])
        return leaves_a_run(name, root, tmp_path / "ready")

    monkeypatch.setattr(launch, "command", command)
    async with opened(root, "presets", preset="quick") as (app, screen, pilot):
        await chosen(screen, pilot)
        screen.draft.change("training.seed", "7")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, AskName))
        assert app.screen.query_one(Input).value == "quick-1"
        app.screen.query_one(Input).value = "no/name"
        await pilot.pause()
        assert "is not a valid run name" in shown(app.screen.query_one(".problem"))
        app.screen.query_one(Input).value = "fresh"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WatchScreen) and app.session.selected == "fresh")
        await until(pilot, (tmp_path / "ready").exists)
    assert asked == [["quick", "fresh", "training.seed=7"]]
    pid = find_run("fresh", root).latest().start["pid"]  # type: ignore[index]
    try:
        assert os.getsid(pid) == pid != os.getsid(0)
        assert find_run("fresh", root).state() == "running"
    finally:
        os.kill(pid, signal.SIGKILL)


async def test_a_start_that_fails_says_what_it_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    complaint = (
        "import sys; print('There is no corpus or file novel.txt. Check the path.', file=sys.stderr); sys.exit(2)"
    )
    monkeypatch.setattr(launch, "command", lambda *_: [sys.executable, "-c", complaint])
    async with opened(root, "presets", preset="quick") as (app, screen, pilot):
        await chosen(screen, pilot)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, AskName))
        await pilot.press("enter")
        await until(pilot, lambda: "There is no corpus or file novel.txt." in notes(app))
        assert app.screen is screen


async def test_the_computing_process_lives_only_while_the_screen_is_open(root: Path) -> None:
    async with opened(root, "presets", preset="quick") as (app, screen, pilot):
        await chosen(screen, pilot)
        assert screen.engine.pid is not None
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, AskName))
        assert screen.engine.pid is not None
        await pilot.press("escape", "5")
        await until(pilot, lambda: screen.engine.pid is None)
        await pilot.press("2")
        await until(pilot, lambda: app.screen is screen)
        screen.draft.change("model.n_layer", "3")
        screen._count_soon()
        await until(pilot, lambda: screen.plan.parameters == (3000, 2700))


async def test_folded_list_settings_and_plan_are_tabs(root: Path) -> None:
    async with opened(root, "presets", size=(80, 24), preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        assert isinstance(screen, PresetsScreen)
        seen = []
        for _ in range(3):
            seen.append([panel.display for panel in screen.panels].index(True))
            await pilot.press("right_square_bracket")
            await pilot.pause()
        assert seen == [0, 1, 2]


def test_the_command_is_lm_train_with_the_changes() -> None:
    command = launch.command("exp12", "r1", ["model.n_layer=2", "training.seed=1"])
    assert command[command.index("cli") :] == [
        "cli",
        "train",
        "--preset",
        "exp12",
        "--run",
        "r1",
        "--set",
        "model.n_layer=2",
        "--set",
        "training.seed=1",
    ]


def test_edits_are_valid_alone_or_wrong_together() -> None:
    draft = Draft(load_preset("quick"))
    assert fits_alone(draft, "model.n_embd", "50")
    assert not fits_alone(draft, "model.n_embd", "-5")
    assert not fits_alone(draft, "model.norm", "batchnorm")
    draft.change("model.n_embd", "50")
    assert "n_embd 50 is not a multiple" in draft.problem
    assert draft.config == load_preset("quick").config
    draft.change("model.n_head", "5")
    assert (draft.config.model.n_embd, draft.config.model.n_head, draft.problem) == (50, 5, "")


@pytest.mark.slow
async def test_a_real_training_is_started_counted_and_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    text = tmp_path / "text.txt"
    text.write_text("".join(f"The castle number {n} was old and the door was shut.\n" for n in range(400)))
    root = tmp_path / "runs"
    tiny = {
        "data.corpus": str(text),
        "tokenizer.kind": "char",
        "model.vocab_size": "100",
        "model.n_layer": "1",
        "model.n_embd": "16",
    }
    tiny |= {
        "model.n_head": "2",
        "model.block_size": "16",
        "training.batch_size": "4",
        "training.epochs": "0",
        "training.max_steps": "30",
    }
    async with opened(root, "presets", preset="quick") as (app, screen, pilot):
        await until(pilot, lambda: screen.draft is not None)
        for name, value in tiny.items():
            screen.draft.change(name, value)
        screen._count_soon()
        await until(pilot, lambda: screen.plan.parameters is not None, 40)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, AskName))
        await pilot.press("enter")
        await until(
            pilot, lambda: isinstance(app.screen, WatchScreen) or "did not start" in str(app._notifications), 40
        )
        run = find_run("quick-1", root)
        await until(pilot, lambda: run.state() == "finished", 60)
        start_event = run.history().start[0]
        assert (start_event["parameters"]["total"], start_event["parameters"]["learnable"]) == screen.plan.parameters
        await until(pilot, lambda: any(row.state == "finished" for row in app.session.rows))
