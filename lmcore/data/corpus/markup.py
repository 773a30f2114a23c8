"""HTML to plain text: paragraphs apart, entities resolved, scripts and styles left out."""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

from lmcore.errors import LmError

_BLOCKS = frozenset(
    """
    address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hr html li main nav ol p pre section summary table tbody tfoot thead tr ul
    """.split()  # noqa: SIM905
)
_SKIPPED = frozenset(("head", "math", "noscript", "script", "style", "svg", "template"))
_CELLS = frozenset(("td", "th"))
_CHARSET = re.compile(rb"""<(?:meta[^>]+charset|\?xml[^>]+encoding)\s*=\s*["']?\s*([A-Za-z0-9._-]+)""", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n\f\u00a0]+")
_SOFT_HYPHEN = "\u00ad"


def html_text(html: str) -> str:
    """The text of an HTML or XHTML document: a blank line between paragraphs, `<br>` as a newline, white space as a
    browser shows it; `<pre>` keeps its own.

    Nothing outside the document is read, and no entity that it declares itself is expanded.
    """
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.text()


def decode_html(content: bytes, name: str) -> str:
    """An HTML file's characters: UTF-8, else the encoding that it declares in its first kilobyte.

    Raises:
        LmError: neither decodes it.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        declared = _CHARSET.search(content[:1024])
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            encoding = "utf-16"
        elif declared and declared[1].lower() not in (b"utf-8", b"utf8"):
            encoding = declared[1].decode("ascii")
        else:
            raise _not_decoded(
                name, f"byte 0x{content[error.start]:02X} at offset {error.start} is not UTF-8"
            ) from None
    try:
        return content.decode(encoding)
    except (LookupError, UnicodeDecodeError):
        raise _not_decoded(name, f"it is not in the encoding '{encoding}' that it declares") from None


def _not_decoded(name: str, why: str) -> LmError:
    return LmError(f"{name} cannot be decoded: {why}.", "Save it as UTF-8.")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._paragraphs: list[str] = []
        self._lines: list[str] = [""]
        self._skipped: list[str] = []
        self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See `HTMLParser`."""
        if tag == "body":
            # A head that was not closed ends here.
            self._skipped.clear()
        if tag in _SKIPPED:
            self._skipped.append(tag)
        if tag in _BLOCKS:
            self._end_paragraph()
        if tag == "br":
            self._lines.append("")
        if tag in _CELLS:
            self._lines[-1] += " "
        if tag == "pre":
            self._preformatted += 1

    def handle_endtag(self, tag: str) -> None:
        """See `HTMLParser`."""
        if tag in self._skipped:
            del self._skipped[self._skipped.index(tag) :]
        if tag in _BLOCKS:
            self._end_paragraph()
        if tag == "pre" and self._preformatted:
            self._preformatted -= 1

    def handle_data(self, data: str) -> None:
        """See `HTMLParser`."""
        if self._skipped:
            return
        data = data.replace(_SOFT_HYPHEN, "")
        if not self._preformatted:
            self._lines[-1] += _SPACE.sub(" ", data)
            return
        first, *more = data.replace("\u00a0", " ").split("\n")
        self._lines[-1] += first
        self._lines += more

    def text(self) -> str:
        """All paragraphs so far."""
        self._end_paragraph()
        return "".join(f"{paragraph}\n\n" for paragraph in self._paragraphs)

    def _end_paragraph(self) -> None:
        lines, self._lines = self._lines, [""]
        if self._preformatted:
            paragraph = "\n".join(line.rstrip() for line in lines).strip("\n")
        else:
            paragraph = "\n".join(_SPACE.sub(" ", line).strip() for line in lines).strip()
        if paragraph.strip():
            self._paragraphs.append(paragraph)
