"""Text from files, as a stream of pieces: plain, HTML, EPUB, rows of JSONL and Parquet; also .gz and .zst."""

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
from typing import BinaryIO

import zstandard

from lmcore.data.corpus.epub import epub_chapters
from lmcore.data.corpus.gutenberg import without_boilerplate
from lmcore.data.corpus.markup import decode_html, html_text
from lmcore.data.corpus.parquet import parquet_texts
from lmcore.data.corpus.pieces import TextPiece
from lmcore.errors import LmError

_JSONL = (".jsonl", ".ndjson")
_HTML = (".html", ".htm", ".xhtml")
TEXT_SUFFIXES = (".txt", ".text", ".md", ".rst", ".tokens", ".raw", *_JSONL, *_HTML, ".epub", ".parquet")
PACKED = (".gz", ".zst")
BLOCK = 1 << 20
# A file larger than this is no web page.
LARGEST_PAGE = 1 << 27

_NOT_TEXT = re.compile(r"^(readme|licen[cs]e|copying|changelog)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Reading:
    """How the files of a corpus are read.

    Attributes:
        field: the field of a JSONL row, or the column of a Parquet file, that holds the text.
        strip_gutenberg: leave out Project Gutenberg's header and license.
    """

    field: str = "text"
    strip_gutenberg: bool = True


@dataclass(frozen=True)
class TextSource:
    """Documents in order: each file is one, or each row of a JSONL or Parquet file; or texts already in memory.

    Attributes:
        name: what errors call it.
        files: paths, read in this order.
        texts: instead of files, a function that gives the documents.
    """

    name: str
    files: tuple[Path, ...] = ()
    reading: Reading = Reading()
    texts: Callable[[], list[str]] | None = None

    def blocks(self, left_out: Callable[[int], None] | None = None) -> Iterator[TextPiece]:
        """The text in blocks of about a megabyte, wherever they happen to end.

        Args:
            left_out: called with the bytes of each part of a Project Gutenberg book that is not its text.

        Raises:
            LmError: a file is missing, empty, binary, not UTF-8, or corrupt; the message says where.
        """
        if self.texts is not None:
            yield from (TextPiece(text, True) for text in self.texts())
        for path in self.files:
            if has_rows(path):
                yield from _rows(path, self.reading.field)
            elif self.reading.strip_gutenberg:
                yield from without_boilerplate(_document(path), left_out)
            else:
                yield from _document(path)

    def fingerprint(self) -> list[object]:
        """What changes when a file does, without reading it."""
        if self.texts is not None:
            return [self.name, sum(map(len, self.texts()))]
        parts: list[object] = [self.reading.field, self.reading.strip_gutenberg]
        for path in self.files:
            status = _checked_stat(path)
            parts += [str(path.resolve()), status[0], status[1]]
        return parts


def has_rows(path: Path) -> bool:
    """Whether the name says one document a row: JSON lines, compressed or not, or Parquet."""
    return _format(path) in (*_JSONL, ".parquet")


def is_text(path: Path) -> bool:
    """Whether a file in a folder counts as text: by its suffix, and not a README."""
    return _format(path) in TEXT_SUFFIXES and not _NOT_TEXT.match(path.name)


def _format(path: Path) -> str:
    """The suffix that says what is in a file, without .gz or .zst."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in PACKED:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def open_bytes(path: Path) -> BinaryIO:
    """A file's content, decompressed when its name ends in .gz or .zst."""
    if path.suffix == ".gz":
        return io.BufferedReader(gzip.GzipFile(path))
    if path.suffix == ".zst":
        return io.BufferedReader(
            zstandard.ZstdDecompressor().stream_reader(path.open("rb"), read_across_frames=True, closefd=True)
        )
    return path.open("rb")


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
            f"{path} is damaged or not compressed as its name says: {error}.", "Download or compress it again."
        ) from None
    except OSError as error:
        raise LmError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its permissions."
        ) from None


def _rows(path: Path, field: str) -> Iterator[TextPiece]:
    if _format(path) == ".parquet":
        return (TextPiece(_encodable(text), True) for text in parquet_texts(path, field))
    return _jsonl_blocks(path, field)


def _document(path: Path) -> Iterator[TextPiece]:
    if _format(path) == ".epub":
        return _as_document(path, epub_chapters(path))
    if _format(path) in _HTML:
        return _as_document(path, _page(path))
    return _text_blocks(path)


def _page(path: Path) -> Iterator[str]:
    content = bytearray()
    for block in _read_blocks(path):
        content += block
        if len(content) > LARGEST_PAGE:
            raise LmError(
                f"{path} is larger than {LARGEST_PAGE >> 20} MB, too large for a web page.",
                "Convert it to a .txt file.",
            )
    yield html_text(decode_html(bytes(content), str(path)))


def _as_document(path: Path, parts: Iterator[str]) -> Iterator[TextPiece]:
    """Parts that follow each other as one document."""
    waiting = ""
    for part in filter(None, parts):
        if waiting:
            yield TextPiece(waiting, False)
        waiting = _encodable(part)
    if not waiting:
        raise LmError(f"{path} contains no text.", "Choose a file that contains text.")
    yield TextPiece(waiting, True)


def _text_blocks(path: Path) -> Iterator[TextPiece]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    position, line, waiting = 0, 1, 0
    previous: str | None = None
    for block in _read_blocks(path):
        if position == 0:
            block = block.removeprefix(codecs.BOM_UTF8)
        if (zero := block.find(0)) >= 0:
            raise LmError(
                f"{path} is not text: it has a zero byte at offset {position + zero}.", "Choose a text file in UTF-8."
            )
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            raise _not_utf8(path, position - waiting, line, error) from None
        waiting = len(decoder.getstate()[0])
        position += len(block)
        line += block.count(b"\n")
        if previous:
            yield TextPiece(previous, False)
        previous = text
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise _not_utf8(path, position - waiting, line, error) from None
    if previous is None:
        raise LmError(f"{path} is empty.", "Choose a file that contains text.")
    yield TextPiece(previous, True)


def _not_utf8(path: Path, base: int, line: int, error: UnicodeDecodeError) -> LmError:
    line += error.object[: error.start].count(b"\n")
    return LmError(
        f"{path} is not UTF-8: byte 0x{error.object[error.start]:02X} at offset {base + error.start} (line {line}) is "
        "invalid.",
        "Convert it, for example with `iconv -f latin1 -t utf-8`.",
    )


def _jsonl_blocks(path: Path, field: str) -> Iterator[TextPiece]:
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
                "Set the name of the field with `--set data.field=NAME`.",
            )
        rows += 1
        if row[field]:
            yield TextPiece(_encodable(row[field]), True)
    if not rows:
        raise LmError(f"{path} is empty.", "Choose a file with one JSON object per line.")


def _encodable(text: str) -> str:
    """JSON and HTML can spell lone surrogates, which UTF-8 cannot."""
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
