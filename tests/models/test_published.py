"""Presets against the published formulas they repeat, written down here in plain torch: same weights, same logits."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from lmcore.models import LanguageModel, build_model
from lmcore.presets import load_preset

VOCAB = 300
IDS = torch.randint(1, VOCAB, (2, 48), generator=torch.Generator().manual_seed(0))


def _built(preset: str, vocab_size: int = VOCAB) -> LanguageModel:
    """The preset's model with larger random weights, so that every part of it matters to the logits."""
    model = build_model(load_preset(preset).config.model, vocab_size, seed=0).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return model


def _logits(model: LanguageModel, ids: Tensor = IDS) -> Tensor:
    with torch.no_grad():
        return model.logits(model(ids)[0])


def _heads(x: Tensor, count: int) -> Tensor:
    batch, time, width = x.shape
    return x.view(batch, time, count, width // count).transpose(1, 2)


def _published_positions(length: int, width: int) -> Tensor:
    """Written as the study's loop: the exponent at column c is 2c/d."""
    table = torch.zeros(length, width)
    for p in range(length):
        for c in range(0, width, 2):
            table[p, c] = math.sin(p / 10_000 ** (2 * c / width))
            table[p, c + 1] = math.cos(p / 10_000 ** (2 * (c + 1) / width))
    return table


def _hw1_norm(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return w[f"{name}.weight"] * centred / (x.std(-1, keepdim=True) + 1e-6) + w[f"{name}.bias"]


def _hw1(w: dict[str, Tensor], ids: Tensor, *, layers: int, heads: int, width: int, euclidean: bool) -> Tensor:
    """The pre-norm decoder of the hw1 study."""
    time = ids.shape[1]
    x = w["embedding.weight"][ids] * math.sqrt(width) + _published_positions(time, width)
    future = torch.ones(time, time).triu(1).bool()
    for layer in range(layers):
        block = f"blocks.{layer}"
        y = _hw1_norm(w, f"{block}.attention_norm", x)
        maps = zip(
            w[f"{block}.attention.qkv.weight"].split(width), w[f"{block}.attention.qkv.bias"].split(width), strict=True
        )
        q, k, v = (_heads(y @ weight.t() + bias, heads) for weight, bias in maps)
        if euclidean:
            scores = (q[..., :, None, :] - k[..., None, :, :]).norm(dim=-1)
        else:
            scores = q @ k.transpose(-2, -1) / math.sqrt(width // heads)
        weights = scores.masked_fill(future, -1e9).softmax(-1)
        joined = (weights @ v).transpose(1, 2).reshape(x.shape)
        x = x + joined @ w[f"{block}.attention.out.weight"].t() + w[f"{block}.attention.out.bias"]
        y = _hw1_norm(w, f"{block}.mlp_norm", x)
        inner = torch.relu(y @ w[f"{block}.mlp.up.weight"].t() + w[f"{block}.mlp.up.bias"])
        x = x + inner @ w[f"{block}.mlp.down.weight"].t() + w[f"{block}.mlp.down.bias"]
    return _hw1_norm(w, "final_norm", x) @ w["head.weight"].t() + w["head.bias"]


@pytest.mark.parametrize(("preset", "euclidean"), [("hw1-dot", False), ("hw1-euclid-published", True)])
def test_hw1_logits_equal_the_published_formulas(preset: str, euclidean: bool) -> None:
    model = _built(preset)
    config = model.config
    expected = _hw1(
        dict(model.state_dict()),
        IDS,
        layers=config.n_layer,
        heads=config.n_head,
        width=config.n_embd,
        euclidean=euclidean,
    )
    assert (config.n_layer, config.n_head, config.n_embd, config.mlp_width) == (6, 8, 512, 2048)
    assert expected.abs().max() > 1
    torch.testing.assert_close(_logits(model), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("layers", [1, 4])
def test_exp_gpt1_logits_equal_the_published_formulas(layers: int) -> None:
    """Post-norm blocks, exact GELU, no final norm, tied output without bias."""
    model = _built({1: "exp5", 4: "exp12"}[layers])
    w, time = dict(model.state_dict()), IDS.shape[1]
    x = w["embedding.weight"][IDS] + w["positions.weight"][:time]
    future = torch.ones(time, time).triu(1).bool()
    for layer in range(layers):
        block = f"blocks.{layer}"
        q, k, v = (_heads(part, 12) for part in _affine(w, f"{block}.attention.qkv", x).split(768, dim=-1))
        weights = (q @ k.transpose(-2, -1) / 8).masked_fill(future, -math.inf).softmax(-1)
        x = _layer_norm(w, f"{block}.attention_norm", x + _affine(w, f"{block}.attention.out", _joined(weights @ v)))
        inner = _affine(w, f"{block}.mlp.up", x)
        inner = 0.5 * inner * (1 + torch.erf(inner / math.sqrt(2)))
        x = _layer_norm(w, f"{block}.mlp_norm", x + _affine(w, f"{block}.mlp.down", inner))
    torch.testing.assert_close(_logits(model), x @ w["embedding.weight"].t(), rtol=0, atol=1e-5)


def test_exp_lstm_logits_equal_the_published_formulas() -> None:
    """embedding → LSTM → linear → ReLU → tied output, from zero state."""
    model = _built("exp9")
    w = dict(model.state_dict())
    theirs = torch.nn.LSTM(768, 512, num_layers=2, batch_first=True)
    theirs.load_state_dict(
        {
            f"{name}_l{layer}": w[f"layers.{layer}.{name}_l0"]
            for layer in range(2)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
    )
    with torch.no_grad():
        hidden, _ = theirs(w["embedding.weight"][IDS])
        projected = F.relu(_affine(w, "projection", hidden))
    torch.testing.assert_close(_logits(model), projected @ w["embedding.weight"].t(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("preset", ["exp1", "exp12"])
def test_experiments_start_as_pytorchs_own_layers(preset: str) -> None:
    """Weights *and* biases of linear layers are uniform in ±1/sqrt(fan in), cells in ±1/sqrt(hidden)."""
    model = build_model(load_preset(preset).config.model, VOCAB, seed=3)
    torch.manual_seed(3)
    peers = {"mlp.up": torch.nn.Linear(768, 3072), "mlp.down": torch.nn.Linear(3072, 768)}
    for name, parameter in model.named_parameters():
        if "norm" in name or name in ("embedding.weight", "positions.weight"):
            continue
        fan_in = 512 if name.startswith(("layers", "projection")) else 3072 if "down" in name else 768
        assert parameter.abs().max().item() == pytest.approx(1 / math.sqrt(fan_in), rel=0.02), name
        assert parameter.std().item() == pytest.approx(1 / math.sqrt(3 * fan_in), rel=0.1), name
        if (peer := peers.get(".".join(name.split(".")[2:4]))) is not None:
            assert parameter.std().item() == pytest.approx(
                dict(peer.named_parameters())[name.split(".")[4]].std().item(), rel=0.1
            )


def _affine(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ w[f"{name}.weight"].t() + w[f"{name}.bias"]


def _layer_norm(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return w[f"{name}.weight"] * centred / (x.var(-1, unbiased=False, keepdim=True) + 1e-5).sqrt() + w[f"{name}.bias"]


def _joined(heads: Tensor) -> Tensor:
    return heads.transpose(1, 2).flatten(2)
