"""From a config to tokens in splits."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from lmcore.config import Config
from lmcore.data.corpus.catalogue import IN_GPT1_TOKENS
from lmcore.data.corpus.listing import fetch_corpus
from lmcore.data.corpus.lookup import Corpus, corpus_at, find_corpus, locate, published_tokens
from lmcore.data.corpus.sources import Reading
from lmcore.data.corpus.splits import split_texts
from lmcore.data.places import Report, default_cache
from lmcore.data.pretokenized import tokenized_splits
from lmcore.data.token_files import Split, encoded_splits
from lmcore.data.tokenizer.base import Tokenizer
from lmcore.data.tokenizer.select import choose_tokenizer, load_bpe_beside
from lmcore.errors import LmError, UsageError


@dataclass(frozen=True)
class Data:
    """A corpus as tokens.

    Attributes:
        splits: train, val and test; test is empty when `data.test_fraction` is 0.
        corpus_hash, tokenizer_hash: what the token files depend on.
        warnings: sentences for the user.
        substitutions: sentences on what stands in for what the config asks for.
    """

    name: str
    tokenizer: Tokenizer
    splits: dict[str, Split]
    corpus_hash: str
    tokenizer_hash: str
    warnings: list[str]
    substitutions: list[str] = field(default_factory=list)


def load_data(config: Config, *, report: Report | None = None, cache_dir: Path | None = None) -> Data:
    """The corpus and the tokenizer of a config, downloaded, trained and encoded where that was not done before.

    Args:
        report: called with (done, total, what) in bytes while it downloads or encodes.
        cache_dir: instead of `$LM_CACHE` or the user's cache folder.

    Raises:
        UsageError: there is no such corpus, or settings that do not fit it.
        LmError: unreadable data; no network where a download is needed.
    """
    return _load(config, None, report, cache_dir)


def tokenize_corpus(
    config: Config, tokenizer: Tokenizer, *, report: Report | None = None, cache_dir: Path | None = None
) -> Data:
    """`config.data`'s corpus with a given tokenizer: another text for a trained model.

    Raises:
        LmError, UsageError: as `load_data`; a corpus that is already tokenized by another tokenizer.
    """
    return _load(config, tokenizer, report, cache_dir)


def corpus_at_hand(config: Config, cache_dir: Path | None = None) -> Corpus | None:
    """The config's corpus, in the form that its tokenizer needs; None if it has to be downloaded first.

    Raises:
        LmError, UsageError: as `load_data`, if there is no such corpus.
    """
    return _found(in_its_tokens(config), None, cache_dir or default_cache())


def check_vocabulary(data: Data, vocab_size: int) -> None:
    """Refuse tokens that a model has no row for.

    Raises:
        UsageError: a split has an id of `vocab_size` or more, or the tokenizer can give one.
    """
    largest = max((int(split.tokens.max()) for split in data.splits.values() if len(split.tokens)), default=0)
    if data.tokenizer.vocab_size > vocab_size or largest >= vocab_size:
        needed = max(data.tokenizer.vocab_size, largest + 1)
        raise UsageError(
            f"The vocabulary has {needed} tokens, but the model has only {vocab_size} rows.",
            f"Set model.vocab_size to {needed} or more, or to 0.",
        )


def _load(config: Config, tokenizer: Tokenizer | None, report: Report | None, cache_dir: Path | None) -> Data:
    cache = cache_dir or default_cache()
    config = in_its_tokens(config)
    corpus = _found_or_fetched(config, tokenizer, report, cache)
    if corpus.tokens:
        return _load_tokenized(corpus, config, tokenizer, cache)
    texts = split_texts(corpus, config.data, cache)
    warnings = list(texts.warnings)
    substitutions: list[str] = []
    if tokenizer is None:
        tokenizer, substitutions = choose_tokenizer(config.tokenizer, texts, corpus, cache)
    if not tokenizer.cuts_exactly and not config.data.strip_lines:
        warnings.append(
            "The text is tokenized in pieces of 32,000 characters: at their boundaries, this tokenizer may produce "
            "different tokens than for the whole text."
        )
    splits, more = encoded_splits(texts, tokenizer, cache, report)
    return _checked(Data(corpus.name, tokenizer, splits, texts.hash, tokenizer.hash, warnings + more, substitutions))


def in_its_tokens(config: Config) -> Config:
    """The config with the tokenizer that the corpus's name stands for, if it does."""
    if config.data.corpus not in IN_GPT1_TOKENS:
        return config
    return config.with_settings({"tokenizer.kind": "gpt1", "tokenizer.pad_first": True})


