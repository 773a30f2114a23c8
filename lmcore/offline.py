"""Training without a network: what a config would download, replaced by what is at hand."""

from __future__ import annotations

from lmcore.config import Config
from lmcore.data.corpus.catalogue import IN_GPT1_TOKENS
from lmcore.data.corpus.embedded import EMBEDDED
from lmcore.data.load import corpus_at_hand, in_its_tokens
from lmcore.data.tokenizer.select import PUBLISHED_TITLES, has_published_files, stand_in
from lmcore.embedding_files import is_file_name
from lmcore.hub import cached_file

_WEIGHTS = "model.safetensors"


def without_network(config: Config) -> tuple[Config, list[str]]:
    """The config with nothing left in it to download, and one sentence for each thing that was replaced.

    A corpus that is not here becomes `python-docs`, a published tokenizer that is not here a BPE trained on the corpus,
    a pretrained embedding that is not here (or belongs to such a tokenizer) a random one that is trained. What lies in
    `$LM_DATA`, in the cache or in the Hub's cache stays. The network is not used.

    Raises:
        LmError: as `find_corpus`.
    """
    sentences = []
    config = in_its_tokens(config)
    corpus = corpus_at_hand(config)
    if corpus is None:
        sentences.append(
            f"Offline: the corpus is {EMBEDDED}, Python's own language reference, instead of {config.data.corpus}."
        )
        config = config.with_settings({"data.corpus": EMBEDDED})
    kind = config.tokenizer.kind
    beside = corpus.folder if corpus else None
    replaced = kind in PUBLISHED_TITLES and not has_published_files(config.tokenizer, beside)
    if replaced:
        own = stand_in(config.tokenizer)
        sentences.append(
            f"Offline: the tokenizer is a byte-level BPE of at most {own.vocab_size:,} tokens trained on the corpus, "
            f"instead of {PUBLISHED_TITLES[kind]}'s."
        )
        changes = {f"tokenizer.{key}": value for key, value in own.model_dump().items()}
        # A name that stands for GPT-1's tokens would bring its tokenizer back.
        changes["data.corpus"] = IN_GPT1_TOKENS.get(config.data.corpus, config.data.corpus)
        config = config.with_settings(changes)
    if config.model.embedding != "random" and (replaced or not _is_here(config.model.embedding)):
        sentences.append(f"Offline: the token embedding is random and trained, instead of {config.model.embedding}.")
        config = config.with_settings(
            {"model.embedding": "random", "model.freeze_embedding": False, "model.freeze_positions": False}
        )
    return config, sentences


def _is_here(source: str) -> bool:
    """Whether a pretrained embedding is here, or is the user's own file, which no download would bring."""
    return is_file_name(source) or cached_file(source, _WEIGHTS) is not None
