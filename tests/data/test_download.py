"""Downloads from a real server: the right content or none, and one sentence on each address that failed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import zipfile
from pathlib import Path

import pytest

from lmcore.config import Config
from lmcore.data import fetch_corpus, load_data, show_corpus
from lmcore.data.corpus import catalogue
from lmcore.data.corpus.catalogue import CATALOGUE, Download
from lmcore.errors import OutOfReachError, UsageError
from tests.data.conftest import Site

# Nothing listens there.
DEAD = "http://127.0.0.1:9/"


def archive() -> bytes:
    """A small WikiText-2 raw."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for split in ("train", "valid", "test"):
            file.writestr(f"wikitext-2-raw/wiki.{split}.raw", f"{split} words here . \n" * 20)
    return packed.getvalue()


def served_at(monkeypatch: pytest.MonkeyPatch, name: str, content: bytes, *urls: str) -> None:
    """Let a corpus of the catalogue be this content at these addresses."""
    monkeypatch.delenv("LM_DATA", raising=False)
    download = Download(urls, hashlib.sha256(content).hexdigest(), len(content))
    entry = dataclasses.replace(CATALOGUE[name], downloads=(download,), published={})
    monkeypatch.setitem(catalogue.CATALOGUE, name, entry)


def test_a_download_comes_whole_through_a_redirect_and_with_our_own_name(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive()
    site.files["/real.zip"], site.moved["/raw.zip"] = content, "/real.zip"
    served_at(monkeypatch, "wikitext-2-raw", content, site.url("/raw.zip"))
    assert not show_corpus("wikitext-2-raw").available
    seen: list[tuple[int, int, str]] = []
    folder = fetch_corpus("wikitext-2-raw", lambda *values: seen.append(values))
    assert seen[-1] == (len(content), len(content), "downloading wikitext-2-raw")
    assert sorted(path.name for path in folder.iterdir()) == ["test.txt", "train.txt", "valid.txt"]
    assert show_corpus("wikitext-2-raw").splits == ("train", "val", "test")
    assert [path.name for path in folder.parent.iterdir()] == ["wikitext-2-raw"]
    assert all(agent.startswith("lm-tui/") for agent in site.agents)
    site.files.clear()
    assert fetch_corpus("wikitext-2-raw") == folder, "what is here is not fetched again"


@pytest.mark.parametrize("first", ["dead", "missing", "wrong", "cut", "endless"])
def test_the_second_address_serves_when_the_first_does_not(
    first: str, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive()
    site.files |= {
        "/good.zip": content,
        "/wrong.zip": content[:-1] + b"!",
        "/cut.zip": content,
        "/endless.zip": content + bytes(1 << 22),
    }
    site.cut.add("/cut.zip")
    url = DEAD if first == "dead" else site.url(f"/{first}.zip")
    served_at(monkeypatch, "wikitext-2-raw", content, url, site.url("/good.zip"))
    assert (fetch_corpus("wikitext-2-raw") / "train.txt").read_text().startswith("train words")


def test_each_address_that_failed_is_named_and_nothing_stays_behind(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = archive()
    site.files |= {"/wrong.zip": content[:-1] + b"!", "/cut.zip": content}
    site.cut.add("/cut.zip")
    urls = [DEAD, site.url("/none.zip"), site.url("/wrong.zip"), site.url("/cut.zip")]
    served_at(monkeypatch, "wikitext-2-raw", content, *urls)
    with pytest.raises(OutOfReachError, match="could not be downloaded") as error:
        load_data(Config().with_settings({"data.corpus": "wikitext-2-raw", "tokenizer.kind": "word"}))
    for url, why in zip(urls, ("refused", "404", "sha256 is not the published one", "bytes instead of"), strict=True):
        assert f"{url}: " in error.value.message
        assert why in error.value.message
    assert "LM_DATA" in error.value.hint
    assert not any((tmp_path / "cache" / "corpora").iterdir())


def test_sentences_of_treebanks_become_one_text(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    files = {
        "/a.conllu": "# sent_id = 1\n# text = Eén zin.\n1\tEén\t_\n\n# text = Twee.\n1\tTwee\n\n",
        "/b.conllu": "# text = Drie. \n",
    }
    site.files |= {path: text.encode() for path, text in files.items()}
    downloads = tuple(
        Download((site.url(path),), hashlib.sha256(text.encode()).hexdigest(), len(text.encode()))
        for path, text in files.items()
    )
    entry = dataclasses.replace(CATALOGUE["ud-dutch"], downloads=downloads)
    monkeypatch.setitem(catalogue.CATALOGUE, "ud-dutch", entry)
    assert fetch_corpus("ud-dutch").read_text(encoding="utf-8") == "Eén zin.\nTwee.\nDrie. \n"


def test_only_public_corpora_can_be_fetched() -> None:
    with pytest.raises(UsageError, match="cannot be downloaded"):
        fetch_corpus("python-docs")


def test_what_is_offered_has_a_checksum_and_a_living_host() -> None:
    for entry in CATALOGUE.values():
        for download in entry.downloads:
            assert len(download.sha256) == 64
            assert download.size > 0
            assert all(url.startswith("https://") for url in download.urls)
            assert not any("research.metamind.io" in url for url in download.urls)
