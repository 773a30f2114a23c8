"""Parameter counts against published totals, to the integer."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models import build_model

LSTM: dict[str, Any] = {
    "architecture": "lstm",
    "n_embd": 768,
    "n_hidden": 512,
    "projection": "relu",
    "freeze_embedding": True,
}
GPT1: dict[str, Any] = {
    "n_embd": 768,
    "n_head": 12,
    "block_size": 256,
    "norm_position": "post",
    "final_norm": False,
    "freeze_embedding": True,
    "freeze_positions": True,
}
GPT2: dict[str, Any] = {"n_layer": 12, "n_embd": 768, "n_head": 12}
ANNOTATED: dict[str, Any] = {
    "n_layer": 6,
    "n_embd": 512,
    "n_head": 8,
    "block_size": 512,
    "activation": "relu",
    "norm": "annotated",
    "position": "sinusoidal",
    "tied": False,
    "head_bias": True,
    "scale_embedding": True,
}


@pytest.mark.parametrize(
    ("settings", "vocab_size", "total", "learnable"),
    [
        (LSTM | {"n_layer": 1}, 40_479, 34_107_392, 3_019_520),
        (LSTM | {"n_layer": 2}, 40_479, 36_208_640, 5_120_768),
        (LSTM | {"n_layer": 4}, 40_479, 40_411_136, 9_323_264),
        (GPT1 | {"n_layer": 1}, 40_479, 38_372_352, 7_087_872),
        (GPT1 | {"n_layer": 2}, 40_479, 45_460_224, 14_175_744),
        (GPT1 | {"n_layer": 4}, 40_479, 59_635_968, 28_351_488),
        (GPT2 | {"block_size": 1024}, 50_257, 124_439_808, 124_439_808),
        (GPT2 | {"block_size": 512}, 52_000, 125_385_216, 125_385_216),
        (ANNOTATED, 50_257, 70_428_753, 70_428_753),
        (ANNOTATED | {"attention": "euclidean"}, 50_257, 70_428_753, 70_428_753),
    ],
)
def test_published_counts(settings: dict[str, Any], vocab_size: int, total: int, learnable: int) -> None:
    model = build_model(ModelConfig(**settings), vocab_size, device="meta")
    assert model.parameter_counts() == (total, learnable)


def test_groups_hold_every_learnable_parameter_once_from_the_bottom_up() -> None:
    model = build_model(ModelConfig(n_layer=3, freeze_positions=True, tied=False), 50, device="meta")
    groups = model.layer_groups()
    assert [len(groups[0]), len(groups[-1])] == [
        1,
        3,
    ]  # the token table; the final norm's gain and shift, and the output weight
    assert groups[0][0] is model.embedding.weight
    assert len(groups) == 5
    grouped = [id(p) for group in groups for p in group]
    assert sorted(grouped) == sorted(id(p) for p in model.parameters() if p.requires_grad)


def test_groups_of_a_recurrent_model_with_a_frozen_tied_table() -> None:
    model = build_model(ModelConfig(**LSTM, n_layer=2), 50, device="meta")
    assert [sum(p.numel() for p in group) for group in model.layer_groups()] == [2_625_536, 2_101_248, 393_984]


def test_roles_tell_matrices_from_tables_vectors_and_the_output() -> None:
    roles = build_model(ModelConfig(n_layer=1, tied=False, head_bias=True), 50, device="meta").parameter_roles()
    assert {name for name, role in roles.items() if role == "matrix"} == {
        "blocks.0.attention.qkv.weight",
        "blocks.0.attention.out.weight",
        "blocks.0.mlp.up.weight",
        "blocks.0.mlp.down.weight",
    }
    assert {name for name, role in roles.items() if role == "embedding"} == {"embedding.weight", "positions.weight"}
    assert roles["head.weight"] == "head"
    assert {roles[name] for name in roles if name.endswith("bias") or "norm" in name} == {"vector"}


def test_rows_are_the_vocabulary_unless_set() -> None:
    assert build_model(ModelConfig(), 50, device="meta").vocab_size == 50
    assert build_model(ModelConfig(vocab_size=64), 50, device="meta").vocab_size == 64
    with pytest.raises(LmError, match=r"50 tokens.*model.vocab_size is 49"):
        build_model(ModelConfig(vocab_size=49), 50)


def test_a_seed_gives_the_same_weights_and_leaves_the_global_stream_alone() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first, again, other = (build_model(ModelConfig(), 50, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embedding.weight"], other["embedding.weight"])
