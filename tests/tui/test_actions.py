"""One table of actions: what the keys do, what help, footer, palette and docs say, and what is remembered of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from textual.geometry import Offset

from lmcore.errors import UsageError
from tui.actions.manual import with_keys
from tui.actions.table import ACTIONS, MODES, SWALLOWED_KEYS, actions_for
from tui.app import LmApp
from tui.settings import Settings, checked_keys, load_settings, state_dir
from tui.widgets.action_bar import ActionBar
from tui.widgets.base_screen import BaseScreen
from tui.widgets.help import HelpScreen

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))


def test_no_action_uses_a_key_that_never_arrives() -> None:
    assert {key for action in ACTIONS for key in action.keys} & SWALLOWED_KEYS == set()


@pytest.mark.parametrize("mode", MODES)
def test_on_each_screen_a_key_means_one_thing(mode: str) -> None:
    keys = Counter(key for action in actions_for(mode) for key in action.keys)
    assert [key for key, times in keys.items() if times > 1] == []


def test_ids_are_unique_and_every_action_says_what_it_does() -> None:
    assert [name for name, times in Counter(action.id for action in ACTIONS).items() if times > 1] == []
    assert all(action.help.endswith(".") and action.label for action in ACTIONS)


@pytest.mark.parametrize("mode", MODES)
async def test_every_action_of_a_screen_exists_there(mode: str) -> None:
    app = LmApp()
    async with app.run_test(size=(120, 40)) as pilot:
        await app.run_action(f"open('{mode}')")
        await pilot.pause()
        screen = app.screen
        assert isinstance(screen, BaseScreen)
        assert mode == screen.MODE
        for action in actions_for(mode):
            where, _, command = action.command.rpartition("app.")
            name = command.partition("(")[0]
            owner = app if action.command.startswith("app.") else screen
            assert where == ""
            assert callable(getattr(owner, f"action_{name}", None)), f"{action.id} has no action_{name}"


async def test_number_keys_open_the_screens_and_clicks_on_their_names_too() -> None:
    app = LmApp()
    async with app.run_test(size=(120, 40)) as pilot:
        for number, mode in enumerate(MODES, 1):
            await pilot.press("escape", str(number))
            await pilot.pause()
            assert mode == app.screen.MODE  # type: ignore[attr-defined]
        await pilot.click("ModeTab")
        await pilot.pause()
        assert app.screen.MODE == "watch"  # type: ignore[attr-defined]


async def test_help_lists_every_action_of_the_screen() -> None:
    app = LmApp()
    async with app.run_test(size=(120, 80)) as pilot:
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)
        shown = app.export_screenshot().replace("&#160;", " ").replace("&#x27;", "'")
        for action in actions_for("watch"):
            assert action.help[:50] in shown, action.id
        await pilot.press("escape")
        assert isinstance(app.screen, BaseScreen)


async def test_the_palette_offers_every_action_of_the_screen() -> None:
    app = LmApp()
    async with app.run_test() as pilot:
        await pilot.pause()
        offered = {command.help for command in app.get_system_commands(app.screen)}
        assert offered == {action.help for action in actions_for("watch") if action.id != "app.palette"}
        await pilot.press("ctrl+p", *"theme")
        await pilot.pause(0.3)
        await pilot.press("enter", "enter")
        await pilot.pause(0.3)
        assert app.theme == "lm-light"


@pytest.mark.parametrize("width", [60, 80, 120, 300])
async def test_the_footer_fits_and_always_has_help_and_quit(width: int) -> None:
    app = LmApp()
    async with app.run_test(size=(width, 24)) as pilot:
        await pilot.pause()
        bar = app.screen.query_one(ActionBar)
        text = bar.render().plain
        assert len(text) <= width
        assert "? help" in text
        assert "q quit" in text
        await pilot.click(ActionBar, offset=Offset(text.index("? help") + 1, 0))
        await pilot.pause()
        assert isinstance(app.screen, HelpScreen)


async def test_own_keys_replace_those_of_the_table(tmp_path: Path) -> None:
    Settings(keys={"app.theme": "f5"}).save()
    app = LmApp()
    async with app.run_test() as pilot:
        await pilot.press("t")
        assert app.theme == "lm-dark"
        await pilot.press("f5")
        assert app.theme == "lm-light"


def test_own_keys_are_checked() -> None:
    assert checked_keys({"run.pause": "f5"}) == {"run.pause": "f5"}
    with pytest.raises(UsageError, match="an unknown action"):
        checked_keys({"run.fly": "f5"})
    with pytest.raises(UsageError, match="never reaches"):
        checked_keys({"run.pause": "ctrl+h"})


def test_settings_survive_and_damaged_ones_are_no_obstacle() -> None:
    Settings(theme="lm-light", overlay=["a"], smoothing=0.9).save()
    assert load_settings().overlay == ["a"]
    path = state_dir() / "tui.json"
    path.write_text(json.dumps({"theme": 3, "smoothing": 1, "unknown": True, "overlay": ["b"]}))
    assert load_settings() == Settings(smoothing=1.0, overlay=["b"])
    for damaged in ("", "{", "[]", "\x00"):
        path.write_text(damaged)
        assert load_settings() == Settings()


def test_the_manual_lists_every_key() -> None:
    manual = (ROOT / "docs" / "tui.md").read_text(encoding="utf-8")
    assert with_keys(manual) == manual, "run `python -m tui.actions.manual docs/tui.md`"
    assert all(f"`{action.id}`" in manual for action in ACTIONS)


def test_outside_a_terminal_it_says_so_and_exits_with_2() -> None:
    code = "import sys; from tui import run_app; sys.exit(run_app())"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "needs a terminal" in done.stderr


def test_the_screen_starts_without_torch_pydantic_and_plotext() -> None:
    slow = ("torch", "pydantic", "plotext", "transformers")
    code = f"import sys, tui.app, tui.watch.screen; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=dict(os.environ),
    )
    assert done.stdout.strip() == "[]"
