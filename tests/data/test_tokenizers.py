"""Tokenizers: equal to their published forms, exactly restored, and safe to cut and to stream."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers as hf
from hypothesis import given, settings
from hypothesis import strategies as st

from lmcore.config import Config
from lmcore.data import Tokenizer, load_data, load_tokenizer
from lmcore.data.corpus.pieces import TextPiece, cut_between_words
from lmcore.data.tokenizer import select
from lmcore.data.tokenizer.build import bpe_tokenizer, char_tokenizer, gpt1_tokenizer, gpt2_tokenizer, word_tokenizer
from lmcore.errors import LmError, UsageError

PROSE = 'It\'s a "fine" day, said Emma--and so it was.\nÉmile (aged 5) paid €3 for a straße; naïve? 日本語 🙂\n' * 3


def build(kind: str) -> Tokenizer:
    """A tokenizer trained on `PROSE`."""
    builders = {
        "char": char_tokenizer,
        "word": word_tokenizer,
        "bpe": lambda texts: bpe_tokenizer(texts, vocab_size=300),
    }
    return builders[kind]([PROSE])


@pytest.mark.parametrize("kind", ["char", "word", "bpe"])
def test_a_saved_tokenizer_is_restored_exactly_and_hugging_face_reads_it(kind: str, tmp_path: Path) -> None:
    tokenizer = build(kind)
    tokenizer.save(tmp_path)
    restored = load_tokenizer(tmp_path)
    other = "Émile said: xyz\tunseen Ω\n"
    assert (restored.kind, restored.hash, restored.vocab_size) == (kind, tokenizer.hash, tokenizer.vocab_size)
    assert (restored.unk_id, restored.eos_id, restored.pad_id) == (tokenizer.unk_id, tokenizer.eos_id, tokenizer.pad_id)
    assert restored.encode(other) == tokenizer.encode(other)
    assert hf.Tokenizer.from_file(str(tmp_path / "tokenizer.json")).encode(other).ids == tokenizer.encode(other)


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_decoding_gives_the_text_back(kind: str) -> None:
    tokenizer = build(kind)
    assert tokenizer.decode(tokenizer.encode(PROSE)) == PROSE


@given(st.text())
def test_bytes_write_any_text_and_stream_whole_characters(text: str) -> None:
    tokenizer = bpe_tokenizer([PROSE], vocab_size=280)
    stream = tokenizer.decode_stream()
    parts = [stream.push(token) for token in tokenizer.encode(text)]
    assert "".join([*parts, stream.flush()]) == text
    assert all("\ufffd" not in part for part in parts) or "\ufffd" in text


def test_half_a_character_comes_out_as_one_mark_at_the_end() -> None:
    tokenizer = bpe_tokenizer(["abc"], vocab_size=257)
    stream = tokenizer.decode_stream()
    assert [stream.push(token) for token in tokenizer.encode("🙂")[:3]] == ["", "", ""]
    assert stream.flush() == "\ufffd"


@given(st.text(alphabet=st.sampled_from("abΣσςİß \n'é日"), max_size=40), st.booleans())
def test_the_fast_character_encoder_agrees_with_the_saved_file(text: str, lowercase: bool) -> None:
    tokenizer = char_tokenizer(["abσ \né"], lowercase=lowercase)
    assert tokenizer.encode(text) == tokenizer.backend.encode(text).ids


def test_words_keep_wikitext_markers_whole_and_split_plain_prose() -> None:
    spaced = word_tokenizer([" the <unk> of 1 @.@ 5 , and a role @-@ play . \n" * 3])
    assert spaced.decode(spaced.encode("the <unk> @-@ play . \n")) == "the <unk> @-@ play .\n"
    assert "@-@" in spaced.vocab
    prose = word_tokenizer([PROSE], lowercase=True)
    assert [prose.token(t) for t in prose.encode("It's FINE--said (Emma).\n")] == [
        "it's",
        "fine",
        "--",
        "said",
        "(",
        "emma",
        ")",
        ".",
        "<eos>",
    ]
    assert (
        prose.decode(prose.encode('"fine" day, (aged 5) emma--and was.\nit\'s'))
        == '"fine" day, (aged 5) emma--and was.\nit\'s'
    )


def test_word_limits_keep_the_most_frequent() -> None:
    text = "a a a b b c c d\n"
    assert set(word_tokenizer([text], vocab_size=4).vocab) == {"<unk>", "<eos>", "a", "b"}
    assert set(word_tokenizer([text], min_frequency=3).vocab) == {"<unk>", "<eos>", "a"}
    with pytest.raises(UsageError, match="too small"):
        word_tokenizer([text], vocab_size=2)


def test_unknown_words_of_a_prompt_are_named_once() -> None:
    words = word_tokenizer([PROSE], lowercase=True)
    ids, unknown = words.encode_prompt("Emma said Voldemort, Voldemort")
    assert unknown == ["Voldemort"]
    assert ids.count(words.unk_id or 0) == 2
    assert char_tokenizer(["abc"]).encode_prompt("aXbX")[1] == ["X"]
    assert build("bpe").encode_prompt("Voldemort")[1] == []


def test_special_tokens_take_the_first_ids() -> None:
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    tokenizer = bpe_tokenizer([PROSE], vocab_size=300, special_tokens=special)
    assert [tokenizer.vocab[token] for token in special] == [0, 1, 2, 3, 4]
    assert (tokenizer.eos_id, tokenizer.pad_id, tokenizer.unk_id) == (2, 1, 3)
    assert build("bpe").token(build("bpe").eos_id or 0) == "<|endoftext|>"
    with pytest.raises(UsageError, match="too small for 256 bytes"):
        bpe_tokenizer([PROSE], vocab_size=100)


def test_training_twice_gives_the_same_tokenizer() -> None:
    assert {build("bpe").hash for _ in range(3)} == {build("bpe").hash}


OTHERS = (word_tokenizer([PROSE]), word_tokenizer(["a , b . c , "]), char_tokenizer([PROSE]))


@pytest.fixture(scope="session")
def gpt2(lm_data: Path) -> Tokenizer:
    """GPT-2's BPE from its two files."""
    return gpt2_tokenizer(lm_data / "gpt2-bpe")


