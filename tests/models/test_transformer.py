"""The transformer against `transformers`' GPT-2, GPT-1 and Llama with the same random weights, and against closed
forms.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    OpenAIGPTConfig,
    OpenAIGPTLMHeadModel,
)

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.interop.huggingface import from_gpt1_state_dict, from_gpt2_state_dict, load_transformers_folder
from lmcore.models import build_model
from lmcore.models.attention import ATTENTIONS
from lmcore.models.layers import AnnotatedNorm

IDS = torch.randint(0, 61, (2, 12), generator=torch.Generator().manual_seed(0))


def _logits(model: Any, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.no_grad():
        logits: torch.Tensor = model.logits(model(ids)[0])
    return logits


def _spread(model: nn.Module) -> None:
    """Larger random weights, so that each part matters to the logits; gains and shifts too."""
    torch.manual_seed(4)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)


def test_logits_equal_gpt2s() -> None:
    theirs = GPT2LMHeadModel(GPT2Config(n_layer=3, n_head=4, n_embd=32, n_positions=16, vocab_size=61)).eval()
    _spread(theirs)
    ours = from_gpt2_state_dict(dict(theirs.state_dict()), n_head=4)
    torch.testing.assert_close(_logits(ours), theirs(IDS).logits.detach(), rtol=1e-4, atol=1e-4)
    bare = from_gpt2_state_dict(dict(theirs.transformer.state_dict()), n_head=4)
    assert torch.equal(_logits(bare), _logits(ours))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("by_layer", [True, False])
def test_logits_equal_those_of_unusual_gpt2s(tmp_path: Path, tied: bool, scaled: bool, by_layer: bool) -> None:
    """Untied heads, scores that are not scaled, scores scaled by their layer: as a folder and as a state dict."""
    config = GPT2Config(
        n_layer=3,
        n_head=4,
        n_embd=32,
        n_inner=40,
        n_positions=16,
        vocab_size=61,
        activation_function="relu",
        layer_norm_epsilon=1e-3,
        tie_word_embeddings=tied,
        scale_attn_weights=scaled,
        scale_attn_by_inverse_layer_idx=by_layer,
    )
    theirs = GPT2LMHeadModel(config).eval()
    _spread(theirs)
    expected = theirs(IDS).logits.detach()
    theirs.save_pretrained(tmp_path)
    ours = load_transformers_folder(tmp_path)
    assert ours.config.tied is tied
    torch.testing.assert_close(_logits(ours), expected, rtol=1e-4, atol=1e-4)
    same = from_gpt2_state_dict(
        dict(theirs.state_dict()),
        n_head=4,
        activation="relu",
        norm_eps=1e-3,
        scale_attention=scaled,
        scale_by_layer=by_layer,
    )
    assert torch.equal(_logits(same), _logits(ours))


def test_an_untied_head_that_is_missing_is_refused(tmp_path: Path) -> None:
    config = GPT2Config(n_layer=1, n_head=2, n_embd=16, n_positions=16, vocab_size=61, tie_word_embeddings=False)
    GPT2LMHeadModel(config).transformer.save_pretrained(tmp_path)
    with pytest.raises(LmError, match=r"no lm_head\.weight"):
        load_transformers_folder(tmp_path)


def test_logits_equal_gpt1s() -> None:
    theirs = OpenAIGPTLMHeadModel(OpenAIGPTConfig(n_layer=3, n_head=4, n_embd=32, n_positions=16, vocab_size=61)).eval()
    _spread(theirs)
    ours = from_gpt1_state_dict(dict(theirs.state_dict()), n_head=4)
    torch.testing.assert_close(_logits(ours), theirs(IDS).logits.detach(), rtol=1e-4, atol=1e-4)


def test_logits_equal_llamas() -> None:
    theirs = LlamaForCausalLM(
        LlamaConfig(
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            vocab_size=61,
            rms_norm_eps=1e-5,
        )
    ).eval()
    _spread(theirs)
    config = ModelConfig(
        n_layer=2,
        n_embd=32,
        n_head=4,
        n_inner=48,
        block_size=16,
        position="rotary",
        norm="rmsnorm",
        activation="swiglu",
        bias=False,
        tied=False,
    )
    ours = build_model(config, 61).eval()
    weights = theirs.state_dict()
    renamed = {
        "embedding.weight": weights["model.embed_tokens.weight"],
        "final_norm.weight": weights["model.norm.weight"],
        "head.weight": weights["lm_head.weight"],
    }
    for layer in range(2):
        block, there = f"blocks.{layer}", f"model.layers.{layer}"
        renamed[f"{block}.attention.qkv.weight"] = torch.cat(
            [weights[f"{there}.self_attn.{part}_proj.weight"] for part in "qkv"]
        )
        renamed[f"{block}.attention.out.weight"] = weights[f"{there}.self_attn.o_proj.weight"]
        renamed[f"{block}.attention_norm.weight"] = weights[f"{there}.input_layernorm.weight"]
        renamed[f"{block}.mlp_norm.weight"] = weights[f"{there}.post_attention_layernorm.weight"]
        renamed[f"{block}.mlp.up.weight"] = torch.cat(
            [weights[f"{there}.mlp.{part}_proj.weight"] for part in ("gate", "up")]
        )
        renamed[f"{block}.mlp.down.weight"] = weights[f"{there}.mlp.down_proj.weight"]
    ours.load_state_dict(renamed)
    torch.testing.assert_close(_logits(ours), theirs(IDS).logits.detach(), rtol=1e-4, atol=1e-4)


def test_a_folder_that_transformers_saved_can_be_read(tmp_path: Path) -> None:
    theirs = OpenAIGPTLMHeadModel(OpenAIGPTConfig(n_layer=1, n_head=2, n_embd=16, n_positions=16, vocab_size=61)).eval()
    theirs.save_pretrained(tmp_path)
    torch.testing.assert_close(
        _logits(load_transformers_folder(tmp_path)), theirs(IDS).logits.detach(), rtol=1e-4, atol=1e-5
    )
    (tmp_path / "config.json").write_text('{"model_type": "bert", "n_head": 2}')
    with pytest.raises(LmError, match="bert"):
        load_transformers_folder(tmp_path)
    for content in (
        '{"model_type": "gpt2"}',
        "[]",
        "{",
        '{"model_type": "gpt2", "n_head": 2, "activation_function": "mish"}',
    ):
        (tmp_path / "config.json").write_text(content)
        with pytest.raises(LmError, match="not the config of a GPT-1 or GPT-2"):
            load_transformers_folder(tmp_path)


def test_other_weights_are_refused_by_name(tmp_path: Path) -> None:
    save_file({"encoder.weight": torch.zeros(2, 2)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2", "n_head": 2}')
    with pytest.raises(LmError, match="not GPT-1 or GPT-2 weights"):
        load_transformers_folder(tmp_path)


@pytest.mark.parametrize("position", ["learned", "sinusoidal", "rotary", "none"])
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_reading_piece_by_piece_equals_reading_at_once(attention: str, position: str) -> None:
    config = ModelConfig.model_validate(
        {"attention": attention, "position": position, "n_layer": 2, "n_embd": 16, "n_head": 2, "block_size": 12}
    )
    model = build_model(config, 61, seed=0).eval()
    cache = model.init_cache(2, 100)
    assert cache.capacity == 12
    with torch.no_grad():
        pieces = [model(piece, cache)[0] for piece in IDS.split([5, 1, 1, 3, 2], dim=1)]
        whole = model(IDS)[0]
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="13 tokens do not fit into a context of 12"):
        model(IDS[:, :1], cache)


def test_more_tokens_than_the_context_are_refused() -> None:
    model = build_model(ModelConfig(block_size=8), 61)
    with pytest.raises(ValueError, match="12 tokens do not fit into a context of 8"):
        model(IDS)


def test_annotated_norm_divides_by_the_unbiased_deviation_plus_eps() -> None:
    norm = AnnotatedNorm(8, eps=0.5, bias=True).double()
    x = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(norm(x), (x - x.mean(-1, keepdim=True)) / (x.std(-1, keepdim=True) + 0.5))
    assert torch.autograd.gradcheck(norm, (x,))


def test_annotated_norm_of_equal_values_has_a_finite_gradient() -> None:
    x = torch.full((1, 8), 2.0, requires_grad=True)
    AnnotatedNorm(8, eps=1e-6, bias=True)(x).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


def test_sinusoidal_positions_and_scaled_embeddings() -> None:
    config = ModelConfig(position="sinusoidal", scale_embedding=True, n_layer=1, n_embd=16, block_size=12)
    model = build_model(config, 61, seed=0).eval()
    inputs = []
    block = next(model.get_submodule("blocks").children())
    block.register_forward_pre_hook(lambda _, args: inputs.append(args[0]))
    model(IDS)
    added = inputs[0] - 4.0 * model.embedding.weight[IDS]
    for p, i in [(0, 0), (3, 0), (11, 5)]:
        angle = p / 10_000 ** (2 * i / 16)
        torch.testing.assert_close(
            added[0, p, 2 * i : 2 * i + 2], torch.tensor([math.sin(angle), math.cos(angle)]), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("name", ["dropout", "dropout_embedding", "dropout_attention"])
def test_each_dropout_acts_in_training_only(name: str) -> None:
    model = build_model(ModelConfig.model_validate({name: 0.5}), 61, seed=0)
    assert not torch.equal(_logits(model), _logits(model))
    model.eval()
    assert torch.equal(_logits(model), _logits(model))


def test_residual_projections_start_smaller_by_depth() -> None:
    weights = build_model(ModelConfig(n_layer=8, n_embd=128), 500, seed=0).state_dict()
    assert weights["blocks.0.mlp.up.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    assert weights["embedding.weight"].std().item() == pytest.approx(0.02, rel=0.02)
    for name in ("attention.out", "mlp.down"):
        assert weights[f"blocks.3.{name}.weight"].std().item() == pytest.approx(0.02 / 4, rel=0.03)
        assert not weights[f"blocks.3.{name}.bias"].any()


def test_xavier_takes_each_matrix_by_itself() -> None:
    weights = build_model(ModelConfig(init="xavier", n_embd=128, tied=False), 500, seed=0).state_dict()
    bound = math.sqrt(6 / 256)  # a query, key or value map is 128 x 128
    assert weights["blocks.0.attention.qkv.weight"].abs().max().item() == pytest.approx(bound, rel=0.01)
    assert weights["head.weight"].abs().max().item() == pytest.approx(math.sqrt(6 / 628), rel=0.01)


def test_swiglu_has_about_as_many_weights_as_gelu() -> None:
    assert ModelConfig(activation="swiglu", n_embd=384).mlp_width == 1024
    assert ModelConfig(activation="swiglu", n_embd=100, n_head=4).mlp_width == 272
    assert ModelConfig(n_embd=100).mlp_width == 400


def test_training_compiles_in_one_graph_to_the_same_gradients() -> None:
    config = ModelConfig(
        n_layer=1, n_embd=16, n_head=2, block_size=12, attention="euclidean_squared", position="rotary"
    )
    model = build_model(config, 61, seed=0)
    step = torch.compile(lambda ids: model.loss(ids, ids).loss, backend="aot_eager", fullgraph=True)
    expected = torch.autograd.grad(model.loss(IDS, IDS).loss, list(model.parameters()))
    for mine, other in zip(torch.autograd.grad(step(IDS), list(model.parameters())), expected, strict=True):
        torch.testing.assert_close(mine, other)
