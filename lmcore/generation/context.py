"""What a model remembers of the text so far, and how that slides when the text outgrows it."""

from __future__ import annotations

import torch
from torch import Tensor

from lmcore.models import LanguageModel


class Context:
    """The texts of `rows` samples so far, and the model's memory of them.

    A recurrent model keeps its hidden state and forgets nothing by itself. A transformer keeps the keys and values of
    at most `block_size` tokens. When these are full, the newest `kept` of them are read again from position 0: every
    token is predicted from at least that many, and reading again costs little, spread over many tokens.
    """

    def __init__(self, model: LanguageModel, rows: int, length: int) -> None:
        """`length`: tokens of the prompt and of the text to come, together."""
        self._model = model
        self._slides = model.context_length is not None
        self._window = model.context_length or length
        self._device = next(model.parameters()).device
        self._tokens = torch.empty(rows, length, dtype=torch.int64)
        self._length = 0
        self._remembered = 0

    @property
    def tokens(self) -> Tensor:
        """[rows, L] on the CPU: the text so far, the prompt first."""
        return self._tokens[:, : self._length]

    @property
    def kept(self) -> int:
        """Tokens read again when the context is full: three quarters of it."""
        return max(1, 3 * self._window // 4)

    def start(self, prompt: list[int]) -> Tensor:
        """Read the same prompt in every row; returns the logits of the next token, [rows, V] float32 on the CPU."""
        self._length = len(prompt)
        self._tokens[:, : self._length] = torch.tensor(prompt)
        return self._read_again(self._window)

    def extend(self, chosen: Tensor) -> Tensor:
        """Append one token to each row, [rows]; returns the logits of the next, [rows, V] float32 on the CPU."""
        self._tokens[:, self._length] = chosen
        self._length += 1
        if self._slides and self._remembered == self._window:
            return self._read_again(self.kept)
        return self._read(chosen.unsqueeze(1))

    def _read_again(self, newest: int) -> Tensor:
        tokens = self.tokens[:, -newest:] if self._slides else self.tokens
        rows, capacity = self._tokens.shape
        self._state = self._model.init_cache(rows, min(self._window, capacity))
        self._remembered = 0
        return self._read(tokens)

    def _read(self, tokens: Tensor) -> Tensor:
        hidden, self._state = self._model(tokens.to(self._device), self._state)
        self._remembered += tokens.shape[1]
        return self._model.logits(hidden[:, -1]).float().cpu()
