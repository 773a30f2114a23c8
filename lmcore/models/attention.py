"""Causal self-attention: by dot product, and by Euclidean distance in three forms."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lmcore.config import ModelConfig
from lmcore.models.cache import KVCache
from lmcore.models.embeddings import RotaryPositions
from lmcore.models.layers import Linear


class CausalSelfAttention(nn.Module):
    """Each position gathers values from itself and the positions before it."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.qkv = Linear(config.n_embd, 3 * config.n_embd, bias=config.bias, parts=3)
        self.out = Linear(config.n_embd, config.n_embd, bias=config.bias, residual=True)
        self.n_head = config.n_head
        self.attend = ATTENTIONS[config.attention]
        self.dropout = config.dropout_attention
        self.layer = layer

    def forward(self, x: Tensor, rotary: RotaryPositions | None, cache: KVCache | None) -> Tensor:
        batch, time, width = x.shape
        q, k, v = (
            part.view(batch, time, self.n_head, -1).transpose(1, 2) for part in self.qkv(x).split(width, dim=-1)
        )  # [B, H, T, D]
        if rotary is not None:
            start = 0 if cache is None else cache.length
            q, k = rotary(q, start), rotary(k, start)
        if cache is not None:
            k, v = cache.append(self.layer, k, v)  # [B, H, S, D], S = tokens before + T
        heads = self.attend(q, k, v, self.dropout if self.training else 0.0)  # [B, H, T, D]
        y: Tensor = self.out(heads.transpose(1, 2).reshape(batch, time, width))  # [B, T, E]
        return y


def dot_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float, scale: float | None = None) -> Tensor:
    """`softmax(q.k / sqrt(D)) v` over the past (Vaswani et al., 2017, equation 1), by PyTorch's fused kernels.

    `q` is [B, H, T, D], `k` and `v` are [B, H, S, D] with S >= T: the queries are the last T of S positions. Returns
    [B, H, T, D].
    """
    queries, keys = q.shape[-2], k.shape[-2]
    if queries == keys:
        return F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True, scale=scale)
    mask = None if queries == 1 else _visible(queries, keys, q.device)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, scale=scale)


def squared_distance_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """`softmax(-|q-k|^2 / sqrt(D)) v`. Shapes as in `dot_attention`.

    `-|q-k|^2 = 2 q.k - |k|^2 - |q|^2`, and `|q|^2` is the same for all keys, so the softmax drops it. What is left is a
    dot product in one more dimension, `[2q, 1] . [k, -|k|^2]`, and takes the fused kernels too. They want the width of
    the values equal and a multiple of 8.
    """
    width = q.shape[-1]
    padding = 8 - width % 8
    query = F.pad(F.pad(2 * q, (0, 1), value=1.0), (0, padding - 1))  # [B, H, T, D+p]
    key = F.pad(torch.cat((k, -k.square().sum(-1, keepdim=True)), dim=-1), (0, padding - 1))  # [B, H, S, D+p]
    return dot_attention(query, key, F.pad(v, (0, padding)), dropout, scale=1 / math.sqrt(width))[..., :width]


def distance_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """`softmax(-|q-k| / sqrt(D)) v`: near keys weigh most. Shapes as in `dot_attention`."""
    return _weigh(-distances(q, k) / math.sqrt(q.shape[-1]), v, dropout)


def published_distance_attention(q: Tensor, k: Tensor, v: Tensor, dropout: float) -> Tensor:
    """`softmax(+|q-k|) v`, as published in the study that `hw1-euclid-published` repeats: *far* keys weigh most. Shapes
    as in `dot_attention`.
    """
    return _weigh(distances(q, k), v, dropout)


def distances(q: Tensor, k: Tensor) -> Tensor:
    """`|q-k|` for all pairs, [B, H, T, S], float32 at least; where a query equals a key the gradient is 0.

    By `|q|^2 + |k|^2 - 2 q.k`, one matrix product instead of T x S x D differences. The sum cancels where q and k are
    near, so it is never taken in half precision.
    """
    with torch.autocast(q.device.type, enabled=False):
        if q.dtype in (torch.float16, torch.bfloat16):
            q, k = q.float(), k.float()
        squares = q.square().sum(-1)[..., :, None] + k.square().sum(-1)[..., None, :] - 2 * (q @ k.transpose(-2, -1))
        return squares.clamp(min=torch.finfo(squares.dtype).eps).sqrt()


def _weigh(scores: Tensor, v: Tensor, dropout: float) -> Tensor:
    """Softmax of the visible scores [B, H, T, S], dropout, and the weighted sum of the values [B, H, S, D]."""
    scores = scores.masked_fill(~_visible(scores.shape[-2], scores.shape[-1], scores.device), -math.inf)
    weights = F.dropout(scores.softmax(-1), dropout) if dropout else scores.softmax(-1)
    return weights.to(v.dtype) @ v


def _visible(queries: int, keys: int, device: torch.device) -> Tensor:
    """[T, S], true where a query may look at a key: the last query sees all keys."""
    return torch.ones(queries, keys, dtype=torch.bool, device=device).tril(keys - queries)


ATTENTIONS: dict[str, Callable[[Tensor, Tensor, Tensor, float], Tensor]] = {
    "dot": dot_attention,
    "euclidean": distance_attention,
    "euclidean_published": published_distance_attention,
    "euclidean_squared": squared_distance_attention,
}
