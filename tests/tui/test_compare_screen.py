"""The Compare screen: the table with the best of each architecture, the settings that differ, the curves, and what may
not be compared.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text
from textual.widgets import DataTable, OptionList

from lmcore.runs import identity
from tests.tui.recorded import evaluation, finish, record, start, train
from tests.tui.scenes import notes, opened, shown, until
from tui.widgets.chart_panel import ChartPanel
from tui.widgets.choose import Choose


def trained(root: Path, name: str, val_loss: float, settings: dict[str, Any]) -> None:
    record(root, name, [start(), train(10), evaluation(10, val_loss), finish(10)], settings=settings)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    trained(tmp_path / "runs", "lstm-a", 5.0, {"model.architecture": "lstm", "optimizer.name": "adam"})
    trained(tmp_path / "runs", "lstm-b", 4.0, {"model.architecture": "lstm", "optimizer.name": "sgd"})
    trained(tmp_path / "runs", "gpt-a", 4.5, {"model.n_layer": 2})
    return tmp_path / "runs"


def table(screen: Any, which: str) -> list[list[str]]:
    """A table's rows as text, the titles first."""
    widget = screen.query_one(which, DataTable)
    rows = [[str(column.label) for column in widget.ordered_columns]]
    return rows + [[str(cell) for cell in widget.get_row(row.key)] for row in widget.ordered_rows]


async def compared(screen: Any, pilot: Any, rows: int) -> None:
    await until(pilot, lambda: len(screen.query_one("#runs-table", DataTable).rows) == rows)
    await pilot.pause()


async def test_the_best_of_each_architecture_is_bold_and_starred(root: Path) -> None:
    async with opened(root, "compare") as (_, screen, pilot):
        await compared(screen, pilot, 3)
        names = [row[0] for row in table(screen, "#runs-table")[1:]]
        assert [name.split()[1] for name in names] == ["lstm-a", "lstm-b", "gpt-a"]
        assert [name.endswith("★") for name in names] == [False, True, True]
        runs = screen.query_one("#runs-table", DataTable)
        bold = [
            [isinstance(cell, Text) and "bold" in str(cell.style) for cell in runs.get_row(row.key)]
            for row in runs.ordered_rows
        ]
        column = table(screen, "#runs-table")[0].index("val ppl")
        assert [(line[0], line[column], sum(line)) for line in bold] == [
            (False, False, 0),
            (True, True, 2),
            (True, True, 2),
        ]
        assert table(screen, "#runs-table")[2][column] == "54.60"  # exp(4)
        assert "their perplexities can be compared" in shown(screen.query_one("#note"))