@given(
    text=st.text(alphabet=st.sampled_from("ab .,'\n\t1é日\u00a0s"), max_size=200),
    size=st.integers(1, 30),
    block=st.integers(0, 200),
)
@settings(max_examples=300)
def test_cutting_between_words_changes_no_id(gpt2: Tokenizer, text: str, size: int, block: int) -> None:
    pieces = list(cut_between_words(iter([TextPiece(text[:block], False), TextPiece(text[block:], True)]), size))
    assert "".join(piece.text for piece in pieces) == text
    for tokenizer in (gpt2, *OTHERS):
        assert [token for piece in pieces for token in tokenizer.encode(piece.text)] == tokenizer.encode(text)


@pytest.mark.slow
def test_gpt2_ids_equal_transformers_on_wikitext_and_dutch(lm_data: Path, gpt2: Tokenizer) -> None:
    from transformers import GPT2Tokenizer

    vocab = json.loads((lm_data / "gpt2-bpe" / "encoder.json").read_text(encoding="utf-8"))
    merges = [
        tuple(line.split())
        for line in (lm_data / "gpt2-bpe" / "vocab.bpe").read_text(encoding="utf-8").splitlines()[1:]
    ]
    reference = GPT2Tokenizer(vocab=vocab, merges=merges)  # type: ignore[arg-type]
    for path in ("wikitext-2/test.txt", "dutch/ud-dutch.txt"):
        text = (lm_data / path).read_text(encoding="utf-8")
        assert gpt2.encode(text) == reference(text, verbose=False)["input_ids"]
    assert (gpt2.kind, gpt2.vocab_size, gpt2.eos_id) == ("gpt2", 50257, 50256)
    assert gpt2.decode(gpt2.encode(text)) == text


