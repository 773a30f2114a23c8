"""Text from files, as a stream of pieces: plain, .gz, .zst, and rows of JSONL, each in bounded memory."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import zstandard

from lmcore.errors import LmError

BLOCK = 1 << 20
PIECE = 1 << 15
# A text without any white space to cut at is cut anyway when this many characters are held.
LONGEST_PIECE = 1 << 22

_BETWEEN_WORDS = re.compile(r"(?<=\S) (?=\S)|(?<=\S)\n(?=\S)")


class Piece(NamedTuple):
    """Some text of a document, and whether the document ends with it."""

    text: str
    ends_document: bool


@dataclass(frozen=True)
class TextSource:
    """Documents in order: each file is one, or each row of a JSONL file; or texts already in memory.

    Attributes:
        name: what errors call it.
        files: paths, read in this order.
        field: the field of a JSONL row that holds the text.
        texts: instead of files, a function that gives the documents.
    """

    name: str
    files: tuple[Path, ...] = ()
    field: str = "text"
    texts: Callable[[], list[str]] | None = None

    def blocks(self) -> Iterator[Piece]:
        """The text in blocks of about a megabyte, wherever they happen to end.

        Raises:
            LmError: a file is missing, empty, binary, not UTF-8, or corrupt; the message says where.
        """
        if self.texts is not None:
            yield from (Piece(text, True) for text in self.texts())
        for path in self.files:
            yield from _jsonl_blocks(path, self.field) if is_jsonl(path) else _text_blocks(path)

    def fingerprint(self) -> list[object]:
        """What changes when a file does, without reading it."""
        if self.texts is not None:
            return [self.name, sum(map(len, self.texts()))]
        parts: list[object] = [self.field]
        for path in self.files:
            status = _checked_stat(path)
            parts += [str(path.resolve()), status[0], status[1]]
        return parts


def is_jsonl(path: Path) -> bool:
    """Whether the name says JSON lines, compressed or not."""
    return any(suffix in (".jsonl", ".ndjson") for suffix in path.suffixes[-2:])


def open_bytes(path: Path) -> BinaryIO:
    """A file's content, decompressed when its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(path))
    if path.suffix == ".zst":
        return io.BufferedReader(
            zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
        )
    return path.open("rb")


def cut_between_words(pieces: Iterator[Piece], size: int = PIECE) -> Iterator[Piece]:
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
            yield Piece(held[start:end], False)
            start = end
        held = held[start:]
        if ends_document or len(held) > LONGEST_PIECE:
            yield Piece(held, ends_document)
            held = ""
    if held:
        yield Piece(held, False)


def clip(pieces: Iterator[Piece], start: int, end: int) -> Iterator[Piece]:
    """The text between two UTF-8 byte offsets of the whole; both must lie between characters."""
    position = 0
    for text, ends_document in pieces:
        size = utf8_size(text)
        low, high = max(start - position, 0), min(end - position, size)
        position += size
        if low < high:
            yield Piece(
                text if high - low == size else text.encode()[low:high].decode(), ends_document and high == size
            )
        if position >= end:
            return


def utf8_size(text: str) -> int:
    """Bytes of the text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def _checked_stat(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError as error:
        raise LmError(f"{path} cannot be read: {error.strerror}.", "Check the path and its permissions.") from None
    return status.st_size, status.st_mtime_ns


def _read_blocks(path: Path) -> Iterator[bytes]:
    try:
        with open_bytes(path) as file:
            while block := file.read(BLOCK):
                yield block
    except (gzip.BadGzipFile, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise LmError(
            f"{path} is damaged or not compressed as its name says: {error}.", "Fetch or compress it again."
        ) from None
    except OSError as error:
        raise LmError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its permissions."
        ) from None


def _text_blocks(path: Path) -> Iterator[Piece]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line, waiting = 0, 1, 0
    previous: str | None = None
    for block in _read_blocks(path):
        if position == 0:
            block = block.removeprefix(codecs.BOM_UTF8)
        if (zero := block.find(0)) >= 0:
            raise LmError(
                f"{path} is not text: it has a zero byte at offset {position + zero}.", "Give a text file in UTF-8."
            )
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, position - waiting, line, error) from None
        waiting = len(decoder.getstate()[0])
        position += len(block)
        line += block.count(b"\n")
        if previous:
            yield Piece(previous, False)
        previous = text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, position - waiting, line, error) from None
    if previous is None:
        raise LmError(f"{path} is empty.", "Give a file with text in it.")
    yield Piece(previous, True)


def _not_utf8(path: Path, base: int, line: int, error: UnicodeDecodeError) -> LmError:
    line += error.object[: error.start].count(b"\n")
    return LmError(
        f"{path} is not UTF-8: byte 0x{error.object[error.start]:02X} at offset {base + error.start} (line {line}) does not belong.",
        "Convert it, for example with `iconv -f latin1 -t utf-8`.",
    )


def _jsonl_blocks(path: Path, field: str) -> Iterator[Piece]:
    rows = 0
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise LmError(f"{path}, line {number} is not JSON: {error}.", "Correct or remove that line.") from None
        if not isinstance(row, dict) or not isinstance(row.get(field), str):
            known = ", ".join(row) if isinstance(row, dict) else type(row).__name__
            raise LmError(
                f"{path}, line {number} has no text field '{field}' (it has: {known}).",
                "Name the field with `--set data.field=NAME`.",
            )
        rows += 1
        if row[field]:
            yield Piece(_encodable(row[field]), True)
    if not rows:
        raise LmError(f"{path} is empty.", "Give a file with one JSON object a line.")


def _encodable(text: str) -> str:
    """JSON can spell lone surrogates, which UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _lines(path: Path) -> Iterator[bytes]:
    held: list[bytes] = []
    for block in _read_blocks(path):
        *whole, rest = block.split(b"\n")
        for line in whole:
            yield b"".join([*held, line])
            held = []
        held.append(rest)
    yield b"".join(held)
