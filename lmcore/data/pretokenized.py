"""Corpora that are already tokens: `.npz` with `tokens` and `sizes`, and nanoGPT's `.bin`."""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path

import numpy as np

from lmcore.data.checksums import remembered_hash
from lmcore.data.corpus.catalogue import identity, known_by
from lmcore.data.corpus.lookup import Corpus
from lmcore.data.places import CACHE_HINT
from lmcore.data.token_files import Split
from lmcore.data.tokenizer.base import Tokenizer
from lmcore.errors import LmError
from lmcore.files import replacing
from lmcore.measures import SPLITS

_CHUNK = 1 << 20


def tokenized_splits(
    corpus: Corpus, tokenizer: Tokenizer, val_fraction: float, test_fraction: float, cache: Path
) -> tuple[dict[str, Split], str, list[str]]:
    """The three splits, a hash of their content, and warnings. A split that is missing is cut from the end of the
    training tokens. The published tokens of a public corpus have the hash, the words and the bytes of its text.

    Raises:
        LmError: a damaged file.
    """
    hashes = {name: remembered_hash(path, cache) for name, path in corpus.tokens.items()}
    parts = {name: _read(path, hashes[name], cache) for name, path in corpus.tokens.items()}
    whole = "all" if "all" in parts else "train"
    missing = [name for name in SPLITS if name not in parts and name != "train"]
    warnings = []
    if missing:
        fractions = {"val": val_fraction, "test": test_fraction}
        parts |= _cut(*parts.pop(whole), {name: fractions[name] for name in missing})
        if whole == "train":
            warnings.append(
                f"{corpus.name} has no {' and no '.join(missing)} split: the end of its training split is used instead."
            )
    entry = known_by(hashes)
    if entry is not None:
        corpus_hash = identity(entry)
        counts = {name: (known.words, known.bytes) for name, known in entry.published.items()}
    else:
        content = json.dumps([hashes, {name: len(parts[name][0]) for name in SPLITS}], sort_keys=True)
        corpus_hash = hashlib.sha256(content.encode()).hexdigest()
        counts = _counted(
            {name: parts[name][0] for name in SPLITS},
            tokenizer,
            cache / "scans" / f"{corpus_hash[:16]}-{tokenizer.hash[:16]}.json",
        )
    splits = {
        name: Split(tokens=parts[name][0], words=counts[name][0], bytes=counts[name][1], documents=parts[name][1])
        for name in SPLITS
    }
    return splits, corpus_hash, warnings


def _read(path: Path, digest: str, cache: Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Tokens, memory-mapped, and where the documents start."""
    if path.suffix == ".bin":
        size = path.stat().st_size
        if size == 0 or size % 2:
            raise LmError(
                f"{path} is not a file of 16-bit tokens: its size is {size} bytes.",
                "Create it again with the program that made it.",
            )
        return np.memmap(path, np.dtype("<u2"), mode="r"), None
    tokens_file, starts_file = (cache / "tokens" / f"npz-{digest[:32]}.{part}.npy" for part in ("tokens", "starts"))
    if not (tokens_file.exists() and starts_file.exists()):
        tokens, starts = _unpack(path)
        for target, array in ((tokens_file, tokens), (starts_file, starts)):
            with replacing(target, CACHE_HINT) as new, new.open("wb") as file:
                np.save(file, array)
    return np.load(tokens_file, mmap_mode="r"), np.load(starts_file)


def _unpack(path: Path) -> tuple[np.ndarray, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            tokens, sizes = np.asarray(arrays["tokens"]), np.asarray(arrays["sizes"]) if "sizes" in arrays else None
    except KeyError:
        raise LmError(
            f"{path} has no array 'tokens'.", "Save token ids as `tokens`, and tokens per line as `sizes`."
        ) from None
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise LmError(
            f"{path} is damaged or not an .npz of plain arrays: {error}.", "Create or download it again."
        ) from None
    if tokens.ndim != 1 or not np.issubdtype(tokens.dtype, np.integer) or (len(tokens) and int(tokens.min()) < 0):
        raise LmError(
            f"`tokens` in {path} is not a one-dimensional array of ids, but {tokens.dtype} of shape {tokens.shape}.",
            "Save non-negative integers in one dimension.",
        )
    sizes = np.array([len(tokens)]) if sizes is None else sizes
    if int(sizes.sum()) != len(tokens):
        raise LmError(
            f"`sizes` in {path} adds up to {int(sizes.sum())}, but there are {len(tokens)} tokens.", "Create it again."
        )
    small = len(tokens) == 0 or int(tokens.max()) < 1 << 16
    return tokens.astype(np.uint16 if small else np.uint32), np.cumsum(sizes, dtype=np.int64) - sizes


def _cut(
    tokens: np.ndarray, starts: np.ndarray | None, fractions: dict[str, float]
) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    bounds = [0]
    left = 1.0 - sum(fractions.values())
    for fraction in fractions.values():
        bounds.append(round(len(tokens) * left))
        left += fraction
    bounds.append(len(tokens))
    parts: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for name, start, end in zip(["train", *fractions], bounds, bounds[1:], strict=False):
        inside = None if starts is None else np.union1d([start], starts[(starts > start) & (starts < end)]) - start
        parts[name] = (tokens[start:end], inside)
    return parts


def _counted(parts: dict[str, np.ndarray], tokenizer: Tokenizer, known: Path) -> dict[str, tuple[int, int]]:
    """Words and UTF-8 bytes of the text behind the tokens, by split."""
    if known.exists():
        return {name: (words, size) for name, (words, size) in json.loads(known.read_text(encoding="utf-8")).items()}
    counts = {name: _words_and_bytes(tokens, tokenizer) for name, tokens in parts.items()}
    with replacing(known, CACHE_HINT) as new:
        new.write_text(json.dumps(counts), encoding="utf-8")
    return counts


def _words_and_bytes(tokens: np.ndarray, tokenizer: Tokenizer) -> tuple[int, int]:
    """Counted from a table of the vocabulary, because decoding a large file token by token would take minutes.

    A token's words count, less one where it goes on with the word that the token before left open.
    """
    spelled = tokenizer.spelling()
    sizes = np.array([len(text) for text in spelled], np.int64)
    words = np.array([len(text.split()) for text in spelled], np.int64)
    opens = np.array([not text[:1].isspace() and len(text) > 0 for text in spelled])
    leaves_open = np.array([not text[-1:].isspace() and len(text) > 0 for text in spelled])
    total_words = total_bytes = 0
    open_word = False
    for start in range(0, len(tokens), _CHUNK):
        ids = np.minimum(tokens[start : start + _CHUNK], len(spelled) - 1)
        before = np.append(open_word, leaves_open[ids[:-1]])
        total_words += int(words[ids].sum() - np.count_nonzero(before & opens[ids] & (words[ids] > 0)))
        total_bytes += int(sizes[ids].sum())
        open_word = bool(leaves_open[ids[-1]])
    return total_words, total_bytes
