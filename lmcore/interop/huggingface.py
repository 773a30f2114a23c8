"""Weights of `transformers`' GPT-2 and GPT-1 under the parameter names of `lmcore`.

Their linear layers are `Conv1D`, which stores [in, out] where `nn.Linear` stores [out, in]. Everything else is a matter
of names.
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lmcore.config import ModelConfig
from lmcore.errors import LmError
from lmcore.models.base import LanguageModel
from lmcore.models.build import empty_model
from lmcore.models.weights import load_weights, read_safetensors

OUTER_NAMES = {
    "wte.weight": "embedding.weight",
    "tokens_embed.weight": "embedding.weight",
    "wpe.weight": "positions.weight",
    "positions_embed.weight": "positions.weight",
    "ln_f.weight": "final_norm.weight",
    "ln_f.bias": "final_norm.bias",
}
BLOCK_NAMES = {
    "ln_1": "attention_norm",
    "attn.c_attn": "attention.qkv",
    "attn.c_proj": "attention.out",
    "ln_2": "mlp_norm",
    "mlp.c_fc": "mlp.up",
    "mlp.c_proj": "mlp.down",
}
ACTIVATIONS = {
    "gpt2": {"gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "relu": "relu"},
    "openai-gpt": {"gelu": "gelu_tanh", "relu": "relu"},  # GPT-1's "gelu" has always been the tanh approximation
}


def from_gpt2_state_dict(
    tensors: dict[str, Tensor],
    n_head: int,
    *,
    activation: str = "gelu_tanh",
    norm_eps: float = 1e-5,
    tied: bool | None = None,
    scale_attention: bool = True,
    scale_by_layer: bool = False,
) -> LanguageModel:
    """A transformer with the weights of a `GPT2LMHeadModel` or `GPT2Model` (pre-norm), on the CPU, in evaluation mode.

    Args:
        tensors: its state dict; names with or without the `transformer.` before them.
        n_head: heads, which no shape tells.
        activation: the name of the MLP's nonlinearity in `lmcore`.
        norm_eps: the norms' epsilon.
        tied: `tie_word_embeddings`; None: the output is tied unless there is an `lm_head` that differs from the
            embedding.
        scale_attention: `scale_attn_weights`: scores are divided by the root of a head's width.
        scale_by_layer: `scale_attn_by_inverse_layer_idx`: scores of layer i (from 0) are divided by i + 1 as well.

    Raises:
        LmError: these are not such weights.
    """
    settings = {"n_head": n_head, "activation": activation, "norm_eps": norm_eps}
    model = _convert(tensors, {**settings, "norm_position": "pre", "final_norm": True}, tied)
    for layer, block in enumerate(model.get_submodule("blocks").children()):
        factor = 1.0 if scale_attention else math.sqrt(model.config.n_embd // n_head)
        _scale_queries(block, factor / (layer + 1 if scale_by_layer else 1))
    return model


def from_gpt1_state_dict(
    tensors: dict[str, Tensor], n_head: int, *, activation: str = "gelu_tanh", norm_eps: float = 1e-5
) -> LanguageModel:
    """As `from_gpt2_state_dict`, for an `OpenAIGPTLMHeadModel` or `OpenAIGPTModel` (post-norm, no final norm)."""
    settings = {"n_head": n_head, "activation": activation, "norm_eps": norm_eps}
    return _convert(tensors, {**settings, "norm_position": "post", "final_norm": False}, None)


def load_transformers_folder(folder: Path) -> LanguageModel:
    """The model in a folder with the `config.json` and `model.safetensors` of a GPT-2 or GPT-1 that `transformers`
    saved.

    Raises:
        LmError: a file is missing or damaged, or it is another kind of model.
    """
    path = Path(folder) / "config.json"
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind, settings = (
            values["model_type"],
            {"n_head": values["n_head"], "norm_eps": values.get("layer_norm_epsilon", 1e-5)},
        )
        if kind in ACTIVATIONS:
            named = values.get("activation_function", "gelu_new") if kind == "gpt2" else values.get("afn", "gelu")
            settings["activation"] = ACTIVATIONS[kind][named]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise LmError(
            f"{path} is not the config of a GPT-1 or GPT-2 ({what}).",
            "Choose a folder that transformers saved for one of these models.",
        ) from None
    if kind not in ACTIVATIONS:
        raise LmError(f"{path} describes a model of type {kind!r}.", "Only gpt2 and openai-gpt can be read.")
    if values.get("add_cross_attention"):
        raise LmError(f"{path} describes a decoder with cross-attention.", "Only language models can be read.")
    tensors = read_safetensors(Path(folder) / "model.safetensors")
    if kind == "openai-gpt":
        return from_gpt1_state_dict(tensors, **settings)
    return from_gpt2_state_dict(
        tensors,
        **settings,
        tied=bool(values.get("tie_word_embeddings", True)),
        scale_attention=bool(values.get("scale_attn_weights", True)),
        scale_by_layer=bool(values.get("scale_attn_by_inverse_layer_idx", False)),
    )


def _convert(tensors: dict[str, Tensor], settings: dict[str, Any], tied: bool | None) -> LanguageModel:
    renamed = dict(filter(None, (_rename(name, tensor) for name, tensor in tensors.items())))
    try:
        table, head = renamed["embedding.weight"], tensors.get("lm_head.weight")
        if tied is None:
            tied = head is None or torch.equal(head, table)
        if not tied:
            if head is None:
                raise LmError(
                    "The config says that the output layer is not tied, but there is no lm_head.weight.",
                    "Use the weights of the whole language model, including its output layer.",
                )
            renamed["head.weight"] = head
        config = ModelConfig(
            n_layer=len({name.split(".")[1] for name in renamed if name.startswith("blocks.")}),
            n_embd=table.shape[1],
            n_inner=renamed["blocks.0.mlp.up.weight"].shape[0],
            block_size=renamed["positions.weight"].shape[0],
            tied=tied,
            **settings,
        )
    except KeyError as error:
        raise LmError(f"These are not GPT-1 or GPT-2 weights: there is no {error}.", "Use another file.") from None
    model = empty_model(config, len(table))
    load_weights(model, renamed, "the file")
    return model.eval()


@torch.no_grad()
def _scale_queries(block: nn.Module, factor: float) -> None:
    """Multiply a block's scores q.k by `factor` through the weights of q: our attention always divides by sqrt(D)."""
    qkv = block.get_submodule("attention.qkv")
    for parameter in qkv.parameters():
        parameter[: len(parameter) // 3] *= factor


def _rename(name: str, tensor: Tensor) -> tuple[str, Tensor] | None:
    """The name and layout in `lmcore`; None for what is not a weight (causal masks, position ids) or a tied copy."""
    name = name.removeprefix("transformer.")
    if name in OUTER_NAMES:
        return OUTER_NAMES[name], tensor
    match = re.fullmatch(r"h\.(\d+)\.(.+)\.(weight|bias)", name)
    if match is None or match[2] not in BLOCK_NAMES:
        return None
    return f"blocks.{match[1]}.{BLOCK_NAMES[match[2]]}.{match[3]}", tensor.t() if tensor.dim() == 2 else tensor
