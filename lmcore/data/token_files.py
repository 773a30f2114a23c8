"""Token files: a corpus encoded once, memory-mapped ever after."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmcore.data.corpus.duplicates import DuplicateLines
from lmcore.data.corpus.pieces import TextPiece, utf8_size
from lmcore.data.corpus.splits import SplitTexts, TextSplit
from lmcore.data.places import CACHE_HINT, Report
from lmcore.data.tokenizer.base import Tokenizer
from lmcore.errors import LmError

# Part of every token file's name: raise it when encoding changes.
FORMAT = 1
BATCH = 1 << 20

TokenType = type[np.uint16] | type[np.uint32]


@dataclass(frozen=True)
class Split:
    """One split's tokens.

    Attributes:
        tokens: [N] uint16 or uint32, memory-mapped.
        words: words between white space in the original text.
        bytes: UTF-8 bytes of the original text.
        documents: [documents] int64, the token at which each starts; None for one running text.
    """

    tokens: np.ndarray
    words: int
    bytes: int
    documents: np.ndarray | None


def token_dtype(vocab_size: int) -> TokenType:
    """uint16 where every id fits, else uint32."""
    return np.uint16 if vocab_size <= 1 << 16 else np.uint32


def encoded_splits(
    texts: SplitTexts, tokenizer: Tokenizer, cache: Path, report: Report | None = None
) -> tuple[dict[str, Split], list[str]]:
    """The splits as token files, and warnings about text that stands in two of them.

    They are encoded on the first call and found by the hashes of the text and the tokenizer on later ones. Two
    processes may do this at once: each writes a folder of its own, and the first to finish gives it its name.

    Raises:
        LmError: unreadable text, or a cache that cannot be written.
    """
    folder = cache / "tokens" / f"{texts.hash[:24]}-{tokenizer.hash[:24]}-v{FORMAT}"
    meta = _read_meta(folder)
    if meta is None:
        try:
            _encode_all(texts, tokenizer, folder, report)
        except OSError as error:
            raise LmError(
                f"Token files cannot be written to {folder.parent}: {error.strerror}.",
                CACHE_HINT,
            ) from None
        meta = _read_meta(folder)
        if meta is None:
            raise LmError(f"The token files in {folder} were deleted while they were being read.", "Try again.")
    return {name: _open(folder, name, meta) for name in texts.splits}, list(meta["warnings"])


def _open(folder: Path, name: str, meta: dict[str, Any]) -> Split:
    values = meta["splits"][name]
    dtype = np.dtype(meta["dtype"])
    tokens = np.memmap(folder / f"{name}.bin", dtype, mode="r") if values["tokens"] else np.zeros(0, dtype)
    documents = np.load(folder / f"{name}.documents.npy", mmap_mode="r") if values["documents"] else None
    return Split(tokens, values["words"], values["bytes"], documents)


def _read_meta(folder: Path) -> dict[str, Any] | None:
    """What was written, or None where it is not there or not whole: then it is written again."""
    try:
        meta: dict[str, Any] = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        size = np.dtype(meta["dtype"]).itemsize
        if all(
            (folder / f"{name}.bin").stat().st_size == values["tokens"] * size
            for name, values in meta["splits"].items()
        ):
            return meta
    except (FileNotFoundError, ValueError, KeyError):
        pass
    return None


def _encode_all(texts: SplitTexts, tokenizer: Tokenizer, folder: Path, report: Report | None) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".encoding-"))
    try:
        progress = _EncodingProgress(report, sum(split.size for split in texts.splits.values()))
        duplicates = DuplicateLines()
        dtype = token_dtype(tokenizer.vocab_size)
        # The small splits come first: only their lines are remembered.
        counts = {
            name: _encode(texts.splits[name], tokenizer, work, name, dtype, progress, duplicates)
            for name in ("test", "val", "train")
        }
        meta = {"dtype": np.dtype(dtype).str, "splits": counts, "warnings": duplicates.warnings()}
        (work / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
        _put_in_place(work, folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _put_in_place(work: Path, folder: Path) -> None:
    try:
        os.rename(work, folder)
    except OSError:
        if _read_meta(folder) is not None:
            return
        # A damaged one is in the way. Moving it aside is atomic, removing it is not.
        aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".damaged-"))
        os.rename(folder, aside / "old")
        os.rename(work, folder)
        shutil.rmtree(aside, ignore_errors=True)


def _encode(
    split: TextSplit,
    tokenizer: Tokenizer,
    work: Path,
    name: str,
    dtype: TokenType,
    progress: _EncodingProgress,
    duplicates: DuplicateLines,
) -> dict[str, int]:
    count = words = size = 0
    documents = [0]
    lines = duplicates.reader(name)
    with (work / f"{name}.bin").open("wb") as file:
        for batch in _batches(split.pieces()):
            for ids, piece in zip(tokenizer.encode_many([piece.text for piece in batch]), batch, strict=True):
                if piece.ends_document and ends_with_eos(tokenizer, ids, split.many):
                    ids = np.append(ids, np.int32(tokenizer.eos_id or 0))
                file.write(ids.astype(dtype).tobytes())
                count += len(ids)
                words += len(piece.text.split())
                size += utf8_size(piece.text)
                lines.push(piece)
                if split.by_line:
                    lines.close()
                if piece.ends_document:
                    documents.append(count)
            progress(sum(utf8_size(piece.text) for piece in batch))
    lines.close()
    if split.many:
        starts = np.array(documents, np.int64)
        np.save(work / f"{name}.documents.npy", starts[starts < count])
    return {"tokens": count, "words": words, "bytes": size, "documents": len(documents) if split.many else 0}


def ends_with_eos(tokenizer: Tokenizer, ids: np.ndarray, many: bool) -> bool:
    """Whether a document's last piece needs an `<eos>`: between documents, and after a last line of words without its
    newline.
    """
    if tokenizer.eos_id is None:
        return False
    if tokenizer.eos_ends_lines:
        return len(ids) == 0 or int(ids[-1]) != tokenizer.eos_id
    return many


def _batches(pieces: Iterator[TextPiece]) -> Iterator[list[TextPiece]]:
    """Enough pieces at once to keep every core busy, and no more, because their encodings take many times the text's
    memory.
    """
    batch: list[TextPiece] = []
    held = 0
    for piece in pieces:
        batch.append(piece)
        held += len(piece.text)
        if held >= BATCH:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


class _EncodingProgress:
    def __init__(self, report: Report | None, total: int) -> None:
        self._report, self._total, self._done = report, total, 0

    def __call__(self, size: int) -> None:
        self._done += size
        if self._report is not None:
            self._report(self._done, self._total, "encoding")
