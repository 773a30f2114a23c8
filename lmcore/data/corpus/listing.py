"""What corpora there are: plain data for `lm data list|show|add|fetch`."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

from lmcore.data.corpus.catalogue import CATALOGUE
from lmcore.data.corpus.download import fetch_files
from lmcore.data.corpus.lookup import (
    Corpus,
    added_corpora,
    corpus_at,
    find_corpus,
    known_names,
    locate,
    remember_corpus,
)
from lmcore.data.corpus.sources import TextSource
from lmcore.data.places import default_cache
from lmcore.data.token_files import Report
from lmcore.errors import LmError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_FIRST_LINES = 8


@dataclass(frozen=True)
class CorpusInfo:
    """One line of `lm data list`.

    Attributes:
        where: a path, 'embedded', or the address it can be fetched from.
        available: whether it can be used without a download.
        kind: text or tokens.
        licence: empty where unknown.
        bytes: size on disk, of the download where it is not here yet; 0 where unknown.
        splits: those it brings; empty when they are cut.
        about: one line, empty where nothing is known.
        first_lines: of its training text; filled by `show_corpus`.
        problem: why it cannot be used, empty when it can.
    """

    name: str
    where: str
    available: bool
    kind: str
    licence: str
    bytes: int
    splits: tuple[str, ...]
    about: str
    first_lines: tuple[str, ...] = ()
    problem: str = ""


def list_corpora(cache_dir: Path | None = None) -> list[CorpusInfo]:
    """Every corpus that has a name: embedded, downloadable, added, and what lies in `$LM_DATA`."""
    cache = cache_dir or default_cache()
    return [_info(name, cache) for name in known_names(cache)]


def show_corpus(name: str, cache_dir: Path | None = None, text_field: str = "text") -> CorpusInfo:
    """One corpus, by name or path, with its first lines.

    Raises:
        UsageError: there is no such corpus.
        LmError: it cannot be read.
    """
    cache = cache_dir or default_cache()
    corpus = find_corpus(name, text_field, cache)
    if corpus is None:
        return _from_catalogue(name)
    return _describe(corpus, first_lines=_first_lines(corpus))


def add_corpus(name: str, path: Path | str, cache_dir: Path | None = None) -> CorpusInfo:
    """Give a path a name that `--data` understands.

    Raises:
        UsageError: a name that is none, or that is taken.
        LmError: the path holds no text.
    """
    cache = cache_dir or default_cache()
    if not _NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be a corpus's name.", "Use letters, digits, dots, dashes and underscores.")
    taken = (
        name == "python-docs"
        or name in CATALOGUE
        or (name not in added_corpora(cache) and locate(name, cache) is not None)
    )
    if taken:
        raise UsageError(f"There is already a corpus '{name}'.", "Choose another name.")
    path = Path(path).expanduser()
    corpus = corpus_at(path, name)
    remember_corpus(name, path, cache)
    return _describe(corpus)


def fetch_corpus(name: str, report: Report | None = None, cache_dir: Path | None = None) -> Path:
    """Download a public corpus into the cache, unless it is there or in `$LM_DATA`; where it lies.

    Raises:
        UsageError: it has no public home.
        LmError: no network, a wrong checksum, or a full disk.
    """
    cache = cache_dir or default_cache()
    return (locate(name, cache) if name in CATALOGUE else None) or fetch_files(name, cache, report)


def _info(name: str, cache: Path) -> CorpusInfo:
    try:
        corpus = find_corpus(name, cache_dir=cache)
    except LmError as error:
        return CorpusInfo(name, str(locate(name, cache) or ""), False, "text", "", 0, (), "", problem=str(error))
    return _from_catalogue(name) if corpus is None else _describe(corpus)


def _from_catalogue(name: str) -> CorpusInfo:
    entry = CATALOGUE[name]
    splits = tuple(
        {"train": "train", "valid": "val", "test": "test"}[file.removesuffix(".txt")] for _, file in entry.members
    )
    return CorpusInfo(name, entry.urls[0], False, "text", entry.licence, entry.size, splits, entry.about)


def _describe(corpus: Corpus, first_lines: tuple[str, ...] = ()) -> CorpusInfo:
    entry = CATALOGUE.get(corpus.name)
    about, licence = (entry.about, entry.licence) if entry else ("", "")
    if corpus.where == "embedded":
        about, licence = "Python's language reference, from this Python's own documentation", "PSF-2.0"
    sources = list(corpus.texts.values())
    size = sum(path.stat().st_size for source in sources for path in source.files) + sum(
        path.stat().st_size for path in corpus.tokens.values()
    )
    size += sum(len(text.encode()) for source in sources if source.texts for text in source.texts())
    kind = "tokens" if corpus.tokens else "text"
    return CorpusInfo(corpus.name, corpus.where, True, kind, licence, size, tuple(corpus.splits), about, first_lines)


def _first_lines(corpus: Corpus) -> tuple[str, ...]:
    source: TextSource | None = corpus.texts.get("train") or corpus.texts.get("all")
    if source is None:
        return ()
    text = "".join(piece.text for piece in itertools.islice(source.blocks(), 4))
    return tuple(itertools.islice((line for line in text.split("\n") if line.strip()), _FIRST_LINES))
