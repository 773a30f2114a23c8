"""Corpora by name: the embedded one, those in $LM_DATA, added ones, and downloads."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import urllib.error
import zipfile
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.data import add_corpus, fetch_corpus, list_corpora, load_data, show_corpus
from lmcore.data.corpus import catalogue, download
from lmcore.errors import LmError, UsageError


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
    for name in ("../evil", "wikitext-2", "python-docs"):
        with pytest.raises(UsageError):
            add_corpus(name, tmp_path / "book.txt")
    (tmp_path / "book.txt").unlink()
    assert next(info for info in list_corpora() if info.name == "mine").problem


def archive() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for split in ("train", "valid", "test"):
            file.writestr(f"wikitext-2/wiki.{split}.tokens", f"{split} words here . \n" * 20)
    return packed.getvalue()


def test_a_download_is_checked_and_comes_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    content = archive()
    served = {"content": content[:-1]}
    monkeypatch.setattr(download.urllib.request, "urlopen", lambda *_, **__: io.BytesIO(served["content"]))
    entry = dataclasses.replace(
        catalogue.CATALOGUE["wikitext-2"], sha256=hashlib.sha256(content).hexdigest(), size=len(content)
    )
    monkeypatch.setitem(catalogue.CATALOGUE, "wikitext-2", entry)
    with pytest.raises(LmError, match="not the expected one"):
        fetch_corpus("wikitext-2")
    assert not any((tmp_path / "cache" / "corpora").iterdir())
    served["content"] = content
    seen: list[tuple[int, int, str]] = []
    folder = fetch_corpus("wikitext-2", lambda *values: seen.append(values))
    assert seen[-1] == (len(content), len(content), "downloading wikitext-2")
    assert sorted(path.name for path in folder.iterdir()) == ["test.txt", "train.txt", "valid.txt"]
    assert show_corpus("wikitext-2").available
    assert sorted(path.name for path in folder.parent.iterdir()) == ["wikitext-2"]


def test_no_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.delenv("LM_DATA", raising=False)
    monkeypatch.setattr(download.urllib.request, "urlopen", refuse)
    with pytest.raises(LmError, match="no route to host") as error:
        load_data(Config().with_settings({"data.corpus": "tinyshakespeare"}))
    assert "LM_DATA" in error.value.hint
    with pytest.raises(UsageError, match="cannot be downloaded"):
        fetch_corpus("python-docs")


def test_the_catalogues_checksum_is_that_of_the_real_file(lm_data: Path) -> None:
    entry = catalogue.CATALOGUE["tinyshakespeare"]
    assert hashlib.sha256((lm_data / "tinyshakespeare.txt").read_bytes()).hexdigest() == entry.sha256


def test_gpt2_without_its_files_is_replaced_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    data = load_data(Config().with_settings({"tokenizer.kind": "gpt2"}))
    assert data.tokenizer.kind == "bpe"
    assert any("trained on the corpus instead" in warning for warning in data.warnings)
    with pytest.raises(LmError, match=r"could not be had from the Hub.*vocab_40000.bpe"):
        load_data(Config().with_settings({"tokenizer.kind": "gpt1"}))
