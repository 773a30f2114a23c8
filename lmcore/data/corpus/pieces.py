"""Streams of text in pieces: cut where tokenizers allow it, clipped to a split, or line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

PIECE = 1 << 15
# A text without any white space to cut at is cut anyway when this many characters are held.
LONGEST_PIECE = 1 << 22

_BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)|(?<=\S)\n(?=\S)")


class TextPiece(NamedTuple):
    """Some text of a document, and whether the document ends with it."""

    text: str
    ends_document: bool


def cut_between_words(pieces: Iterator[TextPiece], size: int = PIECE) -> Iterator[TextPiece]:
    r"""The same text in pieces of about `size` characters that can be tokenized one by one.

    A piece ends before a single space, or after a single newline, that stands between two characters which are not
    white space. Pre-tokenizers that split there (GPT-2's expression, BERT's, white space, characters) give the same
    tokens for the pieces as for the whole. A run of white space is never cut: GPT-2's ``\s+(?!\S)`` looks past its end.
    """
    held = ""
    for text, ends_document in pieces:
        held += text
        start = 0
        while len(held) - start > size:
            cut = _BETWEEN_WORDS.search(held, start + size)
            if cut is None:
                break
            end = cut.start() + (held[cut.start()] == "\n")
            yield TextPiece(held[start:end], False)
            start = end
        held = held[start:]
        if ends_document or len(held) > LONGEST_PIECE:
            yield TextPiece(held, ends_document)
            held = ""
    if held:
        yield TextPiece(held, False)


def stripped_lines(pieces: Iterator[TextPiece]) -> Iterator[TextPiece]:
    """Each line that is not blank as a piece of its own, without white space at its ends and without its newline."""
    held = ""
    waiting: str | None = None
    for text, ends_document in pieces:
        *lines, held = (held + text).split("\n")
        if ends_document:
            lines, held = [*lines, held], ""
        for line in filter(None, map(str.strip, lines)):
            if waiting is not None:
                yield TextPiece(waiting, False)
            waiting = line
        if ends_document and waiting is not None:
            yield TextPiece(waiting, True)
            waiting = None
    for line in filter(None, (waiting, held.strip())):
        yield TextPiece(line, False)


def clip(pieces: Iterator[TextPiece], start: int, end: int) -> Iterator[TextPiece]:
    """The text between two UTF-8 byte offsets of the whole; both must lie between characters."""
    position = 0
    for text, ends_document in pieces:
        size = utf8_size(text)
        low, high = max(start - position, 0), min(end - position, size)
        position += size
        if low < high:
            yield TextPiece(
                text if high - low == size else text.encode()[low:high].decode(), ends_document and high == size
            )
        if position >= end:
            return


def utf8_size(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())
