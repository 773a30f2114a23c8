"""What the screens share, without an app: requests, renaming and deleting, and what earlier versions saved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from textual.message import Message

from lmcore.errors import LmError
from lmcore.runs import identity
from tests.tui.recorded import finish, record, start, train
from tests.tui.scenes import opened, until
from tui.session import Session
from tui.session.messages import OpenScreen, RequestsChanged, RunsChanged
from tui.settings import Settings, checked_keys, load_settings, state_dir


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record(tmp_path / "runs", "done", [start(), train(10), finish(10)])
    record(tmp_path / "runs", "live", [start(**identity()), train(10)])
    return tmp_path / "runs"


def remembered(**values: Any) -> None:
    """Write tui.json as an earlier version left it."""
    state_dir().mkdir(parents=True, exist_ok=True)
    (state_dir() / "tui.json").write_text(json.dumps(values), encoding="utf-8")


def test_a_request_goes_to_the_run_and_a_run_that_ended_refuses_it(root: Path) -> None:
    posted: list[Message] = []
    session = Session(posted.append, root)
    session.ask("live", "pause")
    assert json.loads((root / "live" / "control.jsonl").read_text())["action"] == "pause"
    assert session.pending.texts("live") == ["pause: requested"]
    assert posted == [RequestsChanged("live")]
    with pytest.raises(LmError):
        session.ask("done", "pause")
    assert session.pending.texts("done") == []


def test_renaming_keeps_selection_and_overlay_and_deleting_clears_them(root: Path) -> None:
    posted: list[Message] = []
    session = Session(posted.append, root, run="done")
    session.overlay[:] = ["live", "done"]
    session.rename("done", "better")
    assert (session.selected, session.overlay) == ("better", ["live", "better"])
    session.delete("better")
    assert (session.selected, session.overlay) == (None, ["live"])
    assert [message for message in posted if isinstance(message, RunsChanged)][-1].rows[0].name == "live"
    assert not (root / "better").exists()
    with pytest.raises(LmError):
        session.delete("live")


def test_a_screen_is_opened_by_a_message(root: Path) -> None:
    posted: list[Message] = []
    Session(posted.append, root).open_screen("machine")
    assert posted == [OpenScreen("machine")]


def test_the_session_is_remembered(root: Path) -> None:
    session = Session(lambda message: None, root, run="live")
    session.settings.generate = {"temperature": 0.5}
    session.close()
    saved = load_settings()
    assert (saved.run, saved.mode, saved.generate) == ("live", "watch", {"temperature": 0.5})


@pytest.mark.parametrize(("old", "new"), [("write", "generate"), ("gpu", "machine"), ("compare", "compare")])
async def test_the_screen_of_an_earlier_version_opens_under_its_present_name(root: Path, old: str, new: str) -> None:
    remembered(mode=old)
    assert load_settings().mode == new
    async with opened(root, load_settings().mode) as (app, screen, pilot):
        await until(pilot, lambda: new == screen.MODE)
        assert app.session.settings.mode == new


def test_settings_and_keys_of_earlier_versions_keep_working(root: Path) -> None:
    keys = {"write.copy": "f5", "runs.write": "f6", "app.write": "f7", "app.gpu": "f8", "gpu.restart": "f9"}
    remembered(write={"temperature": 1.5}, keys={**keys, "run.pause": "f1"})
    settings = load_settings()
    assert settings.generate == {"temperature": 1.5}
    assert checked_keys(settings.keys) == {
        "generate.copy": "f5",
        "runs.generate": "f6",
        "app.generate": "f7",
        "app.machine": "f8",
        "machine.restart": "f9",
        "run.pause": "f1",
    }


async def test_a_key_of_an_earlier_version_opens_the_screen(root: Path) -> None:
    remembered(keys={"app.gpu": "f8"})
    async with opened(root, "watch") as (app, _, pilot):
        await pilot.press("f8")
        await until(pilot, lambda: getattr(app.screen, "MODE", "") == "machine")


def test_settings_that_cannot_be_saved_are_no_obstacle(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    Settings().save(tmp_path / "file")
    assert load_settings(tmp_path / "file") == Settings()
