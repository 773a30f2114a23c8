"""A config that asks for trained vectors gets them, or an error: never silently random ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lmcore.data import load_tokenizer
from lmcore.errors import LmError
from lmcore.models import load_model
from lmcore.training.setup import new_model, prepare
from tests.training.conftest import Configure, Start


def test_frozen_vectors_from_a_file_are_still_there_after_training(
    tmp_path: Path, configure: Configure, start: Start
) -> None:
    vectors = {letter: np.random.default_rng(ord(letter)).normal(size=16).round(4) for letter in "aeion"}
    table = tmp_path / "vectors.txt"
    table.write_text("".join(f"{letter} {' '.join(map(str, numbers))}\n" for letter, numbers in vectors.items()))
    trained = start(configure({"model.embedding": str(table), "model.freeze_embedding": True}))

    folder = trained.run.checkpoint("last")
    weight = load_model(folder).embedding.weight.detach()
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    for letter, numbers in vectors.items():
        (row,) = tokenizer.encode(letter)
        np.testing.assert_allclose(weight[row], numbers, rtol=1e-6)
    assert any(
        f"vectors for 5 of {tokenizer.vocab_size} tokens" in event["message"] for event in trained.events("warning")
    )


def test_a_table_out_of_reach_is_an_error_that_offers_a_random_one(
    tmp_path: Path, configure: Configure, start: Start
) -> None:
    with pytest.raises(LmError, match=r"model\.embedding=random") as caught:
        start(configure({"model.embedding": str(tmp_path / "missing.safetensors")}))
    assert "freeze_embedding" in caught.value.hint


def test_a_table_of_another_tokenizers_rows_is_refused(tmp_path: Path, configure: Configure) -> None:
    config = configure()
    setup = prepare(config)
    asked = config.with_settings({"tokenizer.kind": "gpt1", "model.embedding": str(tmp_path / "embeddings.npz")})
    with pytest.raises(LmError, match="this run uses a different tokenizer") as caught:
        new_model(replace(setup, config=asked))
    assert "model.embedding=random" in caught.value.hint


def test_frozen_positions_that_no_file_holds_are_a_substitution(
    tmp_path: Path, configure: Configure, start: Start
) -> None:
    table = tmp_path / "vectors.txt"
    table.write_text(f"a {' '.join(['1'] * 16)}\n")
    trained = start(configure({"model.embedding": str(table), "model.freeze_positions": True}))
    (said,) = [event["message"] for event in trained.events("warning") if event["what"] == "substitution"]
    assert "the frozen positions are random" in said
