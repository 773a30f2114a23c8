"""Data sets by `hf:` names, from a Hub that is played by functions: its layout is that of refs/convert/parquet."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pyarrow
import pyarrow.parquet
import pytest

from commands.input.names import corpus_setting
from lmcore.config import Config
from lmcore.data import corpus_at_hand, fetch_corpus, list_corpora, load_data, remove_corpus
from lmcore.errors import LmError, OutOfReachError, UsageError


class Hub:
    """Repositories of Parquet files; `asked` counts what went over the network."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.asked = folder, 0

    def add(self, repository: str, path: str, column: str = "text", rows: int = 40) -> None:
        """A file whose texts tell where they are from."""
        file = self.folder / repository / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pyarrow.parquet.write_table(
            pyarrow.table({column: [f"{path} row {i}" for i in range(rows)], "id": ["n"] * rows}), file
        )

    def list_repo_tree(self, _: object, repository: str, **options: Any) -> list[SimpleNamespace]:
        self.asked += 1
        assert options == {"repo_type": "dataset", "revision": "refs/convert/parquet", "recursive": True}
        root = self.folder / repository
        if not root.is_dir():
            raise OSError("404 Client Error: no such data set")
        return [
            SimpleNamespace(path=str(file.relative_to(root)), size=file.stat().st_size)
            for file in sorted(root.rglob("*.parquet"))
        ]

    def download(self, repository: str, path: str, *, repo_type: str, revision: str, local_dir: Path) -> str:
        self.asked += 1
        assert (repo_type, revision) == ("dataset", "refs/convert/parquet")
        target = local_dir / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((self.folder / repository / path).read_bytes())
        return str(target)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    played = Hub(tmp_path / "hub")
    monkeypatch.setattr(
        huggingface_hub.HfApi,
        "list_repo_tree",
        lambda api, name, **options: played.list_repo_tree(api, name, **options),
    )
    monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", played.download)
    return played


def load(name: str, **settings: object) -> Any:
    return load_data(Config().with_settings({"data.corpus": name, "tokenizer.vocab_size": 257, **settings}))


def test_a_data_set_is_downloaded_once_with_its_splits(hub: Hub) -> None:
    for split in ("train", "validation", "test", "unsupervised"):
        hub.add("ann/poems", f"default/{split}/0000.parquet")
    hub.add("ann/poems", "default/train/0001.parquet")
    assert not corpus_at_hand(Config().with_settings({"data.corpus": "hf:ann/poems"}))
    assert hub.asked == 0
    data = load("hf:ann/poems")
    train = data.tokenizer.decode(data.splits["train"].tokens.tolist())
    assert train.startswith("default/train/0000.parquet row 0<|endoftext|>")
    assert "default/train/0001.parquet row 39<|endoftext|>" in train
    assert data.tokenizer.decode(data.splits["val"].tokens.tolist()).startswith("default/validation")
    assert data.tokenizer.decode(data.splits["test"].tokens.tolist()).startswith("default/test")
    asked = hub.asked
    assert asked == 1 + 4
    assert load("hf:ann/poems").corpus_hash == data.corpus_hash
    assert hub.asked == asked, "the second time the cache serves"
    assert "hf:ann/poems" in [info.name for info in list_corpora()]
    assert corpus_setting("hf:ann/poems") == "hf:ann/poems"
    remove_corpus("hf:ann/poems")
    assert not corpus_at_hand(Config().with_settings({"data.corpus": "hf:ann/poems"}))
    assert "hf:ann/poems" not in [info.name for info in list_corpora()]


def test_configurations_and_columns(hub: Hub) -> None:
    hub.add("ann/poems", "en/train/0000.parquet", column="poem")
    hub.add("ann/poems", "nl/partial-train/0000.parquet", column="gedicht")
    with pytest.raises(UsageError, match="several configurations: en, nl") as error:
        load("hf:ann/poems")
    assert "hf:ann/poems:en" in error.value.hint
    with pytest.raises(UsageError, match="no configuration 'de'"):
        load("hf:ann/poems:de:poem")
    dutch = load("hf:ann/poems:nl:gedicht")
    assert dutch.tokenizer.decode(dutch.splits["train"].tokens.tolist()).startswith("nl/partial-train")
    english = load("hf:ann/poems:en", **{"data.field": "poem"})
    assert english.corpus_hash != dutch.corpus_hash
    with pytest.raises(LmError, match="no text column 'text'"):
        load("hf:ann/poems:en")
    hub.add("bob/one", "default/train/0000.parquet", column="body")
    assert load("hf:bob/one:body").splits["train"].words == load("hf:bob/one::body").splits["train"].words


def test_what_cannot_be_had_is_said(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OutOfReachError, match="could not be downloaded from the Hugging Face Hub") as error:
        load("hf:no/where")
    assert "--data PATH" in error.value.hint
    (hub.folder / "ann" / "raw").mkdir(parents=True)
    with pytest.raises(LmError, match="not converted"):
        load("hf:ann/raw")
    for bad in ("hf:", "hf:../../etc", "hf:a/b/c", "hf:a/b:c/d", "hf:a/..:x"):
        with pytest.raises(UsageError, match="not a valid name"):
            fetch_corpus(bad)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(OutOfReachError, match="needs huggingface-hub") as error:
        load("hf:ann/other")
    assert "lm-tui[hub]" in error.value.message


def test_a_download_that_breaks_leaves_nothing(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for split in ("train", "validation"):
        hub.add("ann/poems", f"default/{split}/0000.parquet")
    whole = hub.download

    def breaks(repository: str, path: str, **options: Any) -> str:
        if "validation" in path:
            raise ConnectionResetError("reset by peer")
        return whole(repository, path, **options)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", breaks)
    with pytest.raises(OutOfReachError, match="reset by peer"):
        fetch_corpus("hf:ann/poems")
    assert not [path for path in (tmp_path / "cache" / "corpora").rglob("*") if path.is_file()]
