"""How many parameters the model of a config has, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable

from lmcore.config import Config
from lmcore.data import load_data, load_tokenizer
from lmcore.data.corpus.lookup import find_corpus
from lmcore.data.tokenizer.build import DEFAULT_BPE_SIZE
from lmcore.errors import LmError
from lmcore.models import build_model

PUBLISHED_VOCABULARIES = {"gpt1": 40_478, "gpt2": 50_257}
Report = Callable[[int, int, str], None]


def count_parameters(config: Config, report: Report | None = None) -> dict[str, int | None]:
    """`total` and `learnable` of the config's model, built without memory; None where the vocabulary is not known
    before the text is read.
    """
    vocabulary = vocabulary_size(config, report)
    if vocabulary is None:
        return {"total": None, "learnable": None}
    total, learnable = build_model(config.model, vocabulary, device="meta").parameter_counts()
    return {"total": total, "learnable": learnable}


def vocabulary_size(config: Config, report: Report | None = None) -> int | None:
    """Rows of the embedding: from the settings, or from the text where only that tells and it is at hand; else None."""
    tokenizer = config.tokenizer
    if config.model.vocab_size:
        return config.model.vocab_size
    if tokenizer.kind in PUBLISHED_VOCABULARIES:
        return PUBLISHED_VOCABULARIES[tokenizer.kind] + tokenizer.pad_first
    if tokenizer.kind == "bpe":
        return tokenizer.vocab_size or DEFAULT_BPE_SIZE
    try:
        if tokenizer.kind == "file":
            return load_tokenizer(tokenizer.path).vocab_size
        return load_data(config, report=report).tokenizer.vocab_size if find_corpus(config.data.corpus) else None
    except LmError:
        return None
