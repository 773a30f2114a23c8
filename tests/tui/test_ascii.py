"""With `LM_ASCII=1` every screen is drawn with ASCII alone, down to its keys, its dialogs and what is cut off."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.screen import Screen

from tests.tui.recorded import record, record_all
from tests.tui.scenes import empty_checkpoint, opened
from tui.ascii import AsciiOnly


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("LM_ASCII", "1")
    record_all(tmp_path / "runs")
    empty_checkpoint(record(tmp_path / "runs", "saved", []), 10)
    return tmp_path / "runs"


def drawn(screen: Screen[object]) -> str:
    """Every character that the terminal gets."""
    return "\n".join("".join(segment.text for segment in strip) for strip in screen._compositor.render_strips())


@pytest.mark.parametrize("mode", ["watch", "presets", "generate", "compare", "machine"])
@pytest.mark.parametrize(
    ("size", "presses"), [((80, 24), ["", "question_mark"]), ((150, 45), ["", "a", "s", "N", "D"])]
)
async def test_every_screen_is_drawn_in_ascii(root: Path, mode: str, size: tuple[int, int], presses: list[str]) -> None:
    async with opened(root, mode, size) as (app, _, pilot):
        await pilot.pause(0.5)
        for press in presses:
            if press:
                await pilot.press(press)
                await pilot.pause(0.2)
            strange = [line for line in drawn(app.screen).splitlines() if not line.isascii()]
            assert strange == [], press
            if press:
                await pilot.press("escape")


def test_texts_of_the_user_keep_their_letters_and_all_columns_their_width() -> None:
    (segment,) = AsciiOnly().apply([Segment("ça là, 猫 … ×4 ●")], Color(0, 0, 0))
    assert segment.text == "ça là, 猫 ~ x4 *"