async def test_only_the_settings_that_differ(root: Path) -> None:
    async with opened(root, "compare", overlay=["lstm-a", "gpt-a"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        rows = {row[0]: row[1:] for row in table(screen, "#differences")}
        assert rows == {
            "setting": ["lstm-a", "gpt-a"],
            "model.architecture": ["lstm", "transformer"],
            "model.n_layer": ["4", "2"],
            "optimizer.name": ["adam", "adamw"],
        }


async def test_runs_with_different_tokenizers_are_not_ranked_by_perplexity(root: Path) -> None:
    trained(root, "chars", 1.0, {"model.n_layer": 2, "tokenizer.kind": "char"})
    async with opened(root, "compare", overlay=["gpt-a", "chars"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        said = shown(screen.query_one("#note"))
        assert "⚠ These runs have different tokenizers: compare word perplexity or bits per byte" in said
        assert "Starred: the lowest val bits per byte" in " ".join(said.split())


async def test_runs_on_different_texts_are_not_ranked_at_all(root: Path) -> None:
    trained(root, "other", 1.0, {"data.corpus": "tinyshakespeare"})
    async with opened(root, "compare", overlay=["gpt-a", "other"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        assert "cannot be ranked" in shown(screen.query_one("#note"))
        assert not any(row[0].endswith("★") for row in table(screen, "#runs-table"))


async def test_their_curves_are_drawn_and_follow_the_keys(root: Path) -> None:
    async with opened(root, "compare", overlay=["gpt-a", "lstm-b"]) as (app, screen, pilot):
        await compared(screen, pilot, 2)
        chart = screen.query_one(ChartPanel)
        await until(pilot, lambda: {series.label.split()[0] for series in chart._plot.series} == {"gpt-a", "lstm-b"})
        await pilot.press("x", "y")
        assert (app.session.settings.x_axis, app.session.settings.log_y) == ("epoch", False)
        await pilot.press("v")
        assert app.session.settings.metric == "loss"


async def test_runs_are_taken_out_and_chosen(root: Path) -> None:
    async with opened(root, "compare", overlay=["lstm-a", "lstm-b"]) as (app, screen, pilot):
        await compared(screen, pilot, 2)
        app.session.selected = "lstm-a"
        await pilot.press("space")
        await compared(screen, pilot, 1)
        assert app.session.settings.overlay == ["lstm-b"]
        await pilot.press("space")
        assert "At least one run must remain" in notes(app)
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, Choose))
        assert isinstance(app.screen, Choose)
        assert app.screen.marked == ["lstm-b"]
        highlighted = app.screen.query_one(OptionList).highlighted_option
        await pilot.press(
            "space" if highlighted is not None and highlighted.id != "lstm-b" else "down",
            "space",
            "enter",
        )
        await until(pilot, lambda: app.screen is screen)
        assert "lstm-b" in app.session.settings.overlay
        assert len(app.session.settings.overlay) == 2
        await compared(screen, pilot, 2)


async def test_keys_for_runs_act_on_the_row_of_the_cursor(root: Path) -> None:
    record(root, "live", [start(**identity(), time=time.time()), train(10)])
    async with opened(root, "compare", overlay=["gpt-a", "live"]) as (app, screen, pilot):
        await compared(screen, pilot, 2)
        await pilot.press("up", "up", "down")
        assert app.session.selected == [row[0].split()[1] for row in table(screen, "#runs-table")[1:]][1]
        app.session.selected = "live"
        await pilot.press("c")
        await until(pilot, (root / "live" / "control.jsonl").exists)
        assert json.loads((root / "live" / "control.jsonl").read_text())["action"] == "checkpoint"


async def test_runs_with_substitutions_are_named(root: Path) -> None:
    replaced = "Offline: the corpus is python-docs, Python's own language reference, instead of wikitext-2-raw."
    stand_in = {"kind": "warning", "time": 1.0, "step": 0, "what": "substitution", "message": replaced}
    events = [start(), stand_in, train(10), evaluation(10, 4.0), finish(10)]
    record(root, "offline", events)
    async with opened(root, "compare", overlay=["gpt-a", "offline"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        assert "⚠ offline: Offline: the corpus is python-docs" in shown(screen.query_one("#note"))
    async with opened(root, "compare", overlay=["gpt-a", "lstm-a"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        assert "Substitutions" not in shown(screen.query_one("#note"))


async def test_without_runs_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_STATE", str(tmp_path / "state"))
    (tmp_path / "runs").mkdir()
    async with opened(tmp_path / "runs", "compare") as (_, screen, _):
        assert "No runs yet" in shown(screen.query_one("#note"))


async def test_folded_table_differences_and_curves_are_tabs(root: Path) -> None:
    async with opened(root, "compare", size=(80, 24)) as (_, screen, pilot):
        await compared(screen, pilot, 3)
        assert "lstm-b ★" in shown(screen.query_one("#runs-table"))
        seen = []
        for _ in range(3):
            seen.append([panel.display for panel in screen.panels].index(True))
            await pilot.press("right_square_bracket")
            await pilot.pause()
        assert seen == [0, 1, 2]


async def test_published_figures_and_substitutions_are_shown_where_there_are_any(root: Path) -> None:
    async with opened(root, "compare", overlay=["lstm-a"]) as (_, screen, pilot):
        await compared(screen, pilot, 1)
        assert not [title for title in table(screen, "#runs-table")[0] if title.startswith("publ.")]
        assert "publ." not in shown(screen.query_one("#note"))
    replaced = "The tokenizer is a byte-level BPE."
    score = {"tokens_scored": 279_022, "final": True}
    record(
        root,
        "study",
        [
            start(),
            {"kind": "warning", "time": 1.0, "what": "substitution", "message": replaced},
            train(10),
            evaluation(10, math.log(158.8)) | score,
            evaluation(10, math.log(158.8)) | score | {"split": "test", "best": False},
            finish(10),
        ],
        settings={"eval.published_mean": True, "training.batch_size": 16, "model.block_size": 256},
    )
    async with opened(root, "compare", overlay=["lstm-a", "study"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        titles, *rows = table(screen, "#runs-table")
        cells = {row[0].split()[1]: dict(zip(titles, row, strict=True)) for row in rows}
        assert float(cells["study"]["publ. test"]) == pytest.approx(148.87, abs=0.02)
        assert (cells["study"]["test ppl"], cells["lstm-a"]["publ. test"]) == ("158.80", "")
        note = shown(screen.query_one("#note"))
        assert "a short last batch counts as a full one" in " ".join(note.split())
        assert f"study: {replaced}" in note


async def test_runs_of_different_tokenizers_show_what_may_be_compared_and_star_it(root: Path) -> None:
    words = {"loss": 3.0, "word_perplexity": 60.0, "bits_per_byte": 1.25}
    for name, tokenizer in (("by-char", "char"), ("by-word", "word")):
        scored = [evaluation(10, 3.0) | words, evaluation(10, 3.0) | words | {"split": "test", "best": False}]
        record(root, name, [start(), train(10), *scored, finish(10)], settings={"tokenizer.kind": tokenizer})
    async with opened(root, "compare", overlay=["by-char", "by-word"]) as (_, screen, pilot):
        await compared(screen, pilot, 2)
        titles, row, _ = table(screen, "#runs-table")
        values = dict(zip(titles, row, strict=True))
        assert (values["test word ppl"], values["test bits/byte"]) == ("60.00", "1.2500")
        assert "val ppl" not in titles
        assert "test word perplexity" in " ".join(shown(screen.query_one("#note")).split())
