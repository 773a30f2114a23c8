"""Embeddings trained elsewhere land in the right rows, or are refused with a way out."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models import LanguageModel, build_model
from lmcore.models.pretrained import apply_pretrained_embedding

TABLE = torch.arange(12.0).view(4, 3)


def _model(rows: int = 4, width: int = 3) -> LanguageModel:
    return build_model(ModelConfig(architecture="lstm", n_embd=width, freeze_embedding=True), rows, seed=0)


def test_a_table_from_a_file_in_the_layout_of_gpt1(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_file(
        {"tokens_embed.weight": TABLE, "positions_embed.weight": torch.ones(2, 3), "h.0.ln_1.weight": torch.ones(3)},
        path,
    )
    for source in (path, tmp_path):
        model = _model()
        assert apply_pretrained_embedding(model, str(source)).rows == 4
        assert torch.equal(model.embedding.weight, TABLE)
        assert not model.embedding.weight.requires_grad


def test_pad_first_moves_every_row_up_by_one(tmp_path: Path) -> None:
    save_file({"tokens_embed.weight": TABLE}, tmp_path / "model.safetensors")
    model = _model(rows=5)
    pad = model.embedding.weight[0].clone()
    assert apply_pretrained_embedding(model, str(tmp_path), pad_first=True).rows == 4
    assert torch.equal(model.embedding.weight[1:], TABLE)
    assert torch.equal(model.embedding.weight[0], pad)
    with pytest.raises(LmError, match="no single table of 5 rows x 3"):
        apply_pretrained_embedding(_model(rows=5), str(tmp_path))


def test_a_table_with_a_row_for_padding_fills_all_rows(tmp_path: Path) -> None:
    save_file({"tokens_embed.weight": TABLE}, tmp_path / "model.safetensors")
    model = _model(rows=4)
    assert apply_pretrained_embedding(model, str(tmp_path), pad_first=True).rows == 4
    assert torch.equal(model.embedding.weight, TABLE)


POSITIONS = torch.arange(100.0, 124.0).view(8, 3)


def _transformer(**settings: Any) -> LanguageModel:
    values = {"n_layer": 1, "n_embd": 3, "n_head": 1, "block_size": 6, "freeze_embedding": True, **settings}
    return build_model(ModelConfig.model_validate(values), 4, seed=0)


def test_frozen_positions_come_from_the_same_file(tmp_path: Path) -> None:
    """GPT-1's own layout: one file, tokens and more positions than the model has."""
    save_file(
        {"tokens_embed.weight": TABLE, "positions_embed.weight": POSITIONS, "h.0.attn.c_attn.weight": torch.ones(3, 9)},
        tmp_path / "model.safetensors",
    )
    model = _transformer(freeze_positions=True)
    filled = apply_pretrained_embedding(model, str(tmp_path))
    assert (filled.rows, filled.substitutions) == (4, ())
    assert torch.equal(model.embedding.weight, TABLE)
    assert torch.equal(model.get_parameter("positions.weight"), POSITIONS[:6])


def test_trained_positions_start_as_the_config_says(tmp_path: Path) -> None:
    save_file({"tokens_embed.weight": TABLE, "positions_embed.weight": POSITIONS}, tmp_path / "model.safetensors")
    model = _transformer()
    before = model.get_parameter("positions.weight").clone()
    assert apply_pretrained_embedding(model, str(tmp_path)).substitutions == ()
    assert torch.equal(model.get_parameter("positions.weight"), before)


@pytest.mark.parametrize("positions", [None, POSITIONS[:5], torch.ones(8, 2)], ids=["none", "too few", "too narrow"])
def test_frozen_positions_that_the_file_lacks_are_said(tmp_path: Path, positions: torch.Tensor | None) -> None:
    more = {} if positions is None else {"positions_embed.weight": positions.contiguous()}
    save_file({"tokens_embed.weight": TABLE, **more}, tmp_path / "model.safetensors")
    (said,) = apply_pretrained_embedding(_transformer(freeze_positions=True), str(tmp_path)).substitutions
    assert "no embedding of 6 positions: the frozen positions are random" in said
    assert "model.freeze_positions=false" in said


