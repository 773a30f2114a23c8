"""Text in every form that is taken, and one clear sentence for what is not text."""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from lmcore.config import Config
from lmcore.data import Data, check_vocabulary, load_data
from lmcore.data.corpus.pieces import TextPiece, clip, stripped_lines
from lmcore.data.tokenizer.build import char_tokenizer, gpt2_tokenizer
from lmcore.errors import LmError, UsageError

TEXT = "".join(f"Line {i}: the quick brown fox jumps over lazy dog number {i}, é.\n" for i in range(400))


def load(corpus: object, **settings: object) -> Data:
    values = {"data.corpus": str(corpus), "tokenizer.kind": "char"} | {
        name.replace("__", "."): value for name, value in settings.items()
    }
    return load_data(Config().with_settings(values))


def text_of(data: Data) -> str:
    """The whole corpus, back from its tokens; `<eos>` marks a document's end."""
    return "".join(data.tokenizer.decode(data.splits[name].tokens.tolist()) for name in ("train", "val", "test"))


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstandard.compress], ids=["", ".gz", ".zst"])
def test_a_text_file_plain_or_packed(
    pack: Callable[[bytes], bytes], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    suffix = request.node.callspec.id
    path = tmp_path / f"book.txt{suffix}"
    path.write_bytes(pack(TEXT.encode()))
    assert text_of(load(path)) == TEXT


@pytest.mark.parametrize("pack", [lambda data: data, gzip.compress, zstandard.compress], ids=["", ".gz", ".zst"])
def test_jsonl_rows_are_documents(
    pack: Callable[[bytes], bytes], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    rows = [f"document {i} says hello\nand more" for i in range(100)]
    path = tmp_path / f"rows.jsonl{request.node.callspec.id}"
    path.write_bytes(pack("\n".join(json.dumps({"body": row}) for row in rows).encode()))
    data = load(path, data__field="body")
    assert text_of(data) == "".join(row + "<eos>" for row in rows)
    assert sum(len(split.documents) for split in data.splits.values() if split.documents is not None) == 100


def test_a_folder_and_a_glob_read_files_in_order_and_leave_out_the_readme(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "c/d.md", "README.md", "picture.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"{name} " * 100 + "\n", encoding="utf-8")
    expected = [(tmp_path / name).read_text(encoding="utf-8") + "<eos>" for name in ("a.txt", "b.txt", "c/d.md")]
    assert text_of(load(tmp_path)) == "".join(expected)
    assert text_of(load(tmp_path / "*.txt")) == "".join(expected[:2])


def test_split_files_are_found_under_their_usual_names(tmp_path: Path) -> None:
    usual = (
        ("train.txt", "valid.txt", "test.txt"),
        ("wiki.train.tokens", "wiki.valid.tokens", "wiki.test.tokens"),
        ("train/a.txt", "dev/a.txt", "test/a.txt"),
    )
    for names in usual:
        folder = tmp_path / names[0].replace("/", "-")
        for name, text in zip(names, ("train vals text " * 9, "val text", "test text"), strict=True):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        data = load(folder)
        assert [data.tokenizer.decode(data.splits[name].tokens.tolist()) for name in ("val", "test")] == [
            "val text",
            "test text",
        ]


def test_a_missing_test_split_is_cut_from_the_end_of_train(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(TEXT, encoding="utf-8")
    (tmp_path / "val.txt").write_text("validation says this\n")
    data = load(tmp_path)
    assert (
        data.tokenizer.decode(data.splits["train"].tokens.tolist())
        + data.tokenizer.decode(data.splits["test"].tokens.tolist())
        == TEXT
    )
    assert len(data.splits["test"].tokens) == pytest.approx(0.05 * len(TEXT), rel=0.1)
    assert any("has no test split" in warning for warning in data.warnings)


@given(st.lists(st.text(alphabet="aé日🙂\n ", max_size=30), min_size=1), st.integers(0, 60), st.integers(0, 60))
def test_clipping_gives_the_bytes_between(texts: list[str], a: int, b: int) -> None:
    whole = "".join(texts)
    bounds = sorted(len(whole[:place].encode()) for place in (a, b))
    found = "".join(piece.text for piece in clip((TextPiece(text, False) for text in texts), *bounds))
    assert found.encode() == whole.encode()[bounds[0] : bounds[1]]


@given(st.lists(st.text(alphabet="ab \n\r", max_size=30), min_size=1), st.lists(st.integers(0, 40), max_size=4))
def test_stripped_lines_are_those_of_each_document_wherever_blocks_end(documents: list[str], cuts: list[int]) -> None:
    pieces = []
    for text in documents:
        bounds = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
        parts = [text[a:b] for a, b in itertools.pairwise(bounds)] or [""]
        pieces += [TextPiece(part, index == len(parts) - 1) for index, part in enumerate(parts)]
    expected = []
    for text in documents:
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        expected += [TextPiece(line, index == len(lines) - 1) for index, line in enumerate(lines)]
    assert list(stripped_lines(iter(pieces))) == expected


def test_stripped_lines_are_tokenized_one_by_one(tmp_path: Path) -> None:
    shared = "This very line of more than forty characters stands in both."
    (tmp_path / "train.txt").write_text(f"  one \n\n\t two\n{shared}\n")
    (tmp_path / "val.txt").write_text(f"three\n {shared}\n")
    (tmp_path / "test.txt").write_text("four\nfive\n")
    data = load(tmp_path, data__strip_lines=True, tokenizer__kind="bpe", tokenizer__vocab_size=257)
    assert data.tokenizer.decode(data.splits["train"].tokens.tolist()) == f"onetwo{shared}"
    assert any("1 of 1 distinct long lines" in warning for warning in data.warnings)


def test_files_outside_the_splits_are_mentioned(tmp_path: Path) -> None:
    for name in ("train.txt", "val.txt", "test.txt", "notes.txt"):
        (tmp_path / name).write_text(f"text of {name} " * 5)
    assert any(warning.startswith("Ignored 1 text file in") for warning in load(tmp_path).warnings)


def test_splits_are_cut_in_order_at_lines_without_overlap(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    data = load(tmp_path / "book.txt", data__val_fraction=0.2, data__test_fraction=0.1)
    parts = [data.tokenizer.decode(data.splits[name].tokens.tolist()) for name in ("train", "val", "test")]
    assert "".join(parts) == TEXT
    assert all(part.endswith("\n") for part in parts)
    assert [len(part) / len(TEXT) for part in parts] == pytest.approx([0.7, 0.2, 0.1], abs=0.01)
    assert sum(split.words for split in data.splits.values()) == len(TEXT.split())
    assert sum(split.bytes for split in data.splits.values()) == len(TEXT.encode())


def test_a_text_without_lines_is_cut_between_characters(tmp_path: Path) -> None:
    text = "日本é語🙂" * 200
    (tmp_path / "line.txt").write_text(text, encoding="utf-8")
    assert text_of(load(tmp_path / "line.txt")) == text


def test_lines_in_two_splits_are_reported(tmp_path: Path) -> None:
    shared = "This very line of more than forty characters stands in both.\n"
    (tmp_path / "train.txt").write_text(TEXT + shared, encoding="utf-8")
    (tmp_path / "val.txt").write_text(
        "Another line that is long enough to be counted here.\n" + shared, encoding="utf-8"
    )
    (tmp_path / "test.txt").write_text("short\n", encoding="utf-8")
    warnings = load(tmp_path).warnings
    assert any(
        "1 of 2 distinct long lines of the validation text also occur in the training text" in warning
        for warning in warnings
    )


BAD = {
    "empty.txt": (b"", "is empty"),
    "binary.txt": (b"text\0more", "zero byte at offset 4"),
    "latin1.txt": ("one\ntwo é".encode("latin-1"), r"byte 0xE9 at offset 8 \(line 2\)"),
    "half.txt": ("fine é".encode()[:-1], r"byte 0xC3 at offset 5 \(line 1\)"),
    "one.txt": (b"a", "there is nothing to predict"),
    "packed.txt.gz": (b"not gzip", "damaged"),
    "cut.txt.gz": (gzip.compress(TEXT.encode())[:-9], "damaged"),
    "packed.txt.zst": (b"not zstd", "damaged"),
    "rows.jsonl": (b'{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
    "field.jsonl": (b'{"text": "a"}\n{"body": "b"}\n', r"line 2 has no text field 'text' \(it has: body\)"),
    "none.jsonl": (b"\n\n", "is empty"),
    "tokens.npz": (b"not a zip", "damaged"),
    "odd.bin": (b"abc", "16-bit tokens"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_not_text_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    content, message = BAD[name]
    (tmp_path / name).write_bytes(content)
    char_tokenizer(["abc"]).save(tmp_path / "tokenizer.json")
    with pytest.raises(LmError, match=message) as error:
        load(tmp_path / name)
    assert error.value.hint


def test_an_invalid_byte_far_into_a_file_is_placed_exactly(tmp_path: Path) -> None:
    content = TEXT.encode() * 80
    assert len(content) > 1 << 20
    (tmp_path / "far.txt").write_bytes(content + b"\xff" + content)
    with pytest.raises(LmError, match=rf"byte 0xFF at offset {len(content)} \(line {400 * 80 + 1}\)"):
        load(tmp_path / "far.txt")


def test_an_unknown_corpus_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'wikitext-2'"):
        load("wikitxt-2")
    with pytest.raises(UsageError, match="no corpus or file"):
        load(tmp_path / "missing.txt")


def test_a_vocabulary_over_the_models_is_refused(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(TEXT, encoding="utf-8")
    data = load(tmp_path / "book.txt")
    check_vocabulary(data, data.tokenizer.vocab_size)
    with pytest.raises(UsageError, match="only 10 rows"):
        check_vocabulary(data, 10)


def test_nanogpt_tokens_take_the_named_tokenizer_and_never_unpickle(
    tmp_path: Path, lm_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LM_DATA", str(lm_data))
    text = "Words, and words; é — it's all 日本.\n" * 50
    ids = np.array(gpt2_tokenizer(lm_data / "gpt2-bpe").encode(text), np.uint16)
    for name in ("train", "val"):
        ids.tofile(tmp_path / f"{name}.bin")
    (tmp_path / "meta.pkl").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    with pytest.raises(UsageError, match="not the tokenizer"):
        load(tmp_path)
    data = load(tmp_path, tokenizer__kind="gpt2")
    assert data.tokenizer.decode(data.splits["val"].tokens.tolist()) == text
    assert (data.splits["val"].words, data.splits["val"].bytes) == (len(text.split()), len(text.encode()))
    assert np.array_equal(np.concatenate([data.splits["train"].tokens, data.splits["test"].tokens]), ids)
