"""Prompt to text: a model, its own tokenizer, and the loop that generates one token after another."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lmcore.config import GenerationConfig
from lmcore.data import Tokenizer, load_tokenizer
from lmcore.errors import LmError, UsageError
from lmcore.generation.context import Context
from lmcore.generation.defaults import load_defaults
from lmcore.generation.generated_token import GeneratedToken
from lmcore.generation.random_streams import random_stream
from lmcore.generation.samplers import choose
from lmcore.generation.stop_texts import StopFilter
from lmcore.generation.word_limit import WordLimit
from lmcore.models import LanguageModel, load_model
from lmcore.models.device import pick_device

ROWS_AT_ONCE = 8  # samples that share one reading of the weights; more would cost memory for caches
TOKENS_PER_WORD = 40  # a text without white space ends there, if only its words are limited
_DECODER_LOOKS_BACK = 16  # tokens of the prompt that say how the first new one is spaced


class TextGenerator:
    """Generates text with a model, in the tokens of its own tokenizer.

    Attributes:
        model: the language model, on the device that computes.
        tokenizer: the one the model was trained with.
        defaults: the settings saved with the checkpoint.
        step: the training step of the checkpoint, None if its folder does not say.
        folder: the checkpoint, None for a model that was never saved.
    """

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        defaults: GenerationConfig | None = None,
        *,
        step: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.defaults = defaults or GenerationConfig()
        self.step = step
        self.folder = folder

    def notices(self, prompt: str) -> list[str]:
        """What a user should know about a continuation of `prompt`: unknown words, a prompt that does not fit."""
        ids, unknown = self.tokenizer.encode_prompt(prompt)
        notices = []
        if unknown:
            words = ", ".join(repr(word) for word in dict.fromkeys(unknown))
            notices.append(f"Not in the vocabulary: {words}. The model reads <unk> instead.")
        context = self.model.context_length
        if context is not None and len(ids) > context:
            notices.append(
                f"The prompt has {len(ids)} tokens, more than the context of {context}; only the last ones are used."
            )
        if not ids:
            notices.append("The prompt is empty: the model starts a new text.")
        return notices

    def generate(
        self,
        prompt: str,
        settings: GenerationConfig | None = None,
        *,
        num_samples: int = 1,
        cancelled: Callable[[], bool] | None = None,
        alternatives: int = 0,
    ) -> Iterator[GeneratedToken]:
        """Continue `prompt`, token by token as they are drawn; the prompt itself is not repeated.

        Each sample draws from its own random stream, derived from `settings.seed`, the prompt and the sample's index:
        it is the same whether it is generated alone or with others (up to the rounding of a matrix product with more
        rows), and the global random stream is not touched. Samples are generated side by side, so their tokens
        alternate: `GeneratedToken.sample` says to which each belongs.

        A text ends after `settings.max_new_tokens`, with its `settings.max_new_words`-th word, before a stop text, or
        with the tokenizer's end-of-text token; a word tokenizer's `<eos>` is a line break and does not end the text.
        Padding and ids that the tokenizer does not have are never drawn.

        Args:
            prompt: may be empty: the text then starts after an end-of-text token or a line break.
            settings: defaults to the checkpoint's own.
            num_samples: how many texts, at least 1.
            cancelled: called before each token is computed; generation stops once it returns True.
            alternatives: how many of the most likely tokens each generated token lists.

        Raises:
            UsageError: `num_samples` is below 1.
            LmError: the model's output is not finite (its weights are damaged).
        """
        settings = settings or self.defaults
        if num_samples < 1:
            raise UsageError(f"{num_samples} samples cannot be generated.", "Choose at least 1.")
        return self._generate(prompt, settings, num_samples, cancelled or (lambda: False), alternatives)

    def _generate(
        self,
        prompt: str,
        settings: GenerationConfig,
        num_samples: int,
        cancelled: Callable[[], bool],
        alternatives: int,
    ) -> Iterator[GeneratedToken]:
        prompt_ids = self._prompt_ids(prompt)
        was_training = self.model.training
        self.model.eval()
        try:
            for first in range(0, num_samples, ROWS_AT_ONCE):
                texts = [
                    _Text(i, self.tokenizer, prompt, prompt_ids, settings)
                    for i in range(first, min(first + ROWS_AT_ONCE, num_samples))
                ]
                yield from self._generate_together(texts, prompt_ids, settings, cancelled, alternatives)
        finally:
            self.model.train(was_training)

    def _generate_together(
        self,
        texts: list[_Text],
        prompt_ids: list[int],
        settings: GenerationConfig,
        cancelled: Callable[[], bool],
        alternatives: int,
    ) -> Iterator[GeneratedToken]:
        most = _most_tokens(settings)
        context = Context(self.model, len(texts), len(prompt_ids) + most)
        chosen: Tensor | None = None
        for left in reversed(range(most)):
            if cancelled() or all(text.ended for text in texts):
                break
            # Not around the yield: the caller's code would run in inference mode too.
            with torch.inference_mode():
                logits = context.start(prompt_ids) if chosen is None else context.extend(chosen)
                chosen, tokens = self._next(logits, context.tokens, settings, texts, alternatives)
            for text, token in zip(texts, tokens, strict=True):
                if not text.ended:
                    yield from text.push(token, last=left == 0)
        for text in texts:
            yield from text.stop_filter.flush()

    def _next(
        self, logits: Tensor, previous: Tensor, settings: GenerationConfig, texts: list[_Text], alternatives: int
    ) -> tuple[Tensor, list[_Token]]:
        """The next token of each row of `logits` [rows, V], as a tensor and with what is said of it."""
        log_total = logits.logsumexp(-1)
        if not bool(log_total.isfinite().all()):
            raise LmError(
                "The model's output is not a finite number: its weights are damaged.",
                "Use an earlier checkpoint of the run.",
            )
        self._exclude(logits)
        uniform = None if settings.greedy else torch.stack([text.uniform() for text in texts])
        chosen = choose(logits, settings, uniform, previous)
        nll = (log_total - logits.gather(-1, chosen.unsqueeze(-1)).squeeze(-1)).tolist()
        tokens = [_Token(int(id_), row_nll, ()) for id_, row_nll in zip(chosen.tolist(), nll, strict=True)]
        if alternatives:
            likeliest = logits.topk(min(alternatives, self.tokenizer.vocab_size))
            probabilities = (likeliest.values - log_total.unsqueeze(-1)).exp().tolist()
            for row, (token, ids) in enumerate(zip(tokens, likeliest.indices.tolist(), strict=True)):
                others = tuple(
                    (self.tokenizer.decode([id_]), p) for id_, p in zip(ids, probabilities[row], strict=True)
                )
                tokens[row] = token._replace(alternatives=others)
        return chosen, tokens

    def _exclude(self, logits: Tensor) -> None:
        """Padding, and rows of the embedding beyond the tokenizer's vocabulary, are no text."""
        logits[:, self.tokenizer.vocab_size :] = -math.inf
        pad_id = self.tokenizer.pad_id
        if pad_id is not None and pad_id != self.tokenizer.eos_id:
            logits[:, pad_id] = -math.inf

    def _prompt_ids(self, prompt: str) -> list[int]:
        """The prompt's tokens, or the token after which a text starts."""
        ids, _ = self.tokenizer.encode_prompt(prompt)
        if ids:
            return ids
        if self.tokenizer.eos_id is not None:
            return [self.tokenizer.eos_id]
        return self.tokenizer.encode("\n")[-1:] or [0]


