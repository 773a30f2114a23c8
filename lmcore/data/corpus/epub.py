"""EPUB: a zip of XHTML chapters in the order of its spine (EPUB 3.3, https://www.w3.org/TR/epub-33/).

Nothing is unpacked to the disk, entities are not expanded, and a book larger than any real one is refused before it
fills the memory.
"""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote
from xml.parsers import expat

from lmcore.data.corpus.markup import decode_html, html_text
from lmcore.errors import LmError

# Uncompressed bytes of all chapters; the longest novels have ten.
LARGEST_BOOK = 1 << 27
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def epub_chapters(path: Path) -> Iterator[str]:
    """The text of each document of the spine, in reading order.

    Raises:
        LmError: it is not an EPUB, is damaged or protected, or is larger than `LARGEST_BOOK`.
    """
    try:
        with zipfile.ZipFile(path) as book:
            reader = _Book(path, book)
            for name in reader.spine():
                yield html_text(decode_html(reader.read(name), f"{path} ({name})"))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise LmError(f"{path} is not an EPUB or is damaged: {error}.", "Download or export it again.") from None
    except OSError as error:
        raise LmError(
            f"{path} cannot be read: {error.strerror or error}.", "Check the path and its permissions."
        ) from None


class _Book:
    def __init__(self, path: Path, book: zipfile.ZipFile) -> None:
        self._path, self._book, self._left = path, book, LARGEST_BOOK

    def spine(self) -> list[str]:
        """Names of the chapters in the archive."""
        package = next(
            (attributes.get("full-path") for tag, attributes in self._elements(_CONTAINER) if tag == "rootfile"), None
        )
        if package is None:
            raise self._broken(f"{_CONTAINER} names no package document")
        elements = self._elements(package)
        chapters = {
            attributes.get("id", ""): attributes["href"]
            for tag, attributes in elements
            if tag == "item" and attributes.get("media-type") in _CHAPTERS and "href" in attributes
        }
        folder = posixpath.dirname(package)
        names = [
            posixpath.normpath(posixpath.join(folder, unquote(chapters[attributes["idref"]])))
            for tag, attributes in elements
            if tag == "itemref" and attributes.get("idref") in chapters
        ]
        if not names:
            raise self._broken("its spine lists no chapters")
        if set(names) & self._encrypted():
            raise LmError(
                f"{self._path} is protected (DRM): its chapters are encrypted.", "Use a copy without protection."
            )
        return names

    def read(self, name: str) -> bytes:
        """A member's content, within what is left of `LARGEST_BOOK`."""
        try:
            with self._book.open(name) as file:
                content = file.read(self._left + 1)
        except KeyError:
            raise self._broken(f"it has no part '{name}'") from None
        except RuntimeError:
            raise LmError(f"{self._path} is protected by a password.", "Use a copy without protection.") from None
        self._left -= len(content)
        if self._left < 0:
            raise LmError(
                f"{self._path} contains more than {LARGEST_BOOK >> 20} MB of text, more than any book.",
                "Check the source of the file, or convert it to .txt.",
            )
        return content

    def _encrypted(self) -> set[str]:
        """Members that are encrypted; fonts often are, and do no harm."""
        if _ENCRYPTION not in self._book.namelist():
            return set()
        elements = self._elements(_ENCRYPTION)
        return {unquote(attributes.get("URI", "")) for tag, attributes in elements if tag == "CipherReference"}

    def _elements(self, name: str) -> list[tuple[str, dict[str, str]]]:
        """Every element of an XML part as its tag, without the namespace, and its attributes."""
        found: list[tuple[str, dict[str, str]]] = []
        parser = expat.ParserCreate()
        parser.StartElementHandler = lambda tag, attributes: found.append((tag.rpartition(":")[2], attributes))
        parser.EntityDeclHandler = self._refuse_entities
        try:
            parser.Parse(self.read(name), True)
        except expat.ExpatError as error:
            raise self._broken(f"{name} is not well-formed XML ({error})") from None
        return found

    def _refuse_entities(self, *_: object) -> None:
        """Entities that refer to each other grow without bound; no EPUB needs one here."""
        raise self._broken("it declares XML entities")

    def _broken(self, why: str) -> LmError:
        return LmError(f"{self._path} is not a readable EPUB: {why}.", "Download or export it again.")