@pytest.mark.parametrize("names", [("tokens", "positions"), ("tokens_embed", "positions_embed"), ("wte", "wpe")])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_an_npz_holds_tokens_and_positions(tmp_path: Path, names: tuple[str, str], dtype: type) -> None:
    path = tmp_path / "embeddings.npz"
    arrays: dict[str, Any] = {"vocabulary": np.array(["a", "b"])}
    arrays |= dict(zip(names, (TABLE.numpy().astype(dtype), POSITIONS.numpy().astype(dtype)), strict=True))
    np.savez(path, **arrays)
    model = _transformer(freeze_positions=True)
    filled = apply_pretrained_embedding(model, str(path), pad_first=True)
    assert (filled.rows, filled.substitutions) == (4, ())
    assert torch.equal(model.embedding.weight, TABLE)
    assert torch.equal(model.get_parameter("positions.weight"), POSITIONS[:6])


def test_an_npz_is_never_unpickled_and_damage_is_said(tmp_path: Path) -> None:
    path = tmp_path / "embeddings.npz"
    np.savez(path, tokens=np.array([{"a": 1}], dtype=object))
    with pytest.raises(LmError, match="damaged or unreadable"):
        apply_pretrained_embedding(_model(), str(path))
    path.write_bytes(b"PK not a zip")
    with pytest.raises(LmError, match="damaged or unreadable") as caught:
        apply_pretrained_embedding(_model(), str(path))
    assert "model.embedding=random" in caught.value.hint


def test_of_two_tables_the_one_named_as_an_embedding_is_taken(tmp_path: Path) -> None:
    save_file({"wte.weight": TABLE, "lm_head.weight": -TABLE}, tmp_path / "model.safetensors")
    model = _model()
    apply_pretrained_embedding(model, str(tmp_path))
    assert torch.equal(model.embedding.weight, TABLE)
    save_file({"a": TABLE, "b": -TABLE}, tmp_path / "model.safetensors")
    with pytest.raises(LmError, match="no single table"):
        apply_pretrained_embedding(model, str(tmp_path))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("header", ["", "3 3\n"])
def test_a_glove_file_is_matched_by_token(tmp_path: Path, header: str, packed: bool) -> None:
    text = header + "cat 1 2 3\nunseen 9 9 9\n. . 7 8 9\nthe -1 -2.5 -3e1\n"
    path = tmp_path / ("glove.txt.gz" if packed else "glove.txt")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    model = _model()
    before = model.embedding.weight.clone()
    assert apply_pretrained_embedding(model, str(path), ["<unk>", "the", "cat", ". ."]).rows == 3
    assert torch.equal(model.embedding.weight[0], before[0])
    assert model.embedding.weight[1:].tolist() == [[-1.0, -2.5, -30.0], [1.0, 2.0, 3.0], [7.0, 8.0, 9.0]]


def test_a_glove_file_of_another_width_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "glove.txt"
    path.write_text("the 1 2 3 4\n")
    with pytest.raises(LmError, match=r"line 1, does not hold a token and 3 numbers.*model.n_embd"):
        apply_pretrained_embedding(_model(), str(path), ["the"])
    path.write_text("the 1 2\n")
    with pytest.raises(LmError, match="line 1"):
        apply_pretrained_embedding(_model(), str(path), ["the"])
    path.write_text("the 1 2 x\n")
    with pytest.raises(LmError, match="not a number"):
        apply_pretrained_embedding(_model(), str(path), ["the"])


def test_a_glove_file_needs_the_tokens(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("the 1 2 3 4\n")
    with pytest.raises(LmError, match="does not list its tokens"):
        apply_pretrained_embedding(_model(), str(tmp_path / "glove.txt"))


@pytest.mark.parametrize(
    "source", ["nowhere/at-all", "missing.safetensors", "missing.npz", "missing.txt", "not a name/.."]
)
def test_what_cannot_be_had_is_said_with_a_way_out(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment only once
    with pytest.raises(LmError) as caught:
        apply_pretrained_embedding(_model(), source, ["the"])
    assert caught.value.message.endswith(".")
    assert source in caught.value.message
    assert caught.value.hint
