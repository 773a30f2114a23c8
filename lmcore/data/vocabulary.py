"""How many tokens the vocabulary of a config will have, before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass

from lmcore.config import Config
from lmcore.data.corpus.listing import show_corpus
from lmcore.data.load import load_data
from lmcore.data.places import Report
from lmcore.data.tokenizer.base import load_tokenizer
from lmcore.data.tokenizer.build import DEFAULT_BPE_SIZE
from lmcore.data.tokenizer.select import PUBLISHED_SIZES
from lmcore.errors import LmError

# A BPE is smaller than asked for only where the text is short. One of this many bytes or fewer is read to be sure.
SHORT_TEXT = 8 << 20


@dataclass(frozen=True)
class Vocabulary:
    """`size` in tokens, None where only a text that is not here tells; not `exact`: it has at most so many."""

    size: int | None
    exact: bool = True


def expected_vocabulary(config: Config, report: Report | None = None) -> Vocabulary:
    """From the settings where they tell; else from the text if it is here, which trains the tokenizer and keeps it."""
    tokenizer = config.tokenizer
    if tokenizer.kind in PUBLISHED_SIZES:
        return Vocabulary(PUBLISHED_SIZES[tokenizer.kind] + tokenizer.pad_first)
    largest = (tokenizer.vocab_size or DEFAULT_BPE_SIZE) if tokenizer.kind == "bpe" else None
    try:
        if tokenizer.kind == "file":
            return Vocabulary(load_tokenizer(tokenizer.path).vocab_size)
        corpus = show_corpus(config.data.corpus)
        if corpus.available and (largest is None or corpus.bytes <= SHORT_TEXT):
            return Vocabulary(load_data(config, report=report).tokenizer.vocab_size)
    except LmError:
        return Vocabulary(largest, exact=False)
    return Vocabulary(largest, exact=False)
