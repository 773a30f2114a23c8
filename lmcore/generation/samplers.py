"""From logits to the next token: penalties, filters and one draw, as pure functions.

The order is the field's: repetition penalty, no-repeat n-grams, temperature, top-k, top-p, min-p, draw. Logits are [V]
or [B, V]; the filters return `Candidates`, so that with top-k everything after it works on k numbers instead of the
whole vocabulary.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from lmcore.config import GenerationConfig

_FIRST_GUESS = 256  # a trained model's nucleus is seldom wider; a guess too small only costs another topk
_GROWTH = 8


class Candidates(NamedTuple):
    """Tokens that may be drawn: `logits` [..., K] and `ids` [..., K], likeliest first; a logit of -inf means excluded.

    `ids` None means every token in the vocabulary's order (K = V).
    """

    logits: Tensor
    ids: Tensor | None = None


def penalize_repetition(logits: Tensor, previous: Tensor, penalty: float) -> Tensor:
    """Make tokens of `previous` [L] or [B, L] less likely: x / penalty where x > 0, x * penalty elsewhere (CTRL, Keskar
    et al. 2019, eq. 2).

    As usual, negative logits are multiplied: dividing them, as the paper prints it, would reward repetition.
    """
    seen = logits.gather(-1, previous)
    return logits.scatter(-1, previous, torch.where(seen > 0, seen / penalty, seen * penalty))


def forbid_repeated_ngrams(logits: Tensor, previous: Tensor, n: int) -> Tensor:
    """Exclude every token that would complete an n-gram already in `previous` [L] or [B, L].

    A text that has used up the whole vocabulary goes on without the ban: something has to follow.
    """
    if logits.dim() == 2:
        return torch.stack(
            [forbid_repeated_ngrams(row, before, n) for row, before in zip(logits, previous, strict=True)]
        )
    if previous.numel() < n:
        return logits
    ngrams = previous.unfold(0, n, 1)  # [L - n + 1, n]
    start = previous[previous.numel() - (n - 1) :]
    completions = ngrams[(ngrams[:, :-1] == start).all(dim=1), -1]
    allowed = logits.index_fill(0, completions, -math.inf)
    return allowed if bool((allowed > -math.inf).any()) else logits


def apply_temperature(logits: Tensor, temperature: float) -> Tensor:
    """(logits - max) / temperature: below 1 sharper, above 1 flatter; towards 0 only the likeliest remain.

    The shift changes no probability and keeps tiny temperatures from overflowing.
    """
    return (logits - logits.amax(-1, keepdim=True)) / max(temperature, torch.finfo(logits.dtype).tiny)


def top_k(logits: Tensor, k: int) -> Candidates:
    """The k likeliest tokens (Fan et al. 2018): exactly min(k, V), also where logits are equal."""
    return Candidates(*logits.topk(min(k, logits.shape[-1])))


def top_p(logits: Tensor, p: float) -> Candidates:
    """The nucleus (Holtzman et al. 2019): the smallest set of likeliest tokens whose probabilities reach p; never
    empty.
    """
    vocab_size = logits.shape[-1]
    log_total = logits.logsumexp(-1, keepdim=True)
    size = min(_FIRST_GUESS, vocab_size)
    while True:
        likeliest, ids = logits.topk(size)
        probability = (likeliest - log_total).exp()
        likelier = probability.cumsum(-1) - probability  # what the tokens before this one have together
        if size == vocab_size or bool((likelier[..., -1] >= p).all()):
            return Candidates(likeliest.masked_fill(likelier >= p, -math.inf), ids)
        size = min(size * _GROWTH, vocab_size)


def min_p(logits: Tensor, share: float) -> Tensor:
    """Exclude tokens less probable than `share` of the likeliest one's probability (Nguyen et al. 2024)."""
    return logits.masked_fill(logits < logits.amax(-1, keepdim=True) + math.log(share), -math.inf)


def candidates(logits: Tensor, settings: GenerationConfig) -> Candidates:
    """Temperature and filters of `settings`, in order; what is off costs nothing."""
    kept = Candidates(apply_temperature(logits, settings.temperature))
    if settings.top_k:
        kept = top_k(kept.logits, settings.top_k)
    if settings.top_p < 1:
        nucleus = top_p(kept.logits, settings.top_p)
        kept = (
            nucleus
            if kept.ids is None or nucleus.ids is None
            else Candidates(nucleus.logits, kept.ids.gather(-1, nucleus.ids))
        )
    if settings.min_p > 0:
        kept = Candidates(min_p(kept.logits, settings.min_p), kept.ids)
    return kept


def draw(kept: Candidates, uniform: Tensor) -> Tensor:
    """One token each, by inverting the cumulative distribution at `uniform` ([] or [B], float64 in [0, 1)); returns ids
    [] or [B].

    One random number a token, whatever the filters: a row draws the same token alone and among others.
    """
    cumulative = kept.logits.softmax(-1).to(torch.float64).cumsum(-1)
    # In float64 the product stays below the total for every uniform below 1, so an excluded token at the end is never
    # drawn.
    place = torch.searchsorted(cumulative, uniform.unsqueeze(-1) * cumulative[..., -1:], right=True)
    return (place if kept.ids is None else kept.ids.gather(-1, place)).squeeze(-1)


def choose(
    logits: Tensor, settings: GenerationConfig, uniform: Tensor | None, previous: Tensor | None = None
) -> Tensor:
    """The next token of each row, ids [] or [B].

    Args:
        logits: [V] or [B, V], of the model; -inf excludes a token beforehand.
        settings: what to apply; `greedy` takes the argmax after the penalties.
        uniform: [] or [B] float64 in [0, 1), the randomness; None when greedy.
        previous: [L] or [B, L], the tokens so far; None when no penalty asks for them.
    """
    if previous is not None and settings.repetition_penalty != 1:
        logits = penalize_repetition(logits, previous, settings.repetition_penalty)
    if previous is not None and settings.no_repeat_ngram:
        logits = forbid_repeated_ngrams(logits, previous, settings.no_repeat_ngram)
    if settings.greedy or uniform is None:
        return logits.argmax(-1)
    return draw(candidates(logits, settings), uniform)
