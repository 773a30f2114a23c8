"""Which settings the Presets screen lists: those with an effect, those that were changed, or all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.widgets import Input, OptionList

from lmcore.config import Config, setting_applies, setting_names
from lmcore.presets import load_preset
from tests.tui.scenes import FAKE_ENGINE, opened, until
from tests.tui.test_presets_screen import chosen, edit
from tui.engine.client import Engine


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    monkeypatch.setattr("tui.presets.screen.Engine", lambda say: Engine(say, FAKE_ENGINE))
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def only_for_recurrent(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these settings have an effect in recurrent models only."""

    def why_ignored(config: Config, name: str) -> str | None:
        recurrent = config.model.architecture != "transformer"
        return "model.architecture = transformer" if name in names and not recurrent else None

    monkeypatch.setattr("tui.presets.panels.why_ignored", why_ignored)
    monkeypatch.setattr("tui.presets.panels.setting_applies", lambda *asked: why_ignored(*asked) is None)


def listed(screen: Any) -> list[str]:
    return [option.id for option in screen.query_one("#settings", OptionList).options if option.id]


async def test_the_settings_that_are_listed_are_those_with_an_effect(root: Path) -> None:
    async with opened(root, "presets", preset="exp12") as (_, screen, pilot):
        await chosen(screen, pilot)
        config = load_preset("exp12").config
        assert listed(screen) == [name for name in setting_names() if setting_applies(config, name)]
        await pilot.press("h")
        assert listed(screen) == setting_names()


async def test_settings_without_effect_are_hidden_until_they_are_asked_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_for_recurrent(monkeypatch, "model.n_hidden", "model.projection")
    async with opened(root, "presets", preset="exp12", size=(220, 60)) as (_, screen, pilot):
        await chosen(screen, pilot)
        assert not {"model.n_hidden", "model.projection"} & set(listed(screen))
        assert "2 without effect hidden (h)" in str(screen.settings_panel.border_subtitle)
        await pilot.press("h")
        await pilot.pause()
        assert {"model.n_hidden", "model.projection"} <= set(listed(screen))
        options = screen.query_one("#settings", OptionList)
        line = str(options.get_option("model.n_hidden").prompt)
        assert "has no effect (model.architecture = transformer)" in line
        await pilot.press("h")
        assert "model.n_hidden" not in listed(screen)


async def test_the_list_follows_the_setting_that_decides_and_the_cursor_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_for_recurrent(monkeypatch, "model.n_hidden")
    async with opened(root, "presets", preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        assert "model.n_hidden" not in listed(screen)
        await edit(screen, pilot, "model.architecture", "lstm")
        assert screen.draft.config.model.architecture == "lstm"
        assert "model.n_hidden" in listed(screen)
        assert screen.settings_panel.current == "model.architecture"
        assert screen.query_one("#value", Input).value == "lstm"


async def test_a_changed_setting_without_effect_is_shown_with_the_reason(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_for_recurrent(monkeypatch, "model.n_hidden")
    async with opened(root, "presets", preset="quick") as (_, screen, pilot):
        await chosen(screen, pilot)
        screen.draft.change("model.n_hidden", "64")
        screen.settings_panel.changed("model.n_hidden")
        await pilot.pause()
        line = str(screen.query_one("#settings", OptionList).get_option("model.n_hidden").prompt)
        assert "64" in line
        assert "has no effect (model.architecture = transformer)" in line


async def test_looking_at_another_preset_keeps_the_changes(root: Path) -> None:
    async with opened(root, "presets", preset="exp11") as (_, screen, pilot):
        await chosen(screen, pilot)
        await edit(screen, pilot, "model.n_layer", "7")
        await pilot.press("enter")
        screen.query_one("#presets").focus()
        await pilot.press("down")
        await until(pilot, lambda: screen.draft.preset.name == "exp12")
        assert screen.draft.edits == {}
        await pilot.press("up")
        await until(pilot, lambda: screen.draft.preset.name == "exp11")
        assert screen.draft.edits == {"model.n_layer": "7"}
