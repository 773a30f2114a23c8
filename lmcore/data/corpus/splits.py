"""A corpus's text by split: given by the corpus, or cut in order."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lmcore.config import DataConfig
from lmcore.data.corpus.catalogue import identity
from lmcore.data.corpus.lookup import Corpus, published_entry
from lmcore.data.corpus.pieces import TextPiece, clip, cut_between_words, stripped_lines, utf8_size
from lmcore.data.corpus.sources import TextSource
from lmcore.data.places import CACHE_HINT
from lmcore.errors import LmError
from lmcore.files import replacing
from lmcore.measures import SPLITS
from lmcore.text import human_bytes

# A cut moves at most so far to a document's or a line's end, and never over a quarter of the smallest split.
LONGEST_SHIFT = 1 << 16


@dataclass(frozen=True)
class Scan:
    """What one pass over a source finds.

    Attributes:
        digest: sha256 of the text and of its documents' ends.
        size: UTF-8 bytes.
        document_ends: [documents] int64, byte offsets.
        left_out: UTF-8 bytes of Project Gutenberg's headers and licenses, which are no part of the text.
    """

    digest: str
    size: int
    document_ends: np.ndarray
    left_out: int


@dataclass(frozen=True)
class TextSplit:
    """A byte range of a source.

    Attributes:
        many: whether the corpus has several documents, so that their ends matter.
        by_line: each line is tokenized by itself, stripped, and blank ones are dropped.
    """

    source: TextSource
    start: int
    end: int
    many: bool
    by_line: bool

    @property
    def size(self) -> int:
        """UTF-8 bytes."""
        return self.end - self.start

    def pieces(self) -> Iterator[TextPiece]:
        """Its text, cut between words or into lines."""
        text = clip(self.source.blocks(), self.start, self.end)
        return stripped_lines(text) if self.by_line else cut_between_words(text)


@dataclass(frozen=True)
class SplitTexts:
    """All splits of a corpus, with the hash of their content and what a user should know about them."""

    splits: dict[str, TextSplit]
    hash: str
    warnings: list[str]


def split_texts(corpus: Corpus, config: DataConfig, cache: Path) -> SplitTexts:
    """The three splits of a text corpus. What it does not bring is cut from the end of the training text, in order,
    never overlapping.

    Raises:
        LmError: unreadable text, or too little of it to be cut.
    """
    scans = {name: scan(source, cache) for name, source in corpus.texts.items()}
    many = any(len(found.document_ends) > 1 for found in scans.values())
    by_line = config.strip_lines
    splits = {name: TextSplit(source, 0, scans[name].size, many, by_line) for name, source in corpus.texts.items()}
    warnings = []
    if corpus.left_out:
        files = "file" if corpus.left_out == 1 else "files"
        warnings.append(f"Ignored {corpus.left_out} text {files} in {corpus.where}: not named after a split.")
    if left_out := sum(found.left_out for found in scans.values()):
        warnings.append(
            f"Project Gutenberg's header and license ({human_bytes(left_out)}) were removed from {corpus.name}; "
            "data.strip_gutenberg=false keeps them."
        )
    whole = "all" if "all" in splits else "train"
    missing = [name for name in SPLITS if name not in splits and name != "train"]
    if whole == "all" or missing:
        fractions = {"val": config.val_fraction, "test": config.test_fraction}
        exact = config.split_at == "character"
        cut = _cut(splits.pop(whole), scans[whole], [fractions[name] for name in missing], exact)
        splits |= dict(zip(["train", *missing], cut, strict=True))
        if whole == "train":
            warnings.append(
                f"{corpus.name} has no {' and no '.join(missing)} split: the end of its training split is used instead."
            )
    splits = {name: splits[name] for name in SPLITS}
    return SplitTexts(splits, _identity(corpus, scans, splits, by_line, cache), warnings)


def _identity(corpus: Corpus, scans: dict[str, Scan], splits: dict[str, TextSplit], by_line: bool, cache: Path) -> str:
    """A hash of what the splits hold: the published one, where these are the published files of a public corpus."""
    files = {name: source.files[0] for name, source in corpus.texts.items() if len(source.files) == 1}
    entry = published_entry(files, cache) if set(files) == set(SPLITS) else None
    if entry is not None:
        content = identity(entry)
    else:
        parts = [[name, scans[name].digest] for name in sorted(scans)] + [
            [name, splits[name].start, splits[name].size] for name in SPLITS
        ]
        content = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
    return hashlib.sha256(f"{content} by line".encode()).hexdigest() if by_line else content


def scan(source: TextSource, cache: Path) -> Scan:
    """One pass over the text; remembered in the cache until a file's size or time changes."""
    key = hashlib.sha256(json.dumps(source.fingerprint()).encode()).hexdigest()
    path = cache / "scans" / f"{key[:32]}.npz"
    if path.exists() and source.files:
        with np.load(path, allow_pickle=False) as saved:
            return Scan(str(saved["digest"]), int(saved["size"]), saved["document_ends"], int(saved["left_out"]))
    digest, size, ends, left_out = hashlib.sha256(), 0, [], [0]
    for text, ends_document in source.blocks(left_out.append):
        encoded = text.encode()
        digest.update(encoded)
        size += len(encoded)
        if ends_document:
            digest.update(b"\xff")
            ends.append(size)
    if size == 0:
        raise LmError(f"{source.name} contains no text.", "Choose a file that contains text.")
    found = Scan(digest.hexdigest(), size, np.array(ends, np.int64), sum(left_out))
    if source.files:
        with replacing(path, CACHE_HINT) as new, new.open("wb") as file:
            np.savez(
                file,
                digest=np.array(found.digest),
                size=np.array(size),
                document_ends=found.document_ends,
                left_out=np.array(found.left_out),
            )
    return found


def _cut(text: TextSplit, found: Scan, fractions: list[float], exact: bool) -> list[TextSplit]:
    """`text` in consecutive parts: what the fractions leave, then one part for each; cut at lines unless `exact`."""
    shares = [fraction for fraction in fractions if fraction > 0]
    shift = 0 if exact else min(LONGEST_SHIFT, int(found.size * min([*shares, 1 - sum(fractions)]) / 4))
    bounds = [0]
    left = 1.0 - sum(fractions)
    for fraction in fractions:
        bounds.append(found.size if left >= 1 - 1e-9 else _boundary(text.source, found, int(found.size * left), shift))
        left += fraction
    bounds.append(found.size)
    return [replace(text, start=start, end=end) for start, end in itertools.pairwise(bounds)]


def _boundary(source: TextSource, found: Scan, target: int, shift: int) -> int:
    """The first end of a document, else of a line, else of a character, at or after `target`."""
    index = int(np.searchsorted(found.document_ends, target))
    if found.document_ends[index] - target <= shift and found.document_ends[index] < found.size:
        return int(found.document_ends[index])
    position = 0
    near = b""
    for text, _ in source.blocks():
        size = utf8_size(text)
        if position + size > target:
            near += text.encode()[max(target - position, 0) :]
        position += size
        if len(near) > shift + 4:
            break
    newline = near.find(b"\n", 0, shift)
    if newline >= 0 and target + newline + 1 < found.size:
        return target + newline + 1
    # UTF-8's continuation bytes are 10xxxxxx.
    return target + next((index for index, byte in enumerate(near) if byte & 0xC0 != 0x80), 0)
