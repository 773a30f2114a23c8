"""What corpora there are: plain data for `lm data list|show|add|fetch|rm`."""

from __future__ import annotations

import itertools
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from lmcore.data.corpus.catalogue import CATALOGUE, IN_GPT1_TOKENS
from lmcore.data.corpus.download import downloaded, fetch_files
from lmcore.data.corpus.embedded import EMBEDDED
from lmcore.data.corpus.hub_dataset import PREFIX, downloaded_dataset, fetch_dataset, remove_dataset
from lmcore.data.corpus.lookup import (
    Corpus,
    added_corpora,
    corpus_at,
    find_corpus,
    forget_corpus,
    is_name,
    known_names,
    locate,
    published_tokens,
    remember_corpus,
)
from lmcore.data.corpus.sources import Reading, TextSource
from lmcore.data.places import Report, default_cache
from lmcore.errors import LmError, UsageError, did_you_mean

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


def show_corpus(name: str, cache_dir: Path | None = None, reading: Reading | None = None) -> CorpusInfo:
    """One corpus, by name or path, with its first lines.

    Raises:
        UsageError: there is no such corpus.
        LmError: it cannot be read.
    """
    cache = cache_dir or default_cache()
    corpus = find_corpus(name, reading, cache)
    if corpus is None:
        return _from_catalogue(name)
    return _describe(name, corpus, first_lines=_first_lines(corpus))


def add_corpus(name: str, path: Path | str, cache_dir: Path | None = None) -> CorpusInfo:
    """Give a path a name that `--data` understands.

    Raises:
        UsageError: the name is not valid, or it is taken.
        LmError: the path contains no text.
    """
    cache = cache_dir or default_cache()
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{name}' is not a valid corpus name.",
            "Start with a letter or digit, and use letters, digits, dots, dashes and underscores.",
        )
    taken = name in (EMBEDDED, *CATALOGUE, *IN_GPT1_TOKENS) or (
        name not in added_corpora(cache) and locate(name, cache) is not None
    )
    if taken:
        raise UsageError(f"There is already a corpus '{name}'.", "Choose another name.")
    path = Path(path).expanduser()
    corpus = corpus_at(path, name)
    remember_corpus(name, path, cache)
    return _describe(name, corpus)


def fetch_corpus(name: str, report: Report | None = None, cache_dir: Path | None = None) -> Path:
    """Download a public corpus into the cache, unless it is there or in `$LM_DATA`; where it lies.

    Raises:
        UsageError: it is not in the catalogue.
        OutOfReachError: no network, or a wrong checksum.
        LmError: a full disk.
    """
    cache = cache_dir or default_cache()
    if name.startswith(PREFIX):
        return fetch_dataset(name, cache, report)
    public = IN_GPT1_TOKENS.get(name, name)
    if public != name and (tokens := published_tokens(public, cache)):
        return Path(tokens.where)
    return (locate(public, cache) if public in CATALOGUE else None) or fetch_files(public, cache, report)


def removable(name: str, cache_dir: Path | None = None) -> Path | None:
    """What `remove_corpus` would delete: a download in the cache, or None where only an added name goes.

    Raises:
        UsageError: there is no such corpus, it was not downloaded, or it is the user's own file.
    """
    cache = cache_dir or default_cache()
    if name in added_corpora(cache):
        return None
    if name.startswith(PREFIX):
        path = dataset.folder if (dataset := downloaded_dataset(name, cache)) else None
    else:
        public = IN_GPT1_TOKENS.get(name, name)
        path = downloaded(public, cache) if public in CATALOGUE else None
    if path is not None and path.exists():
        return path
    if name == EMBEDDED:
        raise UsageError(f"'{name}' is part of Python and cannot be removed.", "It uses no space in the cache.")
    if name in known_names(cache) or is_name(name, cache):
        where = locate(name, cache)
        if where is None:
            raise UsageError(
                f"'{name}' has not been downloaded, so there is nothing to remove.",
                "`lm data list` shows which corpora are on this machine.",
            )
        raise UsageError(
            f"{where} is your own file: lm does not delete it.", "To delete it, use your file manager or `rm`."
        )
    raise UsageError(
        f"There is no corpus '{name}'.", did_you_mean(name, known_names(cache), "`lm data list` lists all corpora.")
    )


def remove_corpus(name: str, cache_dir: Path | None = None) -> None:
    """Forget an added name, whose file stays, or delete a downloaded corpus from the cache.

    Raises:
        UsageError: as `removable`.
        LmError: it cannot be deleted.
    """
    cache = cache_dir or default_cache()
    path = removable(name, cache)
    try:
        if path is None:
            forget_corpus(name, cache)
        elif name.startswith(PREFIX):
            remove_dataset(name, cache)
        elif path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise LmError(
            f"{path} cannot be deleted: {error.strerror or error}.", "Check the permissions of the cache folder."
        ) from None


def _info(name: str, cache: Path) -> CorpusInfo:
    try:
        corpus = find_corpus(name, cache_dir=cache)
    except LmError as error:
        return CorpusInfo(name, str(locate(name, cache) or ""), False, "text", "", 0, (), "", problem=str(error))
    return _from_catalogue(name) if corpus is None else _describe(name, corpus)


def _from_catalogue(name: str) -> CorpusInfo:
    if name.startswith(PREFIX):
        home = f"https://huggingface.co/datasets/{name.removeprefix(PREFIX).split(':')[0]}"
        return CorpusInfo(name, home, False, "text", "", 0, (), "")
    entry = CATALOGUE[IN_GPT1_TOKENS.get(name, name)]
    about, _ = _known_about(name)
    return CorpusInfo(name, entry.downloads[0].urls[0], False, "text", entry.licence, entry.size, entry.splits, about)


def _known_about(name: str) -> tuple[str, str]:
    """One line, and the licence; both empty where nothing is known."""
    if name == EMBEDDED:
        return "The Python language reference, from the documentation inside this Python", "PSF-2.0"
    public = IN_GPT1_TOKENS.get(name, name)
    entry = CATALOGUE.get(public)
    if entry is None:
        return "", ""
    return f"{public}, tokenized with GPT-1's BPE" if name in IN_GPT1_TOKENS else entry.about, entry.licence


def _describe(name: str, corpus: Corpus, first_lines: tuple[str, ...] = ()) -> CorpusInfo:
    about, licence = _known_about(name)
    sources = list(corpus.texts.values())
    size = sum(path.stat().st_size for source in sources for path in source.files) + sum(
        path.stat().st_size for path in corpus.tokens.values()
    )
    size += sum(len(text.encode()) for source in sources if source.texts for text in source.texts())
    kind = "tokens" if corpus.tokens else "text"
    return CorpusInfo(name, corpus.where, True, kind, licence, size, tuple(corpus.splits), about, first_lines)


def _first_lines(corpus: Corpus) -> tuple[str, ...]:
    source: TextSource | None = corpus.texts.get("train") or corpus.texts.get("all")
    if source is None:
        return ()
    text = "".join(piece.text for piece in itertools.islice(source.blocks(), 4))
    return tuple(itertools.islice((line for line in text.split("\n") if line.strip()), _FIRST_LINES))
