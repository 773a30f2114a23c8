"""Keys and values of the tokens already read, so that generating a token costs one token's work."""

from __future__ import annotations

import torch
from torch import Tensor


class KVCache:
    """Room for `capacity` tokens in every layer, allocated once.

    `length` tokens are in it. When no more fit, the end of the text has to be read again into a new cache: keys carry
    the position at which they were read.
    """

    def __init__(
        self, n_layer: int, batch_size: int, n_head: int, capacity: int, head_width: int, like: Tensor
    ) -> None:
        """Empty, in the type and on the device of `like`."""
        self.keys = like.new_empty(n_layer, batch_size, n_head, capacity, head_width)
        self.values = torch.empty_like(self.keys)
        self.capacity = capacity
        self.length = 0

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Store a layer's new keys and values [B, H, T, D]; returns all of them, [B, H, length + T, D]. `advance`
        follows the last layer.
        """
        end = self.length + k.shape[-2]
        self.keys[layer, :, :, self.length : end] = k
        self.values[layer, :, :, self.length : end] = v
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]

    def advance(self, tokens: int) -> None:
        """Count `tokens` as read."""
        self.length += tokens
