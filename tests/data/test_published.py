"""The studies' corpora, token for token, however they come."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from lmcore.config import Config
from lmcore.data import (
    corpus_at_hand,
    fetch_corpus,
    list_corpora,
    load_data,
    load_tokenizer,
    show_corpus,
    tokenize_corpus,
)
from lmcore.data.corpus import catalogue, listing
from lmcore.data.corpus.catalogue import CATALOGUE, Published
from lmcore.data.tokenizer.build import gpt1_tokenizer
from lmcore.errors import OutOfReachError
from lmcore.presets import load_preset

GPT1 = {"tokenizer.kind": "gpt1", "tokenizer.pad_first": True}


def test_gpt1s_bpe_gives_the_published_stream_of_wikitext_2_raw(lm_data: Path) -> None:
    tokenizer = gpt1_tokenizer(lm_data / "wikitext-2-gpt1", pad_first=True)
    text = (lm_data / "wikitext-2-raw" / "test.txt").read_text(encoding="utf-8")
    with np.load(lm_data / "wikitext-2-gpt1" / "wiki.test.npz") as arrays:
        tokens, sizes = arrays["tokens"], arrays["sizes"]
    assert len(tokens) == 279_023
    assert np.array_equal(tokenizer.encode(text), tokens)
    lines = [line for line in text.split("\n") if line.strip()]
    assert len(lines) == 2_891
    assert [len(ids) for ids in tokenizer.encode_many(lines)] == sizes.tolist()
    # The archive has a blank line (" \n") between paragraphs, and its lines end without a carriage return; a word more
    # or less would be a token more or less.
    known = CATALOGUE["wikitext-2-raw"].published["test"]
    assert len(text.split()) == known.words
    as_in_the_archive = text.replace("\r\n", "\n")
    assert len(as_in_the_archive.encode()) + 2 * (4_358 - 2_891) == known.bytes
    assert np.array_equal(tokenizer.encode(" \n" + as_in_the_archive.replace("\n", "\n \n")), tokens)


def test_the_text_in_pieces_gives_the_published_stream(lm_data: Path, tmp_path: Path) -> None:
    for name in ("train", "valid", "test"):
        shutil.copy(lm_data / "wikitext-2-raw" / "test.txt", tmp_path / f"{name}.txt")
    data = load_data(Config().with_settings({"data.corpus": str(tmp_path), **GPT1}))
    with np.load(lm_data / "wikitext-2-gpt1" / "wiki.test.npz") as arrays:
        assert np.array_equal(data.splits["test"].tokens, arrays["tokens"])
    assert not data.substitutions


def test_stripped_lines_give_the_published_number_of_training_tokens(
    lm_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    config = load_preset("hw1-dot").config
    assert config.data.strip_lines
    data = load_data(config)
    assert len(data.splits["train"].tokens) == 2_377_402
    assert data.splits["train"].words == 2_051_910
    plain = load_data(config.with_settings({"data.strip_lines": False}))
    assert len(plain.splits["train"].tokens) > 2_377_402
    assert plain.corpus_hash != data.corpus_hash


def test_the_preset_reads_the_token_files_of_lm_data(lm_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    config = load_preset("exp12").config
    assert config.data.corpus == "wikitext-2-raw"
    assert corpus_at_hand(config)
    data = load_data(config)
    assert {name: len(split.tokens) for name, split in data.splits.items()} == {
        "train": 2_356_376,
        "val": 245_046,
        "test": 279_023,
    }
    assert data.name == "wikitext-2-raw"
    assert data.splits["test"].words == 241_211
    assert data.splits["test"].bytes == 1_290_590
    # Under its other name, by its path, and for a trained model, it is the same corpus.
    others = [
        load_data(Config().with_settings({"data.corpus": "wikitext-2-gpt1"})),
        load_data(config.with_settings({"data.corpus": str(lm_data / "wikitext-2-gpt1")})),
        tokenize_corpus(config, data.tokenizer),
    ]
    for other in others:
        assert (other.corpus_hash, other.tokenizer_hash) == (data.corpus_hash, data.tokenizer_hash)
        assert {name: split.words for name, split in other.splits.items()} == {
            name: split.words for name, split in data.splits.items()
        }


def test_lists_show_the_token_files_under_both_names(lm_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    found = {info.name: info for info in list_corpora()}
    for name in ("wikitext-2-raw", "wikitext-2-gpt1"):
        assert found[name].available
        assert found[name].kind == "tokens"
        assert found[name].splits == ("train", "val", "test")
        assert Path(show_corpus(name).where) == lm_data / "wikitext-2-gpt1"
    assert fetch_corpus("wikitext-2-gpt1") == lm_data / "wikitext-2-gpt1"
    assert found["ud-dutch"].available
    assert Path(found["ud-dutch"].where) == lm_data / "dutch" / "ud-dutch.txt"
    monkeypatch.delenv("LM_DATA")
    assert not show_corpus("wikitext-2-gpt1").available
    assert show_corpus("wikitext-2-gpt1").splits == ("train", "val", "test")


def test_a_folder_with_the_test_text_alone_is_not_the_corpus(
    lm_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data" / "wikitext-2-raw").mkdir(parents=True)
    (tmp_path / "data" / "wikitext-2-raw" / "test.txt").write_text("test words\n" * 50)
    monkeypatch.setenv("LM_DATA", str(tmp_path / "data"))
    config = Config().with_settings({"data.corpus": "wikitext-2-raw", "tokenizer.kind": "char"})
    assert not corpus_at_hand(config)


def test_texts_and_token_files_of_one_publication_have_one_hash(
    lm_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive itself is not here, so a small publication in both forms stands for it."""
    texts, tokens = tmp_path / "texts", tmp_path / "own" / "tokens"
    texts.mkdir()
    tokens.mkdir(parents=True)
    source = lm_data / "wikitext-2-gpt1"
    for name in ("encoder_bpe_40000.json", "vocab_40000.bpe"):
        shutil.copy(source / name, tokens / name)
    tokenizer = gpt1_tokenizer(source, pad_first=True)
    published = {}
    for split, text_name, token_name in (("train", "train", "train"), ("val", "valid", "validation"), ("test",) * 3):
        text = f"\n = {split} =\n\n Some words , for {split} , in a café . \n" * 40
        (texts / f"{text_name}.txt").write_text(text, encoding="utf-8")
        np.savez(tokens / f"wiki.{token_name}.npz", tokens=np.array(tokenizer.encode(text), np.uint16))
        published[split] = Published(
            sha256_of(texts / f"{text_name}.txt"),
            sha256_of(tokens / f"wiki.{token_name}.npz"),
            len(text.split()),
            len(text.encode()),
        )
    entry = CATALOGUE["wikitext-2-raw"]
    monkeypatch.setitem(
        catalogue.CATALOGUE,
        "wikitext-2-raw",
        catalogue.Entry(entry.about, "", (), "zip", entry.members, "", "", published),
    )
    monkeypatch.setenv("LM_DATA", str(tmp_path / "own"))
    config = Config().with_settings({"data.corpus": "wikitext-2-raw", **GPT1})
    by_tokens = load_data(config)
    by_text = load_data(config.with_settings({"data.corpus": str(texts)}))
    assert by_tokens.corpus_hash == by_text.corpus_hash
    assert by_tokens.tokenizer_hash == by_text.tokenizer_hash
    for name, one in by_text.splits.items():
        other = by_tokens.splits[name]
        assert np.array_equal(one.tokens, other.tokens)
        assert (one.words, one.bytes) == (other.words, other.bytes)
    (texts / "test.txt").write_text("Other words.\n" * 40)
    changed = load_data(config.with_settings({"data.corpus": str(texts)}))
    assert changed.corpus_hash != by_text.corpus_hash


