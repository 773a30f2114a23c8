"""A corpus's text by split: given by the corpus, or cut in order."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lmcore.data.corpus.lookup import SPLITS, Corpus
from lmcore.data.corpus.sources import Piece, TextSource, clip, cut_between_words, utf8_size
from lmcore.data.places import replacing
from lmcore.errors import LmError

# A cut moves at most so far to a document's or a line's end, and never over a quarter of the smallest split.
LONGEST_SHIFT = 1 << 16


@dataclass(frozen=True)
class Scan:
    """What one pass over a source finds.

    Attributes:
        digest: sha256 of the text and of its documents' ends.
        size: UTF-8 bytes.
        document_ends: [documents] int64, byte offsets.
    """

    digest: str
    size: int
    document_ends: np.ndarray


@dataclass(frozen=True)
class TextSplit:
    """A byte range of a source.

    Attributes:
        many: whether the corpus has several documents, so that their ends matter.
    """

    source: TextSource
    start: int
    end: int
    many: bool

    @property
    def size(self) -> int:
        """UTF-8 bytes."""
        return self.end - self.start

    def pieces(self) -> Iterator[Piece]:
        """Its text, cut between words."""
        return cut_between_words(clip(self.source.blocks(), self.start, self.end))


@dataclass(frozen=True)
class SplitTexts:
    """All splits of a corpus, with the hash of their content and what a user should know about them."""

    splits: dict[str, TextSplit]
    hash: str
    warnings: list[str]


def split_texts(corpus: Corpus, val_fraction: float, test_fraction: float, cache: Path) -> SplitTexts:
    """The three splits of a text corpus. What it does not bring is cut from the end of the training text, in order,
    never overlapping.

    Raises:
        LmError: unreadable text, or too little of it to be cut.
    """
    scans = {name: scan(source, cache) for name, source in corpus.texts.items()}
    many = any(len(found.document_ends) > 1 for found in scans.values())
    splits = {name: TextSplit(source, 0, scans[name].size, many) for name, source in corpus.texts.items()}
    given = sorted(scans)
    warnings = []
    if corpus.left_out:
        warnings.append(
            f"{corpus.left_out} text files in {corpus.where} are in none of its splits by their names: they are not read."
        )
    whole = "all" if "all" in splits else "train"
    missing = [name for name in SPLITS if name not in splits and name != "train"]
    if whole == "all" or missing:
        fractions = {"val": val_fraction, "test": test_fraction}
        cut = _cut(splits.pop(whole), scans[whole], [fractions[name] for name in missing])
        splits |= dict(zip(["train", *missing], cut, strict=True))
        if whole == "train":
            warnings.append(
                f"{corpus.name} brings no {' and no '.join(missing)} split: the end of its training text is used."
            )
    identity = [[name, scans[name].digest] for name in given] + [
        [name, splits[name].start, splits[name].size] for name in SPLITS
    ]
    return SplitTexts(
        {name: splits[name] for name in SPLITS}, hashlib.sha256(json.dumps(identity).encode()).hexdigest(), warnings
    )


def scan(source: TextSource, cache: Path) -> Scan:
    """One pass over the text; remembered in the cache until a file's size or time changes."""
    key = hashlib.sha256(json.dumps(source.fingerprint()).encode()).hexdigest()
    path = cache / "scans" / f"{key[:32]}.npz"
    if path.exists() and source.files:
        with np.load(path, allow_pickle=False) as saved:
            return Scan(str(saved["digest"]), int(saved["size"]), saved["document_ends"])
    digest, size, ends = hashlib.sha256(), 0, []
    for text, ends_document in source.blocks():
        encoded = text.encode()
        digest.update(encoded)
        size += len(encoded)
        if ends_document:
            digest.update(b"\xff")
            ends.append(size)
    if size == 0:
        raise LmError(f"{source.name} has no text.", "Give a file with text in it.")
    found = Scan(digest.hexdigest(), size, np.array(ends, np.int64))
    if source.files:
        with replacing(path) as new, new.open("wb") as file:
            np.savez(file, digest=np.array(found.digest), size=np.array(size), document_ends=found.document_ends)
    return found


def _cut(text: TextSplit, found: Scan, fractions: list[float]) -> list[TextSplit]:
    """`text` in consecutive parts: what the fractions leave, then one part for each."""
    shares = [fraction for fraction in fractions if fraction > 0]
    shift = min(LONGEST_SHIFT, int(found.size * min([*shares, 1 - sum(fractions)]) / 4))
    bounds = [0]
    left = 1.0 - sum(fractions)
    for fraction in fractions:
        bounds.append(found.size if left >= 1 - 1e-9 else _boundary(text.source, found, int(found.size * left), shift))
        left += fraction
    bounds.append(found.size)
    return [TextSplit(text.source, start, end, text.many) for start, end in itertools.pairwise(bounds)]


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
