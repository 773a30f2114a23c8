"""Building tokenizers: characters, words, byte-level BPE from a text; GPT-1's and GPT-2's BPE from their two files."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from lmcore.data.tokenizer.base import Tokenizer
from lmcore.errors import LmError, UsageError

# Words with inner apostrophes, bracketed markers such as <unk>, runs of dashes, three dots, single signs.
WORD_PATTERN = r"<[a-z]+>|[^\W_]+(?:['’][^\W_]+)*|--+|\.{3}|[^\s]"
DEFAULT_BPE_SIZE = 8192
END_OF_TEXT = "<|endoftext|>"
_SPACED_STOPS = re.compile(r" [.,] ")
_CLOSE_STOPS = re.compile(r"\w[.,]\s")


def char_tokenizer(
    texts: Iterable[str], *, min_frequency: int = 1, lowercase: bool = False, eos: bool = False
) -> Tokenizer:
    """One token a character, in code point order after `<unk>` (and `<eos>`, if documents need an end).

    Characters rarer than `min_frequency` in `texts` become `<unk>`.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text.replace("Σ", "σ").lower() if lowercase else text)
    tokens = [
        "<unk>",
        *(["<eos>"] if eos else []),
        *sorted(char for char, count in counts.items() if count >= min_frequency),
    ]
    backend = Backend(models.WordLevel({token: index for index, token in enumerate(tokens)}, unk_token="<unk>"))
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    backend.decoder = decoders.Fuse()
    return Tokenizer(backend)


def word_tokenizer(
    texts: Iterable[str], *, vocab_size: int = 0, min_frequency: int = 1, lowercase: bool = False
) -> Tokenizer:
    """Words by frequency after `<unk>` and `<eos>`; every line ends with `<eos>`, as in PyTorch's word_language_model.

    Text whose punctuation already stands between spaces (WikiText) is split at white space only; other prose also
    around punctuation.

    Raises:
        UsageError: `vocab_size` leaves no room for a word.
    """
    if 0 < vocab_size < 3:
        raise UsageError(
            f"A word vocabulary of {vocab_size} is too small for any word.",
            "Set tokenizer.vocab_size to 3 or more, or 0 for no limit.",
        )
    stream = iter(texts)
    first = next(stream, "")
    spaced = len(_SPACED_STOPS.findall(first)) > len(_CLOSE_STOPS.findall(first))
    counter = _word_backend(models.WordLevel({}, unk_token="<unk>"), lowercase=lowercase, spaced=spaced)
    trainer = trainers.WordLevelTrainer(
        vocab_size=2**31 - 1, min_frequency=min_frequency, special_tokens=[], show_progress=False
    )
    counter.train_from_iterator(_chain(first, stream), trainer)
    counted = counter.get_vocab()
    words = [word for word in sorted(counted, key=counted.__getitem__) if word not in ("<unk>", "<eos>")]
    tokens = ["<unk>", "<eos>", *words][: vocab_size or None]
    model = models.WordLevel({token: index for index, token in enumerate(tokens)}, unk_token="<unk>")
    return Tokenizer(_word_backend(model, lowercase=lowercase, spaced=spaced))


def bpe_tokenizer(
    texts: Iterable[str],
    *,
    vocab_size: int = 0,
    min_frequency: int = 1,
    lowercase: bool = False,
    special_tokens: tuple[str, ...] = (),
) -> Tokenizer:
    """Byte-level BPE (Radford et al. 2019) trained on `texts`: it can encode any text.

    `special_tokens` take the first ids; without them `<|endoftext|>` does.

    Raises:
        UsageError: `vocab_size` has no room for the 256 bytes and the special tokens.
    """
    special = list(special_tokens) or [END_OF_TEXT]
    size = vocab_size or DEFAULT_BPE_SIZE
    if size < 256 + len(special):
        raise UsageError(
            f"A byte-level vocabulary of {size} is too small for 256 bytes and {len(special)} special tokens.",
            f"Set tokenizer.vocab_size to {256 + len(special)} or more.",
        )
    backend = _byte_level(models.BPE())
    if lowercase:
        backend.normalizer = normalizers.Lowercase()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=min_frequency,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in special],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    return Tokenizer(backend)


def gpt2_tokenizer(folder: Path) -> Tokenizer:
    """GPT-2's byte-level BPE, 50,257 tokens, from `encoder.json` and `vocab.bpe`.

    Raises:
        LmError: a file is missing or damaged.
    """
    vocab, merges = _read_bpe(folder / "encoder.json", folder / "vocab.bpe")
    backend = _byte_level(models.BPE(vocab=vocab, merges=merges))
    if END_OF_TEXT in vocab:
        backend.add_special_tokens([AddedToken(END_OF_TEXT, special=True, normalized=False)])
    return Tokenizer(backend)


def gpt1_tokenizer(folder: Path, *, pad_first: bool = False) -> Tokenizer:
    """GPT-1's BPE on lowercased text, from `encoder_bpe_40000.json` and `vocab_40000.bpe` (Radford et al. 2018).

    Args:
        pad_first: `<pad>` is id 0 and every other id moves up by one: 40,479 rows instead of 40,478.

    Raises:
        LmError: a file is missing or damaged.
    """
    vocab, merges = _read_bpe(folder / "encoder_bpe_40000.json", folder / "vocab_40000.bpe")
    if pad_first:
        vocab = {"<pad>": 0} | {token: index + 1 for token, index in vocab.items()}
    backend = Backend(models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", end_of_word_suffix="</w>"))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    return Tokenizer(backend)


def _byte_level(model: models.BPE) -> Backend:
    backend = Backend(model)
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    return backend


def _word_backend(model: models.WordLevel, *, lowercase: bool, spaced: bool) -> Backend:
    backend = Backend(model)
    line_ends = normalizers.Replace("\n", " <eos> ")
    backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), line_ends]) if lowercase else line_ends
    if spaced:
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    else:
        backend.pre_tokenizer = pre_tokenizers.Split(Regex(WORD_PATTERN), "removed", invert=True)
    return backend


def _chain(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _read_bpe(vocab_file: Path, merges_file: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    try:
        vocab = json.loads(vocab_file.read_text(encoding="utf-8"))
        lines = merges_file.read_text(encoding="utf-8").split("\n")
    except OSError as error:
        raise LmError(
            f"{error.filename} cannot be read: {error.strerror}.",
            "Put the vocabulary and the merges of the BPE into one folder.",
        ) from None
    except ValueError as error:
        raise LmError(f"{vocab_file} is damaged: {error}.", "Download it again.") from None
    merges = [tuple(line.split(" ")) for line in lines if line and not line.startswith("#version")]
    if bad := next((pair for pair in merges if len(pair) != 2), None):
        raise LmError(f"{merges_file} is damaged: '{' '.join(bad)}' is not a pair of tokens.", "Download it again.")
    return vocab, [(left, right) for left, right in merges]