def sha256_of(path: Path) -> str:
    """sha256, by another implementation than the one under test."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_tokenizer_needs_the_text_itself(lm_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    asked: list[str] = []

    def refuse(name: str, *_: object) -> Path:
        asked.append(name)
        raise OutOfReachError("No network.", "")

    monkeypatch.setattr(listing, "fetch_files", refuse)
    config = Config().with_settings({"data.corpus": "wikitext-2-raw", "tokenizer.kind": "char"})
    assert not corpus_at_hand(config)
    with pytest.raises(OutOfReachError):
        load_data(config)
    assert asked == ["wikitext-2-raw"]


def test_tiny_shakespeare_is_cut_where_nanogpt_cuts_it(lm_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    text = (lm_data / "tinyshakespeare.txt").read_text(encoding="utf-8")
    data = load_data(load_preset("char-shakespeare").config)
    at = int(len(text) * 0.9)  # nanoGPT, data/shakespeare_char/prepare.py
    assert (len(data.splits["train"].tokens), len(data.splits["val"].tokens)) == (1_003_854, 111_540)
    assert data.tokenizer.decode(data.splits["val"].tokens[:200].tolist()) == text[at : at + 200]
    assert len(data.splits["test"].tokens) == 0


def test_gpt2_dutch_has_a_corpus_that_anyone_can_download(lm_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_preset("gpt2-dutch").config.with_settings({"tokenizer.vocab_size": 1000})
    assert config.data.corpus in CATALOGUE
    monkeypatch.setenv("LM_DATA", str(lm_data))
    data = load_data(config)
    assert sum(split.bytes for split in data.splits.values()) == 455_168


def test_a_checkpoints_tokenizer_reads_the_token_files(
    lm_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    data = load_data(load_preset("exp1").config)
    data.tokenizer.save(tmp_path / "tokenizer.json")
    again = tokenize_corpus(Config().with_settings({"data.corpus": "wikitext-2-raw"}), load_tokenizer(tmp_path))
    assert again.corpus_hash == data.corpus_hash
