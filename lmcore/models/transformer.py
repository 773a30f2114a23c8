"""A decoder transformer: GPT-1 (post-norm), GPT-2 (pre-norm), and the variants of position, norm, MLP and attention
between and beyond.

    x = tokens + positions
    for each block:   pre-norm    x = x + attention(norm(x))      x = x + mlp(norm(x))
                      post-norm   x = norm(x + attention(x))      x = norm(x + mlp(x))
    hidden = final norm(x)

Radford et al., "Improving Language Understanding by Generative Pre-Training" (2018); "Language Models are Unsupervised
Multitask Learners" (2019). Shapes: B rows, T tokens, E = n_embd, H heads of width D = E / H, V tokens in the
vocabulary.
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional as F

from lmcore.config import ModelConfig
from lmcore.models.attention import CausalSelfAttention
from lmcore.models.base import LanguageModel, State
from lmcore.models.cache import KVCache
from lmcore.models.embeddings import LearnedPositions, RotaryPositions, SinusoidalPositions
from lmcore.models.layers import make_mlp, make_norm


class Block(nn.Module):
    """Attention, then an MLP for each position, each added to the residual stream."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attention_norm = make_norm(config)
        self.attention = CausalSelfAttention(config, layer)
        self.mlp_norm = make_norm(config)
        self.mlp = make_mlp(config)
        self.pre_norm = config.norm_position == "pre"
        self.dropout = config.dropout

    def forward(self, x: Tensor, rotary: RotaryPositions | None, cache: KVCache | None) -> Tensor:
        if self.pre_norm:
            x = x + self._drop(self.attention(self.attention_norm(x), rotary, cache))  # [B, T, E]
            return x + self._drop(self.mlp(self.mlp_norm(x)))  # [B, T, E]
        x = self.attention_norm(x + self._drop(self.attention(x, rotary, cache)))  # [B, T, E]
        normalized: Tensor = self.mlp_norm(x + self._drop(self.mlp(x)))  # [B, T, E]
        return normalized

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.dropout) if self.training and self.dropout else x


class Transformer(LanguageModel):
    """The model; `config` says which."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__(config, vocab_size, width=config.n_embd)
        self.positions: LearnedPositions | SinusoidalPositions | None = None
        self.rotary: RotaryPositions | None = None
        match config.position:
            case "learned":
                self.positions = LearnedPositions(config.block_size, config.n_embd)
            case "sinusoidal" | "sinusoidal_published":
                published = config.position == "sinusoidal_published"
                self.positions = SinusoidalPositions(config.block_size, config.n_embd, published=published)
            case "rotary":
                self.rotary = RotaryPositions(config.block_size, config.n_embd // config.n_head, config.rope_theta)
        self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.n_layer))
        self.final_norm = make_norm(config) if config.final_norm else nn.Identity()

        if isinstance(self.positions, LearnedPositions):
            self.positions.weight.requires_grad_(not config.freeze_positions)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """As in `LanguageModel`; `state` is None or a `KVCache`, which is filled in place.

        Raises:
            ValueError: the tokens, with those in the cache, are more than `block_size`.
        """
        cache: KVCache | None = state
        time = ids.shape[1]
        start = 0 if cache is None else cache.length
        limit = self.config.block_size if cache is None else cache.capacity
        if start + time > limit:
            raise ValueError(f"{start + time} tokens do not fit into a context of {limit}")

        x = self.embedding(ids)  # [B, T, E]
        if self.config.scale_embedding:
            x = x * math.sqrt(self.config.n_embd)
        if self.positions is not None:
            x = x + self.positions(start, time)  # [B, T, E] + [T, E]
        if self.training and self.config.dropout_embedding:
            x = F.dropout(x, self.config.dropout_embedding)
        for block in self.blocks:
            x = block(x, self.rotary, cache)  # [B, T, E]
        if cache is not None:
            cache.advance(time)
        return self.final_norm(x), cache  # [B, T, E]

    def init_state(self, batch_size: int) -> None:
        """None: windows are independent of each other."""
        return

    def init_cache(self, batch_size: int, length: int) -> KVCache:
        """An empty cache for `length` tokens, or `block_size` where that is less."""
        config = self.config
        capacity = min(length, config.block_size)
        return KVCache(
            config.n_layer,
            batch_size,
            config.n_head,
            capacity,
            config.n_embd // config.n_head,
            like=self.embedding.weight.detach(),
        )

    def flops_per_token(self) -> int:
        """As in `LanguageModel`, and 12 · layers · width · context for attention (Chowdhery et al., 2022, PaLM,
        appendix B).
        """
        return super().flops_per_token() + 12 * self.config.n_layer * self.config.n_embd * self.config.block_size

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Embedding and positions; each block; final norm and output layer."""
        bottom = self._embedding_parameters()
        if isinstance(self.positions, LearnedPositions) and not self.config.freeze_positions:
            bottom.append(self.positions.weight)
        top = [*self.final_norm.parameters(), *self.head.parameters()]
        return [group for group in (bottom, *(list(block.parameters()) for block in self.blocks), top) if group]