class _Token(NamedTuple):
    """A drawn token, before its text is known."""

    id: int
    nll: float
    alternatives: tuple[tuple[str, float], ...]


class _Text:
    """One sample in the making: its random stream, its decoder, and what is held back of it."""

    def __init__(
        self, index: int, tokenizer: Tokenizer, prompt: str, prompt_ids: list[int], settings: GenerationConfig
    ) -> None:
        self._index = index
        self._end_id = None if tokenizer.eos_ends_lines else tokenizer.eos_id
        self._generator = random_stream(settings.seed, prompt, index)
        self._decoder = tokenizer.decode_stream()
        for id_ in prompt_ids[-_DECODER_LOOKS_BACK:]:
            self._decoder.push(id_)
        self._word_limit = WordLimit(settings.max_new_words, prompt)
        self.stop_filter = StopFilter(settings.stop)
        self._at_end = False

    @property
    def ended(self) -> bool:
        """Whether the end-of-text token, the last word or a stop text has come."""
        return self._at_end or self._word_limit.reached or self.stop_filter.stopped

    def uniform(self) -> Tensor:
        """One random number in [0, 1), [] float64."""
        return torch.rand((), dtype=torch.float64, generator=self._generator)

    def push(self, token: _Token, *, last: bool) -> list[GeneratedToken]:
        """What may be shown when `token` has been drawn; `last` when no other will be."""
        self._at_end = token.id == self._end_id
        text = "" if self._at_end else self._decoder.push(token.id)
        if self._at_end or last:
            text += self._decoder.flush()
        text = self._word_limit.push(text)
        if self._word_limit.reached and not text:
            return []  # the white space or the word after the last one
        return self.stop_filter.push(
            GeneratedToken(self._index, text, token.id, math.exp(-token.nll), token.nll, token.alternatives)
        )


def _most_tokens(settings: GenerationConfig) -> int:
    """How many tokens a text may have."""
    limits = [settings.max_new_tokens, settings.max_new_words * TOKENS_PER_WORD]
    return min(limit for limit in limits if limit)


def load_generator(checkpoint_folder: Path | str, device: str = "auto") -> TextGenerator:
    """The generator of a checkpoint: its weights, its own tokenizer and its settings, all from that folder.

    Args:
        checkpoint_folder: a `step-…` folder of a run, or any folder with the same files.
        device: auto, cpu, cuda, cuda:N or mps; auto takes the GPU where there is one.

    Raises:
        UsageError: there is no such folder, or a file of it is missing.
        LmError: a file of it cannot be read.
    """
    folder = Path(checkpoint_folder)
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        if not (folder / name).is_file():
            raise UsageError(
                f"{folder} is not a checkpoint: it has no {name}.", "Choose a run, or one of its step-… folders."
            )
    step = re.fullmatch(r"step-(\d+)", folder.resolve().name)
    return TextGenerator(
        load_model(folder, device=pick_device(device)),
        load_tokenizer(folder),
        load_defaults(folder),
        step=int(step[1]) if step else None,
        folder=folder,
    )
