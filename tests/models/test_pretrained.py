"""Embeddings trained elsewhere land in the right rows, or are refused with a way out."""

from __future__ import annotations

import gzip
from pathlib import Path

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
        assert apply_pretrained_embedding(model, str(source)) == 4
        assert torch.equal(model.embedding.weight, TABLE)
        assert not model.embedding.weight.requires_grad


def test_pad_first_moves_every_row_up_by_one(tmp_path: Path) -> None:
    save_file({"tokens_embed.weight": TABLE}, tmp_path / "model.safetensors")
    model = _model(rows=5)
    pad = model.embedding.weight[0].clone()
    assert apply_pretrained_embedding(model, str(tmp_path), pad_first=True) == 4
    assert torch.equal(model.embedding.weight[1:], TABLE)
    assert torch.equal(model.embedding.weight[0], pad)
    with pytest.raises(LmError, match="no single table of 5 rows x 3"):
        apply_pretrained_embedding(_model(rows=5), str(tmp_path))


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
    assert apply_pretrained_embedding(model, str(path), ["<unk>", "the", "cat", ". ."]) == 3
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
    with pytest.raises(LmError, match="does not list its tokens"):
        apply_pretrained_embedding(_model(), str(tmp_path / "glove.txt"))


@pytest.mark.parametrize("source", ["nowhere/at-all", "missing.safetensors", "missing.txt", "not a name/.."])
def test_what_cannot_be_had_is_said_with_a_way_out(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)  # read from the environment only once
    with pytest.raises(LmError) as caught:
        apply_pretrained_embedding(_model(), source, ["the"])
    assert caught.value.message.endswith(".")
    assert source in caught.value.message
    assert caught.value.hint
