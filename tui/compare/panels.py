"""The table of runs, and the settings in which they differ."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import DataTable, Static

from lmcore.lab.compare import Comparison
from lmcore.text import harmless, human_bytes, human_count, human_time
from tui.theme import MARKERS, MARKERS_ASCII, ascii_only
from tui.widgets.panel import Panel
from tui.widgets.values import value_text

# Key of a row, title, how it is written.
COLUMNS: tuple[tuple[str, str, Callable[[Any], str]], ...] = (
    ("architecture", "architecture", str),
    ("n_layer", "layers", str),
    ("optimizer", "optimizer", str),
    ("train_perplexity", "train ppl", "{:,.2f}".format),
    ("val_perplexity", "val ppl", "{:,.2f}".format),
    ("test_perplexity", "test ppl", "{:,.2f}".format),
    ("word_perplexity", "word ppl", "{:,.2f}".format),
    ("bits_per_byte", "bits/byte", "{:.3f}".format),
    ("best_step", "best step", "{:,}".format),
    ("parameters", "parameters", human_count),
    ("learnable", "learnable", human_count),
    ("memory_bytes", "memory", human_bytes),
    ("seconds", "time", human_time),
    ("state", "state", str),
)
WORDS = ("architecture", "optimizer", "state")
SHOWN_BEST = {"test_word_perplexity": "word_perplexity", "val_word_perplexity": "word_perplexity"}
SHOWN_BEST |= {"test_bits_per_byte": "bits_per_byte", "val_bits_per_byte": "bits_per_byte"}


def fill(table: DataTable[Text], titles: list[Text], lines: list[list[Text]], keys: list[str]) -> None:
    """Replace a table's content. The widths are given, because a hidden table does not measure its cells."""
    table.clear(columns=True)
    table.fixed_columns = 1
    for number, title in enumerate(titles):
        table.add_column(title, width=max(cell.cell_len for cell in [title, *(line[number] for line in lines)]))
    for cells, key in zip(lines, keys, strict=True):
        table.add_row(*cells, key=key)


class TablePanel(Panel):
    """One row a run; the best of each architecture is bold and starred."""

    TITLE = "Compare"
    DEFAULT_CSS = "TablePanel #note { height: auto; color: $secondary; margin-top: 1; }"

    def compose_panel(self) -> ComposeResult:
        yield DataTable(cursor_type="row", id="runs-table")
        yield Static(id="note", markup=False)

    def show(self, comparison: Comparison, slots: dict[str, int], chosen: str | None) -> None:
        """Fill the table; the cursor stays on its run."""
        table = self.query_one(DataTable)
        best = SHOWN_BEST.get(comparison.best_by or "", comparison.best_by)
        markers = MARKERS_ASCII if ascii_only() else MARKERS
        star = " *" if ascii_only() else " ★"
        shown = [column for column in COLUMNS if any(row.get(column[0]) is not None for row in comparison.rows)]
        lines = []
        for row in comparison.rows:
            weight = "bold" if row["best"] else ""
            name = f"{markers[slots[row['name']] % len(markers)]} {harmless(row['name'])}{star if row['best'] else ''}"
            cells = [Text(name, style=weight)]
            for key, _, write in shown:
                text = "" if row.get(key) is None else harmless(write(row[key]), keep_newlines=False)
                cells.append(
                    Text(text, style=weight if key == best else "", justify="left" if key in WORDS else "right")
                )
            lines.append(cells)
        titles = [Text("run"), *(Text(title, justify="left" if key in WORDS else "right") for key, title, _ in shown)]
        fill(table, titles, lines, [row["name"] for row in comparison.rows])
        names = [row["name"] for row in comparison.rows]
        if chosen in names:
            table.move_cursor(row=names.index(chosen))
        self._say(comparison)

    def _say(self, comparison: Comparison) -> None:
        by = (comparison.best_by or "").replace("_", " ")
        starred = f" Starred: the lowest {by} of each architecture." if by else ""
        warn = "" if comparison.comparability.level == "tokens" else "! " if ascii_only() else "⚠ "
        note = Content.styled(f"{warn}{comparison.comparability.note}{starred}", "$warning" if warn else "")
        if comparison.substitutions:
            names = ", ".join(harmless(name) for name in comparison.substitutions)
            sign = "! " if ascii_only() else "⚠ "
            note += Content.styled(f"\n{sign}Substitutions in {names}: see the warnings in Watch.", "$warning")
        self.query_one("#note", Static).update(note)

    def show_nothing(self) -> None:
        """There are no runs."""
        self.query_one(DataTable).clear(columns=True)
        self.query_one("#note", Static).update("No runs yet. Start one in Presets (2), or with lm train.")


class DifferencesPanel(Panel):
    """Only the settings that differ."""

    TITLE = "Settings that differ"

    def compose_panel(self) -> ComposeResult:
        yield DataTable(cursor_type="row", id="differences")

    def show(self, differences: dict[str, dict[str, Any]], names: list[str]) -> None:
        """Settings down, runs across."""
        table = self.query_one(DataTable)
        if not differences:
            fill(table, [Text("All settings are the same." if len(names) > 1 else "Choose more runs (a).")], [], [])
            return
        lines = [
            [Text(setting), *(self._cell(values[name]) for name in names)] for setting, values in differences.items()
        ]
        fill(table, [Text("setting"), *(Text(harmless(name)) for name in names)], lines, list(differences))

    def _cell(self, value: Any) -> Text:
        return Text("" if value is None else harmless(value_text(value), keep_newlines=False))
