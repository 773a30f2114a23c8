"""Books and pages: EPUB, HTML, Parquet, Project Gutenberg; and what pretends to be one."""

from __future__ import annotations

import itertools
import sys
import zipfile
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.config import Config
from lmcore.data import Data, load_data
from lmcore.data.corpus import epub, gutenberg, parquet
from lmcore.data.corpus.gutenberg import without_boilerplate
from lmcore.data.corpus.markup import html_text
from lmcore.data.corpus.pieces import TextPiece
from lmcore.errors import LmError

CONTAINER = """<?xml version="1.0"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
  <rootfiles><rootfile full-path="OEBPS/content.opf" media-type="application/oebps-package+xml"/></rootfiles>
</container>"""
PACKAGE = """<?xml version="1.0"?>
<opf:package version="3.0" xmlns:opf="http://www.idpf.org/2007/opf"><opf:manifest>
  <opf:item id="cover" href="cover.jpg" media-type="image/jpeg"/>
  <opf:item id="two" href="text/two.xhtml" media-type="application/xhtml+xml"/>
  <opf:item id="one" href="text/chapter%201.xhtml" media-type="application/xhtml+xml"/>
  <opf:item id="notes" href="text/notes.xhtml" media-type="application/xhtml+xml"/>
</opf:manifest><opf:spine><opf:itemref idref="one"/><opf:itemref idref="two"/></opf:spine></opf:package>"""
CHAPTER = """<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml"><head><title>Not text</title><style>p {{ color: red }}</style></head>
<body><h1>Chapter {n}</h1><p>It was a dark &amp; stormy
   night; the caf&#233; was&nbsp;shut.</p><p>{n} said: &#8220;Oh&#x201D;.</p></body></html>"""


