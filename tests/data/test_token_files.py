"""Token files are written once, whole or not at all, and found by what they hold."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lmcore.config import Config
from lmcore.data import Data, load_data, tokenize_corpus
from lmcore.data.places import Report
from lmcore.data.token_files import token_dtype

TEXT = "".join(f"Line {i}: the quick brown fox jumps over the lazy dog.\n" for i in range(300))


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A small text."""
    path = tmp_path / "book.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def load(path: Path, cache: Path, kind: str = "bpe", report: Report | None = None) -> Data:
    settings = {"data.corpus": str(path), "tokenizer.kind": kind, "tokenizer.vocab_size": 300}
    return load_data(Config().with_settings(settings), cache_dir=cache, report=report)


def test_a_second_call_encodes_nothing(book: Path, tmp_path: Path) -> None:
    calls: list[tuple[int, int, str]] = []
    first = load(book, tmp_path / "cache", report=lambda *values: calls.append(values))
    assert calls[-1][0] == calls[-1][1] == len(TEXT)
    calls.clear()
    again = load(book, tmp_path / "cache", report=lambda *values: calls.append(values))
    assert not calls
    assert isinstance(again.splits["train"].tokens, np.memmap)
    assert np.array_equal(first.splits["train"].tokens, again.splits["train"].tokens)


def test_another_content_or_tokenizer_is_another_file(book: Path, tmp_path: Path) -> None:
    first, by_characters = load(book, tmp_path / "cache"), load(book, tmp_path / "cache", kind="char")
    book.write_text(TEXT.replace("fox", "cat"), encoding="utf-8")
    changed = load(book, tmp_path / "cache")
    assert len({first.corpus_hash, changed.corpus_hash}) == 2
    assert first.corpus_hash == by_characters.corpus_hash
    assert "cat" in changed.tokenizer.decode(changed.splits["val"].tokens.tolist())


def test_a_shortened_token_file_is_written_again(book: Path, tmp_path: Path) -> None:
    whole = load(book, tmp_path / "cache").splits["train"].tokens.tolist()
    (file,) = (tmp_path / "cache" / "tokens").glob("*/train.bin")
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content[: len(content) // 2])
    assert load(book, tmp_path / "cache").splits["train"].tokens.tolist() == whole
    assert len(list((tmp_path / "cache" / "tokens").iterdir())) == 1


def test_processes_at_once_agree(book: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from lmcore.config import Config; from lmcore.data import load_data;"
        "d = load_data(Config().with_settings({'data.corpus': sys.argv[1]}), cache_dir=Path(sys.argv[2]));"
        "print(d.tokenizer_hash, d.splits['train'].tokens.sum())"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(book), str(tmp_path / "c")], stdout=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert len(said) == 1
    assert all(process.returncode == 0 for process in running)
    assert not list((tmp_path / "c" / "tokens").glob(".*"))


def test_another_text_takes_the_models_tokenizer(book: Path, tmp_path: Path) -> None:
    trained = load(book, tmp_path / "cache").tokenizer
    other = tmp_path / "other.txt"
    other.write_text("Quite other words, é.\n" * 50, encoding="utf-8")
    data = tokenize_corpus(Config().with_settings({"data.corpus": str(other)}), trained)
    assert data.tokenizer_hash == trained.hash
    assert data.tokenizer.decode(data.splits["test"].tokens.tolist()).endswith("words, é.\n")


def test_ids_take_two_bytes_where_they_fit() -> None:
    assert token_dtype(1 << 16) is np.uint16
    assert token_dtype((1 << 16) + 1) is np.uint32


@pytest.mark.slow
def test_encoding_needs_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    with path.open("w", encoding="utf-8") as file:
        for i in range(60):
            file.write(
                "".join(
                    f"{(i * 7919 + j) % 5003} Line {j} of many words that stand here, and more.\n"
                    for j in range(17_000)
                )
            )
    assert path.stat().st_size > 55_000_000
    code = (
        "import sys, resource; from pathlib import Path;"
        "from lmcore.config import Config; from lmcore.data import load_data;"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "config = Config().with_settings({'data.corpus': sys.argv[1], 'tokenizer.kind': sys.argv[3]});"
        "load_data(config, cache_dir=Path(sys.argv[2]));"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(path), str(tmp_path / "c"), "char"], capture_output=True, text=True, check=True
    ).stdout
    assert int(said) < 150_000, "kilobytes over the start, for 60 MB of text"
