"""Text to tokens to batches: corpora, tokenizers, token files, the order of batches. No torch here."""

from lmcore.data.batches import Batch, Batches, make_batches
from lmcore.data.corpus.listing import (
    CorpusInfo,
    add_corpus,
    fetch_corpus,
    list_corpora,
    removable,
    remove_corpus,
    show_corpus,
)
from lmcore.data.eval_windows import EvalWindows, eval_window_batches, eval_windows
from lmcore.data.load import Data, check_vocabulary, corpus_at_hand, load_data, tokenize_corpus
from lmcore.data.token_files import Split
from lmcore.data.tokenizer.base import DecodeStream, Tokenizer, load_tokenizer

__all__ = [
    "Batch",
    "Batches",
    "CorpusInfo",
    "Data",
    "DecodeStream",
    "EvalWindows",
    "Split",
    "Tokenizer",
    "add_corpus",
    "check_vocabulary",
    "corpus_at_hand",
    "eval_window_batches",
    "eval_windows",
    "fetch_corpus",
    "list_corpora",
    "load_data",
    "load_tokenizer",
    "make_batches",
    "removable",
    "remove_corpus",
    "show_corpus",
    "tokenize_corpus",
]
