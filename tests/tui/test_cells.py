"""Text in terminal cells, against the wcwidth package: wide, combining and joined characters keep the columns."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.widgets import OptionList
from wcwidth import wcswidth

from tests.tui.recorded import finish, record, start, train
from tests.tui.scenes import opened, shown, until
from tui.widgets.cells import fit
from tui.widgets.choose import Choice, Choose

# One cell, a combining accent, CJK, Hangul, emoji with skin tone, a joined family, a heart in emoji presentation.
CHARACTERS = ["a", "é", "e\u0301", "日", "한", "👍🏽", "👨\u200d👩\u200d👧", "❤\ufe0f", "…"]
texts = st.lists(st.sampled_from(CHARACTERS), max_size=20).map("".join)


@given(texts)
def test_the_screen_measures_as_wcwidth_does(text: str) -> None:
    assert cell_len(text) == wcswidth(text)


@given(texts, st.integers(0, 30), st.booleans())
def test_a_fitted_text_has_exactly_its_width(text: str, width: int, right: bool) -> None:
    fitted = fit(text, width, right=right)
    assert wcswidth(fitted) == width
    if wcswidth(text) <= width:
        assert fitted.strip(" ") == text
        assert fitted.startswith(" " if right and wcswidth(text) < width else text[:1])
    elif width:
        assert fitted.endswith("…")


async def test_wide_names_do_not_move_the_column_behind_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    names = ("novel.txt", "吾輩は猫である.txt", "re\u0301sume\u0301.txt", "👨\u200d👩\u200d👧.txt")
    async with opened(tmp_path / "runs", "presets") as (app, _, pilot):
        app.push_screen(Choose("Which corpus?", [Choice(name, name, "a text") for name in names]))
        await until(pilot, lambda: isinstance(app.screen, Choose))
        await pilot.pause()
        lines = shown(app.screen.query_one(OptionList)).splitlines()[: len(names)]
        assert {wcswidth(line.partition("a text")[0]) for line in lines} == {max(map(wcswidth, names)) + 2}


async def test_a_wide_corpus_ends_where_the_other_facts_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    record(tmp_path / "runs", "cat", [start(), train(10), finish(10)], settings={"data.corpus": "吾輩は猫である.txt"})
    async with opened(tmp_path / "runs", "watch", size=(120, 60)) as (_, screen, pilot):
        await until(pilot, lambda: screen.ready and "吾輩は猫である" in shown(screen.query_one("#facts")))
        lines = {line.split()[0]: line for line in shown(screen.query_one("#facts")).splitlines() if line}
        assert wcswidth(lines["corpus"]) == wcswidth(lines["model"]) == screen.query_one("#facts").size.width
