"""Where output goes: data to stdout, everything else to stderr; colour only where it is wanted and can be seen."""

from __future__ import annotations

import bisect
import json
import os
import shutil
import sys
from typing import Any, TextIO

import typer

from lmcore.text import harmless

BOLD, DIM, RED, YELLOW = "1", "2", "31", "33"


def put(text: str = "", end: str = "\n") -> None:
    """Write data to stdout. If the reader has gone (`| head`), the command ends quietly."""
    try:
        sys.stdout.write(text + end)
        sys.stdout.flush()
    except BrokenPipeError:
        _close_stdout()
        raise typer.Exit(0) from None


def put_json(value: Any) -> None:
    """Write one JSON value to stdout; numbers that are not finite become null."""
    put(json.dumps(_finite(value), indent=2, ensure_ascii=False))


def note(text: str, colour: str = "") -> None:
    """Write a line to stderr; if the reader has gone, the command continues without it."""
    try:
        sys.stderr.write(paint(text, colour, sys.stderr) + "\n")
        sys.stderr.flush()
    except BrokenPipeError:
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115


def note_data(done: int, total: int, what: str) -> None:
    """Show the progress of a download or an encoding on a terminal, and nothing elsewhere."""
    if not is_terminal(sys.stderr):
        return
    share = f"{100 * done // total:3d}%" if total else f"{done:,} bytes"
    text = "" if total and done >= total else clip(f"{share}  {harmless(what, keep_newlines=False)}", columns() - 1)
    sys.stderr.write(f"\r\x1b[2K{text}")
    sys.stderr.flush()


def version_text() -> str:
    """The program's name and the version that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"lm {version('lm-tui')}"
    except PackageNotFoundError:
        return "lm (not installed, run from source)"


def paint(text: str, code: str, stream: TextIO) -> str:
    """`text` in an ANSI style where `stream` shows one; without a code, the text itself."""
    return f"\x1b[{code}m{text}\x1b[0m" if code and is_colourful(stream) else text


def is_terminal(stream: TextIO) -> bool:
    """Whether this stream is a terminal on which lines can be redrawn."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def is_colourful(stream: TextIO) -> bool:
    """`NO_COLOR` turns colour off, `FORCE_COLOR` on; otherwise terminals get it (no-color.org, force-color.org)."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return is_terminal(stream)


def columns() -> int:
    """Width to draw for: `COLUMNS`, the terminal's, or 100 where there is none."""
    return max(20, shutil.get_terminal_size((100, 24)).columns)


def width_limit() -> int | None:
    """The width that tables have to fit: `COLUMNS`, or that of the terminal; None for a pipe or file without one."""
    is_set = os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]) > 0
    return columns() if is_set or is_terminal(sys.stdout) else None


def cell_width(text: str) -> int:
    """Terminal columns that `text` takes: East Asian wide characters and emoji two, combining characters none."""
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth, wcwidth  # late: most of what is printed is ASCII

    width: int = wcswidth(text)
    return width if width >= 0 else sum(max(0, wcwidth(character)) for character in text)


def pad(text: str, width: int, right: bool = False) -> str:
    """`text` filled up with spaces to `width` columns."""
    fill = " " * max(0, width - cell_width(text))
    return fill + text if right else text + fill


def clip(text: str, width: int | None) -> str:
    """The beginning of `text` that fits into `width` columns, with an ellipsis if something is missing; None: all."""
    if width is None or cell_width(text) <= width:
        return text
    return text[: _fitting(text, width - 1)] + "…"


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces where there are any; line breaks of the text stay."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            joined = f"{line} {word}" if line else word
            if cell_width(joined) <= width:
                line = joined
                continue
            if line:
                lines.append(line)
            line = word
            while cell_width(line) > width:
                cut = max(1, _fitting(line, width))
                lines.append(line[:cut])
                line = line[cut:]
        lines.append(line)
    return lines


def _fitting(text: str, width: int) -> int:
    """How many characters of `text` fit into `width` columns; marks that combine with the last one come along."""
    return max(0, bisect.bisect_right(range(len(text) + 1), width, key=lambda end: cell_width(text[:end])) - 1)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def _close_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not fail on the broken pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
