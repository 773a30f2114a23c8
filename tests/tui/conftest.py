"""All tests of the screen see the same terminal."""

from __future__ import annotations

import pytest

from tui.session.pace import Pace


@pytest.fixture(autouse=True)
def _same_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("LM_ASCII", raising=False)


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runs are read as often as possible: how much CPU time the screen uses is not what these tests are about."""
    monkeypatch.setattr("tui.session.Pace", lambda: Pace(clock=lambda: 0.0))
