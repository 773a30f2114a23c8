"""Models on disk: what is saved comes back, and what is damaged is refused in words."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models import LanguageModel, build_model, load_model, save_model

IDS = torch.arange(8)[None]
SETTINGS: list[dict[str, Any]] = [
    {},
    {
        "tied": False,
        "head_bias": True,
        "position": "sinusoidal",
        "norm": "annotated",
        "norm_position": "post",
        "final_norm": False,
    },
    {"position": "rotary", "norm": "rmsnorm", "activation": "swiglu", "bias": False},
    {"architecture": "lstm", "n_hidden": 20, "projection": "relu", "freeze_embedding": True},
    {"architecture": "gru", "weight_drop": 0.5},
]


def _model(**settings: Any) -> LanguageModel:
    return build_model(
        ModelConfig.model_validate({"n_layer": 2, "n_embd": 16, "n_head": 2, "block_size": 8, **settings}), 31, seed=0
    ).eval()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_saved_model_comes_back_the_same(tmp_path: Path, settings: dict[str, Any], dtype: torch.dtype) -> None:
    model = _model(**settings).to(dtype)
    save_model(model, tmp_path)
    again = load_model(tmp_path)
    assert again.config == model.config
    assert not again.training
    assert again.parameter_counts() == model.parameter_counts()
    assert again.embedding.weight.dtype == dtype
    with torch.no_grad():
        assert torch.equal(again.logits(again(IDS)[0]), model.logits(model(IDS)[0]))


def test_a_tied_output_is_stored_once_and_files_can_be_read_by_others(tmp_path: Path) -> None:
    umask = os.umask(0o022)
    try:
        save_model(_model(), tmp_path)
    finally:
        os.umask(umask)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        shapes = {name: tuple(file.get_tensor(name).shape) for name in file.keys()}  # noqa: SIM118
    assert [name for name, shape in shapes.items() if shape == (31, 16)] == ["embedding.weight"]
    values = json.loads((tmp_path / "config.json").read_text())
    assert (values["model_type"], values["architectures"], values["vocab_size"]) == ("lm-tui", ["Transformer"], 31)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        "config.json": 0o644,
        "model.safetensors": 0o644,
    }


def test_a_loaded_model_can_be_trained_on(tmp_path: Path) -> None:
    save_model(_model(architecture="lstm"), tmp_path)
    model = load_model(tmp_path).train()
    model.loss(IDS, IDS).loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "config.json").unlink(), "There is no .*config.json"),
        (lambda folder: (folder / "model.safetensors").unlink(), "There is no .*model.safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "config.json is not a model config"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json is not a model config"),
        (lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"), "config.json is not a model config"),
        (
            lambda folder: (folder / "config.json").write_text('{"vocab_size": 31, "lm": {"n_layer": 0}}'),
            "its settings are not valid",
        ),
        (lambda folder: _cut(folder / "model.safetensors"), "model.safetensors is damaged"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b""), "model.safetensors is damaged"),
        (lambda folder: save_model(_model(n_layer=1), folder / "other"), None),
    ],
)
def test_damage_is_said_in_words(tmp_path: Path, damage: Any, said: str | None) -> None:
    save_model(_model(), tmp_path)
    damage(tmp_path)
    if said is None:
        (tmp_path / "other" / "model.safetensors").replace(tmp_path / "model.safetensors")
        said = r"do not match this model: blocks.1.attention.out.bias is missing, not \(16,\)"
    with pytest.raises(LmError, match=said):
        load_model(tmp_path)