def test_gpt1_ids_equal_transformers_and_the_recorded_streams(lm_data: Path) -> None:
    from transformers import OpenAIGPTTokenizer

    folder = lm_data / "wikitext-2-gpt1"
    vocab = json.loads((folder / "encoder_bpe_40000.json").read_text(encoding="utf-8"))
    lines = (folder / "vocab_40000.bpe").read_text(encoding="utf-8").split("\n")
    pairs: Any = [tuple(line.split()) for line in lines[1:] if line]
    reference = OpenAIGPTTokenizer(vocab=vocab, merges=pairs)
    plain, shifted = gpt1_tokenizer(folder), gpt1_tokenizer(folder, pad_first=True)
    text = (lm_data / "emma.txt").read_text(encoding="utf-8")[:50_000]
    ids = reference(text, verbose=False)["input_ids"]
    assert plain.encode(text) == ids
    assert shifted.encode(text) == [token + 1 for token in ids]
    assert (plain.vocab_size, shifted.vocab_size, shifted.pad_id, shifted.unk_id) == (40478, 40479, 0, 1)
    # Between two unknown words, decoding and encoding again gives the recorded ids back.
    recorded = np.load(folder / "wiki.test.npz")["tokens"]
    known = [run[1:].tolist() for run in np.split(recorded, np.flatnonzero(recorded == 1))[:60] if len(run) > 20]
    same = [shifted.encode(shifted.decode(run)) == run for run in known]
    assert sum(same) > 0.95 * len(same)


def test_a_damaged_tokenizer_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(LmError, match="is not a tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(LmError, match="cannot be read"):
        load_tokenizer(tmp_path / "none.json")


def test_a_foreign_tokenizer_file_streams_what_it_decodes(tmp_path: Path) -> None:
    backend = hf.SentencePieceBPETokenizer()
    backend.train_from_iterator([PROSE], vocab_size=200, show_progress=False)
    backend.save(str(tmp_path / "tokenizer.json"))
    tokenizer = load_tokenizer(tmp_path)
    ids = tokenizer.encode("Emma paid for a fine day")
    stream = tokenizer.decode_stream()
    assert "".join([*(stream.push(token) for token in ids), stream.flush()]) == tokenizer.decode(ids)
    assert tokenizer.kind == "file"


@pytest.mark.slow
def test_wikitext_words_are_the_published_counts(lm_data: Path) -> None:
    data = load_data(Config().with_settings({"data.corpus": str(lm_data / "wikitext-2"), "tokenizer.kind": "word"}))
    counts = {name: len(split.tokens) for name, split in data.splits.items()}
    assert counts == {"train": 2_088_628, "val": 217_646, "test": 245_569}
    assert data.tokenizer.vocab_size == 33_278
    assert data.splits["test"].words == 245_569 - 4_358
    assert data.splits["test"].bytes == (lm_data / "wikitext-2" / "test.txt").stat().st_size


def test_files_from_the_hub_give_the_same_tokenizer_as_those_of_lm_data(
    lm_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LM_DATA", raising=False)
    source = lm_data / "wikitext-2-gpt1"
    on_the_hub = {"vocab.json": "encoder_bpe_40000.json", "merges.txt": "vocab_40000.bpe"}
    asked: list[tuple[str, str]] = []

    def hub_file(repository: str, name: str, _: str) -> Path:
        asked.append((repository, name))
        return source / on_the_hub[name]

    monkeypatch.setattr(select, "hub_file", hub_file)
    (tmp_path / "book.txt").write_text("It was a dark and stormy night.\n" * 40)
    settings = {"data.corpus": str(tmp_path / "book.txt"), "tokenizer.kind": "gpt1", "tokenizer.pad_first": True}
    config = Config().with_settings(settings)
    data = load_data(config)
    assert data.tokenizer_hash == gpt1_tokenizer(source, pad_first=True).hash
    assert data.substitutions == []
    load_data(config)
    assert asked == [("openai-community/openai-gpt", name) for name in on_the_hub], "the second time the cache serves"
