"""Books from Project Gutenberg: the text without the header and the license around it.

The marker lines are those that Project Gutenberg's own tools look for (https://www.gutenberg.org/policy/license.html):
`*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***`, and the same with END; older files have THIS, or no space after the
stars.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Literal

from lmcore.data.corpus.pieces import TextPiece, utf8_size

# A header is shorter than this: without a START marker in so many characters the text begins at once.
LONGEST_HEADER = 1 << 16
# A marker, and the sentence before an END, lie within so many characters.
_LONGEST_MARKER = 1 << 10
_BOOK = r"(?:THE|THIS) PROJECT GUTENBERG E(?:BOOK|TEXT)[^\n]*(?:\n[^\n*]+)?"
_START = re.compile(rf"^\*\*\* ?START OF {_BOOK}\*\*\*[^\n]*(?:\n|\Z)", re.MULTILINE | re.IGNORECASE)
_END = re.compile(
    rf"^(?:End of (?:the |this )?Project Gutenberg[^\n]*\s+)?\*\*\* ?END OF {_BOOK}\*\*\*[^\n]*(?:\n|\Z)",
    re.MULTILINE | re.IGNORECASE,
)


def without_boilerplate(
    pieces: Iterator[TextPiece], left_out: Callable[[int], None] | None = None
) -> Iterator[TextPiece]:
    """The documents with only what stands between the START and the END marker of a Project Gutenberg book; all of
    them where there are no markers.

    A document may hold several books, one after the other. A START that is missing is as if it stood first, an END as
    if it stood last.

    Args:
        left_out: called with the UTF-8 bytes of each part that is dropped.
    """
    count = left_out or (lambda size: None)
    document = _Document(count)
    # The last piece that is kept ends the document, though the license after it is longer than a piece.
    waiting = ""
    for text, ends_document in pieces:
        kept = document.push(text, final=ends_document)
        if kept and waiting:
            yield TextPiece(waiting, False)
        waiting = kept or waiting
        if ends_document:
            if waiting:
                yield TextPiece(waiting, True)
            document, waiting = _Document(count), ""
    if waiting:
        yield TextPiece(waiting, False)


class _Document:
    """One document, of which the end is held back for as long as a marker may begin in it."""

    def __init__(self, left_out: Callable[[int], None]) -> None:
        self._left_out = left_out
        self._held = ""
        self._part: Literal["unknown", "book", "licence"] = "unknown"

    def push(self, text: str, *, final: bool) -> str:
        """More of the document; what of it is certain to belong to a book."""
        self._held += text
        kept: list[str] = []
        if self._part == "unknown":
            if not final and len(self._held) < LONGEST_HEADER + _LONGEST_MARKER:
                return ""
            self._part = "book"
            if start := _START.search(self._held, 0, LONGEST_HEADER):
                self._drop(start.end())
        while marker := self._marker(final):
            if self._part == "book":
                kept.append(self._held[: marker.start()])
                self._held = self._held[marker.start() :]
                self._drop(marker.end() - marker.start())
                self._part = "licence"
            else:
                self._drop(marker.end())
                self._part = "book"
        end = len(self._held) if final else self._certain_end()
        if self._part == "book":
            kept.append(self._held[:end])
            self._held = self._held[end:]
        else:
            self._drop(end)
        return "".join(kept)

    def _marker(self, final: bool) -> re.Match[str] | None:
        """The marker that ends this part, if all of it is here."""
        if "***" not in self._held:
            return None
        found = (_END if self._part == "book" else _START).search(self._held)
        return found if found and (final or found.end() < len(self._held)) else None

    def _certain_end(self) -> int:
        """At a line's end, so that no line begins in the middle of one."""
        latest = max(len(self._held) - _LONGEST_MARKER, 0)
        return self._held.rfind("\n", 0, latest) + 1 or latest

    def _drop(self, end: int) -> None:
        if end:
            self._left_out(utf8_size(self._held[:end]))
            self._held = self._held[end:]