def book(path: Path, **parts: str | bytes | None) -> Path:
    """An EPUB of two chapters, the second first in the archive; `parts` replaces files, by their stems' first words."""
    files: dict[str, str | bytes] = {
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": CONTAINER,
        "OEBPS/content.opf": PACKAGE,
        "OEBPS/text/two.xhtml": CHAPTER.format(n="Two"),
        "OEBPS/text/chapter 1.xhtml": CHAPTER.format(n="One"),
        "OEBPS/text/notes.xhtml": CHAPTER.format(n="Notes"),
        "META-INF/encryption.xml": "",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            content = parts.get(Path(name).stem.split()[0], content)  # type: ignore[assignment]
            if content:
                archive.writestr(name, content)
    return path


def load(path: Path, **settings: object) -> Data:
    values = {"data.corpus": str(path), "tokenizer.vocab_size": 257, "data.test_fraction": 0}
    return load_data(
        Config().with_settings(values | {name.replace("__", "."): value for name, value in settings.items()})
    )


def text_of(data: Data) -> str:
    return "".join(data.tokenizer.decode(data.splits[name].tokens.tolist()) for name in ("train", "val", "test"))


def test_an_epub_is_read_in_the_order_of_its_spine(tmp_path: Path) -> None:
    page = "Chapter {0}\n\nIt was a dark & stormy night; the café was shut.\n\n{0} said: “Oh”.\n\n"
    assert text_of(load(book(tmp_path / "novel.epub"))) == page.format("One") + page.format("Two")


ENTITIES = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]><container><rootfile full-path="&c;"/></container>"""
OUTSIDE = PACKAGE.replace("text/two.xhtml", "../../../../etc/passwd")
LOCKED = """<encryption xmlns:enc="http://www.w3.org/2001/04/xmlenc#">
<enc:CipherReference URI="OEBPS/text/two.xhtml"/></encryption>"""
BAD_BOOKS: dict[str, tuple[dict[str, str | bytes | None], str]] = {
    "entities": ({"container": ENTITIES}, "declares XML entities"),
    "entities in utf-16": (
        {"container": ENTITIES.replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16")},
        "entities",
    ),
    "outside": ({"content": OUTSIDE}, "has no part '../../../etc/passwd'"),
    "no container": ({"container": None}, "has no part 'META-INF/container.xml'"),
    "no package": ({"container": "<container/>"}, "names no package document"),
    "no chapter": ({"content": "<package/>"}, "lists no chapters"),
    "not xml": ({"content": "<package>"}, "not well-formed"),
    "not utf-8": ({"two": b"<p>caf\xe9</p>"}, "not UTF-8"),
    "protected": ({"encryption": LOCKED}, "protected"),
    "empty": ({"two": "<body/>", "chapter": "<body> <p/></body>"}, "contains no text"),
}


@pytest.mark.parametrize("case", BAD_BOOKS)
def test_a_hostile_or_broken_epub_is_refused_in_two_sentences(case: str, tmp_path: Path) -> None:
    parts, message = BAD_BOOKS[case]
    with pytest.raises(LmError, match=message) as error:
        load(book(tmp_path / "novel.epub", **parts))
    assert error.value.hint.endswith(".")


def test_a_zip_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(epub, "LARGEST_BOOK", 1 << 20)
    path = book(tmp_path / "novel.epub", two="<p>" + "a" * (1 << 22))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(LmError, match="more than 1 MB of text"):
        load(path)


def test_what_is_no_zip_is_no_epub(tmp_path: Path) -> None:
    (tmp_path / "novel.epub").write_text("a text after all")
    with pytest.raises(LmError, match="is not an EPUB or is damaged"):
        load(tmp_path / "novel.epub")
    content = bytearray(book(tmp_path / "novel.epub").read_bytes())
    content[400:500] = bytes(100)
    (tmp_path / "novel.epub").write_bytes(content)
    with pytest.raises(LmError):
        load(tmp_path / "novel.epub")


PAGES = {
    "paragraphs": (
        "<p>One</p><p>Two<br>lines</p><div>Three<div>nested</div>end</div>",
        "One|Two/lines|Three|nested|end|",
    ),
    "scripts": ("<p>a<script>if (1 < 2) {'</p>'}</script>b</p><style>x</style><noscript>y</noscript>", "ab|"),
    "head": ("<head><title>no</title><body>text", "text|"),
    "entities": ("&lt;b&gt; &eacute;&#233;&#xe9; &hellip; &unknown; &amp;amp;", "<b> ééé … &unknown; &amp;|"),
    "white space": ("<p> a\n\t b&nbsp;c </p>\n\n<p>\n</p>", "a b c|"),
    "soft hyphens": ("hy&shy;phen", "hyphen|"),
    "pre": ("<pre>\n a\n  b &lt;\n</pre>", " a/  b <|"),
    "table": ("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>", "a b|c|"),
    "unclosed": ("<p>one<p>two<i>three", "one|twothree|"),
    "comments": ("a<!-- no -->b<![CDATA[x]]>", "ab|"),
}


@pytest.mark.parametrize("case", PAGES)
def test_html_becomes_text(case: str) -> None:
    html, expected = PAGES[case]
    assert html_text(html) == expected.replace("|", "\n\n").replace("/", "\n")


@given(st.text())
def test_any_html_gives_text_without_markup_errors(html: str) -> None:
    assert isinstance(html_text(html), str)
    assert "<script" not in html_text(f"<script>{html}</script><p>x</p>").lower() or "</script" in html.lower()


def test_html_pages_are_decoded_as_they_declare(tmp_path: Path) -> None:
    body = "<p>" + "Ein schöner Satz. " * 20
    page = f"<html><head><meta charset='iso-8859-1'></head><body>{body}"
    (tmp_path / "old.htm").write_bytes(page.encode("latin-1"))
    (tmp_path / "new.html").write_bytes(b"\xef\xbb\xbf" + page.encode())
    expected = ("Ein schöner Satz. " * 20).strip() + "\n\n"
    assert text_of(load(tmp_path / "old.htm")) == text_of(load(tmp_path / "new.html")) == expected
    (tmp_path / "wrong.html").write_bytes(b"<p>caf\xe9")
    with pytest.raises(LmError, match=r"cannot be decoded.*not UTF-8"):
        load(tmp_path / "wrong.html")
    (tmp_path / "odd.html").write_bytes(b"<meta charset=klingon><p>caf\xe9")
    with pytest.raises(LmError, match="'klingon'"):
        load(tmp_path / "odd.html")


def test_rows_of_parquet_are_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"row {i}\nof text, é" for i in range(3000)]
    table = pyarrow.table({"text": [*texts, None, ""], "label": [1] * 3002, "other": ["x"] * 3002})
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=500)
    data = load(tmp_path / "rows.parquet")
    assert text_of(data) == "".join(text + "<|endoftext|>" for text in texts)
    with pytest.raises(LmError, match=r"no text column 'body' \(its text columns: text, other\)") as error:
        load(tmp_path / "rows.parquet", data__field="body")
    assert "data.field" in error.value.hint
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(LmError, match="damaged or not Parquet"):
        load(tmp_path / "bad.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(LmError, match="needs pyarrow") as error:
        list(parquet.parquet_texts(tmp_path / "rows.parquet", "text"))
    assert "lm-tui[parquet]" in error.value.hint


STORY = "".join(f"Line {i} of the story, which is told at some length.\n" for i in range(300))
HEADER = """The Project Gutenberg eBook of Emma

