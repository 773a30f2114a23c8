"""Tables as aligned text: numbers right-aligned, words left-aligned."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from commands.output.console import BOLD, DIM, cell_width, is_colourful, pad, paint, put, width_limit, wrap
from lmcore.text import harmless

_NARROWEST = 24


@dataclass(frozen=True)
class Column:
    """A heading, and whether its cells are numbers."""

    heading: str
    number: bool = False


@dataclass(frozen=True)
class Cell:
    """A cell that may be the best of its column: bold in a terminal with colour, marked with `*` elsewhere."""

    text: str
    best: bool = False


def put_table(
    headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]], dispensable: Sequence[str] = ()
) -> None:
    """Write a table to stdout.

    Where it does not fit the width (of the terminal, or `COLUMNS`), the `dispensable` columns are left out, one after
    the other; if that is not enough, rows become columns, and if that is too wide as well, each row becomes a record.
    """
    columns_left = list(range(len(headings)))
    for heading in dispensable:
        if _fits(headings, rows, columns_left):
            break
        columns_left = [i for i in columns_left if headings[i].heading != heading]
    if _fits(headings, rows, columns_left):
        _put_grid([headings[i] for i in columns_left], [[row[i] for i in columns_left] for row in rows])
        return
    turned_headings = [Column(headings[0].heading), *(Column(_plain(row[0]), number=True) for row in rows)]
    turned_rows = [[heading.heading, *(row[i] for row in rows)] for i, heading in enumerate(headings) if i]
    if _fits(turned_headings, turned_rows, range(len(turned_headings))):
        _put_grid(turned_headings, turned_rows)
    else:
        _put_records(headings, rows)


def put_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one a line, values aligned."""
    width = max((cell_width(name) for name, _ in facts), default=0)
    for name, value in facts:
        put_hanging(name, harmless(value, keep_newlines=False), width, DIM)


def put_hanging(head: str, text: str, width: int, head_style: str = "", text_style: str = "") -> None:
    """Write `head`, filled up to `width` columns, and `text` after it, wrapped to the columns that are left.

    A path or another word that is too long for that is left in one piece.
    """
    limit = width_limit()
    room = None if limit is None else limit - max(width, cell_width(head)) - 2
    if room is None or room < _NARROWEST or any(cell_width(word) > room for word in text.split(" ")):
        lines = [text]
    else:
        lines = wrap(text, room)
    indent = max(width, cell_width(head)) + 2
    put((paint(pad(head, width), head_style, sys.stdout) + "  " + paint(lines[0], text_style, sys.stdout)).rstrip())
    for line in lines[1:]:
        put(" " * indent + paint(line, text_style, sys.stdout))


def _fits(headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]], shown: Sequence[int]) -> bool:
    limit = width_limit()
    if limit is None:
        return True
    widths = [max([cell_width(headings[i].heading), *(cell_width(_plain(row[i])) for row in rows)]) for i in shown]
    return sum(widths) + 2 * (len(widths) - 1) <= limit


def _put_grid(headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    widths = [
        max([cell_width(column.heading), *(cell_width(_plain(row[i])) for row in rows)])
        for i, column in enumerate(headings)
    ]
    heading = "  ".join(
        pad(column.heading, width, column.number) for column, width in zip(headings, widths, strict=True)
    )
    put(paint(heading.rstrip(), DIM, sys.stdout))
    for row in rows:
        cells = zip(row, widths, headings, strict=True)
        put("  ".join(_styled(cell, pad(_plain(cell), width, column.number)) for cell, width, column in cells).rstrip())


def _put_records(headings: Sequence[Column], rows: Sequence[Sequence[str | Cell]]) -> None:
    width = max(cell_width(column.heading) for column in headings)
    for i, row in enumerate(rows):
        if i:
            put()
        for column, cell in zip(headings, row, strict=True):
            put(f"{paint(pad(column.heading, width), DIM, sys.stdout)}  {_styled(cell, _plain(cell))}")


def _plain(cell: str | Cell) -> str:
    if isinstance(cell, str):
        return harmless(cell, keep_newlines=False)
    return harmless(cell.text, keep_newlines=False) + ("*" if cell.best and not is_colourful(sys.stdout) else "")


def _styled(cell: str | Cell, text: str) -> str:
    return paint(text, BOLD, sys.stdout) if isinstance(cell, Cell) and cell.best else text
