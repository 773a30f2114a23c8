"""Fresh weights: all of them set, from the seed alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from lmcore.config import ModelConfig
from lmcore.models import build_model
from lmcore.models.build import empty_model
from lmcore.models.init import initialize

SETTINGS: list[dict[str, Any]] = [
    {"tied": False, "head_bias": True},
    {"position": "sinusoidal", "norm": "annotated"},
    {"position": "rotary", "norm": "rmsnorm", "activation": "swiglu"},
    {"architecture": "lstm", "projection": "relu", "n_hidden": 20, "head_bias": True},
    {"architecture": "gru", "tied": False},
]


@pytest.mark.parametrize(("init", "settings"), itertools.product(["gpt2", "xavier", "torch"], SETTINGS))
def test_nothing_is_left_as_the_memory_was(init: str, settings: dict[str, Any]) -> None:
    config = ModelConfig.model_validate(
        {"n_layer": 2, "n_embd": 16, "n_head": 2, "block_size": 8, "init": init, **settings}
    )
    model = empty_model(config, 31).to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.fill_(math.nan)
    initialize(model, torch.Generator().manual_seed(0))
    assert all(tensor.isfinite().all() for tensor in (*model.parameters(), *model.buffers()))
    built = build_model(config, 31, seed=0).state_dict()
    assert all(torch.equal(tensor, built[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("settings", SETTINGS)
def test_an_untrained_model_is_about_as_good_as_guessing(settings: dict[str, Any]) -> None:
    model = build_model(
        ModelConfig.model_validate({"n_layer": 2, "n_embd": 16, "n_head": 2, "block_size": 8, **settings}), 31, seed=0
    )
    ids = torch.arange(8)[None]
    assert model.loss(ids, ids + 1).loss.item() == pytest.approx(math.log(31), abs=0.3)
