"""Which tokenizer a config means: trained on the corpus, read from files, or fetched from the Hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tokenizers import normalizers

from lmcore.config import TokenizerConfig
from lmcore.data.corpus.lookup import Corpus
from lmcore.data.corpus.splits import SplitTexts, TextSplit
from lmcore.data.places import CACHE_HINT, data_subfolders, default_cache
from lmcore.data.tokenizer.base import Tokenizer, load_tokenizer
from lmcore.data.tokenizer.build import bpe_tokenizer, char_tokenizer, gpt1_tokenizer, gpt2_tokenizer, word_tokenizer
from lmcore.errors import OutOfReachError, UsageError
from lmcore.files import replacing
from lmcore.hub import cached_file, hub_file

# Part of the key under which a trained tokenizer is kept: raise it when training changes.
FORMAT = 1
# BPE is trained on at most so many bytes, taken evenly from the whole training split: merges settle long before, and
# memory stays bounded.
BPE_SAMPLE = 1 << 25
_FILES = {"gpt1": ("encoder_bpe_40000.json", "vocab_40000.bpe"), "gpt2": ("encoder.json", "vocab.bpe")}
PUBLISHED_TITLES = {"gpt1": "GPT-1", "gpt2": "GPT-2"}
_HUB = {"gpt1": "openai-community/openai-gpt", "gpt2": "openai-community/gpt2"}
_IN_THE_HUB = ("vocab.json", "merges.txt")
PUBLISHED_SIZES = {"gpt1": 40_478, "gpt2": 50_257}


def choose_tokenizer(
    config: TokenizerConfig, texts: SplitTexts, corpus: Corpus, cache: Path
) -> tuple[Tokenizer, list[str]]:
    """The config's tokenizer for this corpus, and a sentence for what stands in for it. What is trained is trained on
    the training split only, once.

    Raises:
        UsageError: kind `file` without a path; a vocabulary size that cannot be.
        LmError: the files are damaged.
    """
    if config.kind == "file":
        return _lowercased(_from_file(config), config), []
    if config.kind not in _FILES:
        return _trained(config, texts, cache), []
    try:
        folder = _bpe_folder(config.kind, config, corpus, cache)
    except OutOfReachError as error:
        own = stand_in(config)
        title = PUBLISHED_TITLES[config.kind]
        sentence = (
            f"The tokenizer is a byte-level BPE of at most {own.vocab_size:,} tokens, trained on the corpus, because "
            f"{title}'s is not available: its token perplexities cannot be compared with those of {title}'s. {error}"
        )
        return _trained(own, texts, cache), [sentence]
    if config.kind == "gpt1":
        return gpt1_tokenizer(folder, pad_first=config.pad_first), []
    return _lowercased(gpt2_tokenizer(folder), config), []


def stand_in(config: TokenizerConfig) -> TokenizerConfig:
    """A BPE trained on the corpus that is as near to a published one as can be: size, letter case, `<pad>`."""
    gpt1 = config.kind == "gpt1"
    changes = {
        "kind": "bpe",
        "vocab_size": PUBLISHED_SIZES[config.kind] + (gpt1 and config.pad_first),
        "special_tokens": ("<pad>",) if gpt1 and config.pad_first else (),
        "lowercase": gpt1 or config.lowercase,
        "pad_first": False,
    }
    return config.model_copy(update=changes)


def has_published_files(config: TokenizerConfig, beside: Path | None) -> bool:
    """Whether `gpt1` or `gpt2` needs no network: named, beside the corpus, in `$LM_DATA`, or downloaded before."""
    folders = [*([beside] if beside else []), *data_subfolders(), _own_folder(config.kind)]
    if config.path or any(_holds(folder, config.kind) for folder in folders):
        return True
    return all(cached_file(_HUB[config.kind], name) for name in _IN_THE_HUB)


def load_bpe_beside(corpus: Corpus, config: TokenizerConfig, cache: Path) -> Tokenizer:
    """The tokenizer of a corpus that is already tokenized: a tokenizer.json or GPT-1's files beside it, else what
    `[tokenizer]` names.

    GPT-1's files beside token files mean ids with `<pad>` first, as the twelve experiments' study wrote them.

    Raises:
        UsageError: there is none.
    """
    folder = corpus.folder or Path()
    if (folder / "tokenizer.json").exists():
        return load_tokenizer(folder)
    if all((folder / name).exists() for name in _FILES["gpt1"]):
        return gpt1_tokenizer(folder, pad_first=True)
    if config.kind == "file":
        return _from_file(config)
    if config.kind == "gpt2":
        return gpt2_tokenizer(_bpe_folder("gpt2", config, corpus, cache))
    if config.kind == "gpt1":
        return gpt1_tokenizer(_bpe_folder("gpt1", config, corpus, cache), pad_first=config.pad_first)
    raise UsageError(
        f"{corpus.where} contains tokens, but not the tokenizer that was used to create them.",
        "Put its tokenizer.json into the folder, or set tokenizer.kind to gpt2 (nanoGPT's prepare.py), gpt1 or file.",
    )


def bpe_sample(split: TextSplit, limit: int = BPE_SAMPLE) -> Iterator[str]:
    """All of a split's text, or every k-th piece of it so that about `limit` bytes remain."""
    every = -(-split.size // limit)
    return (piece.text for index, piece in enumerate(split.pieces()) if index % every == 0)


def _trained(config: TokenizerConfig, texts: SplitTexts, cache: Path) -> Tokenizer:
    key = hashlib.sha256(
        json.dumps([FORMAT, texts.hash, config.model_dump(mode="json")], sort_keys=True).encode()
    ).hexdigest()
    path = cache / "tokenizers" / f"{key[:32]}.json"
    if path.exists():
        return load_tokenizer(path)
    train = texts.splits["train"]
    pieces = (piece.text for piece in train.pieces())
    if config.kind == "char":
        tokenizer = char_tokenizer(
            pieces, min_frequency=config.min_frequency, lowercase=config.lowercase, eos=train.many
        )
    elif config.kind == "word":
        tokenizer = word_tokenizer(
            pieces, vocab_size=config.vocab_size, min_frequency=config.min_frequency, lowercase=config.lowercase
        )
    else:
        tokenizer = bpe_tokenizer(
            bpe_sample(train),
            vocab_size=config.vocab_size,
            min_frequency=config.min_frequency,
            lowercase=config.lowercase,
            special_tokens=config.special_tokens,
        )
    with replacing(path, CACHE_HINT) as new:
        tokenizer.save(new)
    return tokenizer


def _from_file(config: TokenizerConfig) -> Tokenizer:
    if not config.path:
        raise UsageError(
            "tokenizer.kind is file, but tokenizer.path is empty.", "Set tokenizer.path to a tokenizer.json."
        )
    return load_tokenizer(Path(config.path).expanduser())


def _lowercased(tokenizer: Tokenizer, config: TokenizerConfig) -> Tokenizer:
    if not config.lowercase:
        return tokenizer
    backend, first = tokenizer.backend, normalizers.Lowercase()
    backend.normalizer = normalizers.Sequence([first, backend.normalizer]) if backend.normalizer else first
    return Tokenizer(backend)


def _bpe_folder(kind: str, config: TokenizerConfig, corpus: Corpus, cache: Path) -> Path:
    """The folder with the two files: as configured, beside the corpus, in `$LM_DATA` or one of its folders, in the
    cache, from the Hub.
    """
    if config.path:
        return Path(config.path).expanduser()
    beside = [corpus.folder] if corpus.folder else []
    own = _own_folder(kind, cache)
    for folder in [*beside, *data_subfolders(), own]:
        if _holds(folder, kind):
            return folder
    return _from_hub(kind, own)


def _own_folder(kind: str, cache: Path | None = None) -> Path:
    return (cache or default_cache()) / f"{kind}-bpe"


def _holds(folder: Path, kind: str) -> bool:
    return all((folder / name).is_file() for name in _FILES[kind])


def _from_hub(kind: str, folder: Path) -> Path:
    names = " and ".join(_FILES[kind])
    hint = f"Put {names} in a folder listed in $LM_DATA, or set tokenizer.path to their folder."
    fetched = [hub_file(_HUB[kind], name, hint) for name in _IN_THE_HUB]
    for source, name in zip(fetched, _FILES[kind], strict=True):
        with replacing(folder / name, CACHE_HINT) as new:
            new.write_bytes(source.read_bytes())
    return folder