def _load_tokenized(corpus: Corpus, config: Config, tokenizer: Tokenizer | None, cache: Path) -> Data:
    own = load_bpe_beside(corpus, config.tokenizer, cache)
    if tokenizer is not None and tokenizer.hash != own.hash:
        raise UsageError(
            f"{corpus.name} was not tokenized with the model's tokenizer.", "Use the original text instead."
        )
    splits, corpus_hash, warnings = tokenized_splits(
        corpus, own, config.data.val_fraction, config.data.test_fraction, cache
    )
    data = _checked(Data(corpus.name, own, splits, corpus_hash, own.hash, warnings))
    largest = max(int(split.tokens.max()) for split in splits.values() if len(split.tokens))
    if largest >= own.vocab_size:
        raise LmError(
            f"{corpus.where} contains token {largest}, but its tokenizer has only {own.vocab_size} tokens.",
            "Set tokenizer.kind to the tokenizer that was used to create it.",
        )
    return data


def _found_or_fetched(config: Config, tokenizer: Tokenizer | None, report: Report | None, cache: Path) -> Corpus:
    found = _found(config, tokenizer, cache)
    if found is None:
        fetch_corpus(IN_GPT1_TOKENS.get(config.data.corpus, config.data.corpus), report, cache)
        found = _found(config, tokenizer, cache)
    assert found is not None
    return found


def _found(config: Config, tokenizer: Tokenizer | None, cache: Path) -> Corpus | None:
    """The corpus as text, or as token files where they are in the tokens that are asked for; None before its
    download.
    """
    name = IN_GPT1_TOKENS.get(config.data.corpus, config.data.corpus)
    reading = Reading(config.data.field, config.data.strip_gutenberg)
    if published := published_tokens(name, cache):
        if _speaks(published, config, tokenizer, cache):
            return published
        path = locate(name, cache)
        return corpus_at(path, name, reading) if path else None
    corpus = find_corpus(config.data.corpus, reading, cache)
    return replace(corpus, name=name) if corpus else None


def _speaks(published: Corpus, config: Config, tokenizer: Tokenizer | None, cache: Path) -> bool:
    """Whether published token files are what the text would be encoded to."""
    if config.data.strip_lines:
        return False
    if tokenizer is None:
        return config.tokenizer.kind == "gpt1" and config.tokenizer.pad_first
    return tokenizer.kind == "gpt1" and tokenizer.hash == load_bpe_beside(published, config.tokenizer, cache).hash


def _checked(data: Data) -> Data:
    for name in ("train", "val"):
        count = len(data.splits[name].tokens)
        if count < 2:
            raise LmError(
                f"The {name} split of {data.name} has {count} token{'s' * (count != 1)}: there is nothing to predict.",
                "Use a longer text.",
            )
    if len(data.splits["test"].tokens) < 2:
        data.warnings.append(f"{data.name} has no test split, so there will be no test score.")
    for name, split in data.splits.items():
        unk = data.tokenizer.unk_id
        if unk is not None and name != "train" and len(split.tokens) and data.tokenizer.kind in ("char", "word"):
            share = np.count_nonzero(split.tokens == unk) / len(split.tokens)
            if share > 0.1:
                data.warnings.append(
                    f"{share:.0%} of the {name} split is <unk>: its perplexity says little about the words replaced."
                )
    return data
