"""Tables as aligned text: numbers to the right, words to the left, one blank row nowhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from cli_parts.console import BOLD, DIM, cell_width, columns, is_colourful, is_terminal, pad, paint, put
from lmcore.text import harmless


@dataclass(frozen=True)
class Column:
    """A heading, and whether its cells are numbers."""

    heading: str
    number: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell that stands out: bold where the stream shows it, marked with `*` elsewhere."""

    text: str
    best: bool = False


def put_table(headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    """Write a table to stdout; where the terminal is too narrow for it, one record a row instead."""
    cells = [[_plain(cell) for cell in row] for row in rows]
    widths = [max([cell_width(column.heading), *(cell_width(row[i]) for row in cells)]) for i, column in enumerate(headings)]
    if is_terminal(sys.stdout) and sum(widths) + 2 * (len(widths) - 1) > columns():
        _put_records(headings, rows, cells)
        return
    heading = "  ".join(pad(column.heading, width, column.number) for column, width in zip(headings, widths, strict=True))
    put(paint(heading.rstrip(), DIM, sys.stdout))
    for row, texts in zip(rows, cells, strict=True):
        line = "  ".join(
            _styled(cell, pad(text, width, column.number)) for cell, text, width, column in zip(row, texts, widths, headings, strict=True)
        )
        put(line.rstrip())


def put_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one a line, values aligned."""
    width = max((cell_width(name) for name, _ in facts), default=0)
    for name, value in facts:
        put(f"{paint(pad(name, width), DIM, sys.stdout)}  {harmless(value, keep_newlines=False)}")


def _put_records(headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]], cells: Sequence[Sequence[str]]) -> None:
    width = max(cell_width(column.heading) for column in headings)
    for i, (row, texts) in enumerate(zip(rows, cells, strict=True)):
        if i:
            put()
        for column, cell, text in zip(headings, row, texts, strict=True):
            put(f"{paint(pad(column.heading, width), DIM, sys.stdout)}  {_styled(cell, text)}")


def _plain(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return harmless(cell, keep_newlines=False)
    return harmless(cell.text, keep_newlines=False) + ("*" if cell.best and not is_colourful(sys.stdout) else "")


def _styled(cell: str | Cell, text: str) -> str:
    return paint(text, BOLD, sys.stdout) if isinstance(cell, Cell) and cell.best else text
