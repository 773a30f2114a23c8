"""Corpora by name: the embedded one, those in $LM_DATA, and added ones; and removing them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.data import add_corpus, list_corpora, load_data, removable, remove_corpus, show_corpus
from lmcore.data.corpus import catalogue
from lmcore.errors import UsageError


def test_the_embedded_corpus_needs_neither_file_nor_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    data = load_data(Config())
    assert data.splits["train"].bytes > 250_000
    assert not any("test text" in warning for warning in data.warnings)


def test_what_lies_in_lm_data_has_a_name(lm_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "poems.txt.gz").write_bytes(b"")
    monkeypatch.setenv("LM_DATA", f"{tmp_path / 'own'}:{lm_data}")
    found = {info.name: info for info in list_corpora()}
    assert {
        "python-docs",
        "wikitext-2",
        "wikitext-103",
        "tinyshakespeare",
        "emma",
        "dutch",
        "wikitext-2-gpt1",
        "poems",
    } <= set(found)
    assert "gpt2-bpe" not in found
    assert "README" not in found
    assert (found["wikitext-2"].splits, found["wikitext-2"].licence) == (("train", "val", "test"), "CC BY-SA 3.0")
    assert found["wikitext-2-gpt1"].kind == "tokens"
    assert not found["wikitext-103"].available
    assert show_corpus("emma").first_lines[:2] == ("EMMA", "By Jane Austen")


def test_an_added_name_is_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("some words here\n" * 50)
    add_corpus("mine", tmp_path / "book.txt")
    assert show_corpus("mine").bytes == 800
    assert "mine" in [info.name for info in list_corpora()]
    assert load_data(Config().with_settings({"data.corpus": "mine", "tokenizer.kind": "char"})).splits["test"].bytes > 0
    for name in ("../evil", "wikitext-2", "wikitext-2-gpt1", "python-docs"):
        with pytest.raises(UsageError):
            add_corpus(name, tmp_path / "book.txt")
    (tmp_path / "book.txt").unlink()
    assert next(info for info in list_corpora() if info.name == "mine").problem


def test_the_catalogues_checksum_is_that_of_the_real_file(lm_data: Path) -> None:
    for name, path in (("tinyshakespeare", "tinyshakespeare.txt"), ("ud-dutch", "dutch/ud-dutch.txt")):
        content = (lm_data / path).read_bytes()
        assert hashlib.sha256(content).hexdigest() == catalogue.CATALOGUE[name].text_sha256


@pytest.mark.parametrize("kind", ["gpt1", "gpt2"])
def test_a_published_tokenizer_without_its_files_is_replaced_and_the_data_says_so(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    settings = {"tokenizer.kind": kind, "tokenizer.pad_first": kind == "gpt1"}
    data = load_data(Config().with_settings(settings))
    assert data.tokenizer.kind == "bpe"
    assert data.tokenizer.pad_id == (0 if kind == "gpt1" else None)
    (sentence,) = data.substitutions
    assert "trained on the corpus" in sentence
    assert "Hugging Face Hub" in sentence
    assert ("40,479" if kind == "gpt1" else "50,257") in sentence
    if kind == "gpt1":
        assert data.tokenizer.decode(data.tokenizer.encode("THE end")) == "the end"


def test_rm_forgets_a_name_and_deletes_a_download_but_no_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "book.txt").write_text("some words here\n" * 50)
    monkeypatch.setenv("LM_DATA", str(own))
    add_corpus("mine", own / "book.txt")
    assert removable("mine") is None
    remove_corpus("mine")
    assert "mine" not in [info.name for info in list_corpora()]
    with pytest.raises(UsageError, match="your own"):
        remove_corpus("book")
    assert (own / "book.txt").exists()

    download = tmp_path / "cache" / "corpora" / "wikitext-2"
    download.mkdir(parents=True)
    for split in ("train", "valid", "test"):
        (download / f"{split}.txt").write_text(f"{split} words\n")
    assert show_corpus("wikitext-2").available
    assert removable("wikitext-2") == download
    remove_corpus("wikitext-2")
    assert not download.exists()
    assert not show_corpus("wikitext-2").available
    with pytest.raises(UsageError, match="has not been downloaded"):
        remove_corpus("wikitext-2")
    with pytest.raises(UsageError, match="part of Python"):
        remove_corpus("python-docs")
    with pytest.raises(UsageError, match="Did you mean 'wikitext-2'"):
        remove_corpus("wikitxt-2")