This ebook is for the use of anyone anywhere in the United States.

Title: Emma

{start}
"""
LICENCE = """{end}

Updated editions will replace the previous one.
*** START: FULL LICENSE ***
""" + "".join(f"Section {i}. Terms of use and redistribution of the works.\n" for i in range(50))
MARKERS = {
    "today's": ("*** START OF THE PROJECT GUTENBERG EBOOK EMMA ***", "*** END OF THE PROJECT GUTENBERG EBOOK EMMA ***"),
    "older": ("***START OF THE PROJECT GUTENBERG EBOOK EMMA***", "***END OF THE PROJECT GUTENBERG EBOOK EMMA***"),
    "oldest": (
        "*** START OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
        "End of the Project Gutenberg EBook of Emma, by Austen\n\n*** END OF THIS PROJECT GUTENBERG EBOOK EMMA ***",
    ),
    "two lines": (
        "*** START OF THE PROJECT GUTENBERG EBOOK THE LONG\nTITLE OF EMMA ***",
        "*** END OF THE PROJECT GUTENBERG EBOOK THE LONG\nTITLE OF EMMA ***",
    ),
}


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("markers", MARKERS)
def test_the_licence_of_project_gutenberg_is_cut_and_said_so(markers: str, ending: str, tmp_path: Path) -> None:
    start, end = MARKERS[markers]
    whole = HEADER.format(start=start) + STORY + LICENCE.format(end=end)
    (tmp_path / "emma.txt").write_bytes(whole.replace("\n", ending).encode())
    data = load(tmp_path / "emma.txt")
    assert text_of(data) == STORY.replace("\n", ending)
    (said,) = [warning for warning in data.warnings if "Gutenberg" in warning]
    assert "data.strip_gutenberg=false" in said
    kept = load(tmp_path / "emma.txt", data__strip_gutenberg=False)
    assert text_of(kept) == whole.replace("\n", ending)
    assert kept.corpus_hash != data.corpus_hash
    assert not any("Gutenberg" in warning for warning in kept.warnings)


def test_only_the_licence_several_books_and_no_markers(tmp_path: Path) -> None:
    start, end = MARKERS["today's"]
    path = tmp_path / "book.txt"
    path.write_text(STORY + LICENCE.format(end=end))
    assert text_of(load(path)) == STORY
    path.write_text((HEADER.format(start=start) + STORY + LICENCE.format(end=end)) * 2)
    assert text_of(load(path)) == STORY * 2
    talk = STORY + "He wrote *** END OF THE STORY *** and the Project Gutenberg was pleased.\n" + STORY
    path.write_text(talk)
    assert text_of(load(path)) == talk
    (tmp_path / "page.html").write_text(f"<p>{start}</p><p>{STORY}</p><p>{end}</p><p>Terms.</p>")
    assert text_of(load(tmp_path / "page.html")).split() == STORY.split()


@given(st.lists(st.integers(0, 20_000), max_size=6), st.integers(0, 60_000), st.booleans())
def test_where_the_blocks_end_changes_nothing(cuts: list[int], header: int, with_end: bool) -> None:
    start, end = MARKERS["oldest"]
    whole = "x\n" * (header // 2) + f"{start}\n" + STORY + (LICENCE.format(end=end) if with_end else "")
    bounds = sorted({0, *(min(cut * 4, len(whole)) for cut in cuts), len(whole)})
    parts = [whole[a:b] for a, b in itertools.pairwise(bounds)]
    pieces = [TextPiece(part, index == len(parts) - 1) for index, part in enumerate(parts)]
    dropped: list[int] = []
    kept = list(without_boilerplate(iter(pieces), dropped.append))
    assert "".join(piece.text for piece in kept) == STORY
    assert [piece.ends_document for piece in kept] == [False] * (len(kept) - 1) + [True]
    assert sum(dropped) == len(whole) - len(STORY)
    assert header < gutenberg.LONGEST_HEADER


def test_a_novel_without_markers_is_left_as_it_is(lm_data: Path) -> None:
    text = (lm_data / "emma.txt").read_text(encoding="utf-8")
    data = load(lm_data / "emma.txt")
    assert sum(split.bytes for split in data.splits.values()) == len(text.encode())
    assert not any("Gutenberg" in warning for warning in data.warnings)
