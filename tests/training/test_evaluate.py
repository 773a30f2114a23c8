"""Scoring against a naive loop over tokens."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from lmcore.config import ModelConfig
from lmcore.data import Split
from lmcore.errors import UsageError
from lmcore.models import LanguageModel, build_model
from lmcore.training import evaluate
from lmcore.training.evaluate import Cancelled

VOCAB = 11
CPU = torch.device("cpu")


def split(count: int, words: int = 20, size: int = 70) -> Split:
    tokens = np.random.default_rng(3).integers(0, VOCAB, count).astype(np.uint16)
    return Split(tokens, words, size, None)


def model(**settings: Any) -> LanguageModel:
    config = ModelConfig(n_layer=2, n_embd=8, n_head=2, block_size=6, init="torch", dropout=0.2, **settings)
    return build_model(config, VOCAB, seed=1).eval()


def nll_of_last(network: LanguageModel, ids: np.ndarray, target: int) -> float:
    """One token's loss, from whole logits."""
    hidden, _ = network(torch.from_numpy(ids.astype(np.int64))[None])
    return float(F.cross_entropy(network.logits(hidden)[0, -1:], torch.tensor([int(target)])))


@pytest.mark.parametrize("stride", [0, 1, 2, 4, 6])
@pytest.mark.parametrize("count", [2, 6, 7, 8, 31])
@torch.no_grad()
def test_a_transformer_scores_each_token_once_with_the_context_promised(stride: int, count: int) -> None:
    network, text = model(), split(count)
    result = evaluate(network, text, block_size=6, batch_size=3, stride=stride, device=CPU)
    total, end = 0.0, 0  # targets 1 ... end are scored
    while end < count - 1:
        start_of_window = 0 if end == 0 else max(0, min(end + (stride or 6), count - 1) - 6)
        last = min(count - 1, start_of_window + 6)
        for target in range(end + 1, last + 1):
            total += nll_of_last(network, text.tokens[start_of_window:target], text.tokens[target])
        end = last
    assert result.tokens == count - 1
    assert result.loss == pytest.approx(total / (count - 1), rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(total / (count - 1)), rel=1e-5)
    assert result.word_perplexity == pytest.approx(math.exp(total / 20), rel=1e-5)
    assert result.bits_per_byte == pytest.approx(total / math.log(2) / 70, rel=1e-5)


@pytest.mark.parametrize("architecture", ["rnn", "gru", "lstm"])
@torch.no_grad()
def test_a_recurrent_model_carries_its_state_through_the_whole_text(architecture: str) -> None:
    network, text = model(architecture=architecture), split(40)
    result = evaluate(network, text, block_size=6, batch_size=1, device=CPU)
    hidden, _ = network(torch.from_numpy(text.tokens[:-1].astype(np.int64))[None])
    logits, targets = network.logits(hidden)[0], torch.from_numpy(text.tokens[1:].astype(np.int64))
    assert result.tokens == 39
    assert result.loss == pytest.approx(float(F.cross_entropy(logits, targets)), rel=1e-5)
    assert result.accuracy == pytest.approx(float((logits.argmax(-1) == targets).float().mean()))


@pytest.mark.parametrize("stride", [0, 2])
@torch.no_grad()
def test_a_recurrent_model_can_be_scored_from_a_zero_state_in_each_window(stride: int) -> None:
    network, text = model(architecture="lstm"), split(40)
    result = evaluate(network, text, block_size=6, batch_size=3, stride=stride, carry_state=False, device=CPU)
    total = 0.0
    for target in range(1, 40):
        # The window in which the target is scored: the first one that holds it; the last one ends with the text.
        end = min(39, 6 + math.ceil(max(0, target - 6) / (stride or 6)) * (stride or 6))
        total += nll_of_last(network, text.tokens[max(0, end - 6) : target], text.tokens[target])
    assert result.tokens == 39
    assert result.loss == pytest.approx(total / 39, rel=1e-5)


def test_progress_is_reported_from_none_to_all() -> None:
    told: list[tuple[int, int]] = []
    evaluate(
        model(),
        split(50),
        block_size=6,
        batch_size=2,
        device=CPU,
        report=lambda done, total: told.append((done, total)),
    )
    assert told[0] == (0, 49)
    assert told[-1] == (49, 49)
    assert [done for done, _ in told] == sorted({done for done, _ in told})


@pytest.mark.parametrize("count", [97, 98, 101, 500])
@torch.no_grad()
def test_parallel_streams_score_each_token_once_and_hardly_differ_from_one(count: int) -> None:
    network, text = model(architecture="lstm"), split(count)
    one = evaluate(network, text, block_size=6, batch_size=1, device=CPU)
    many = evaluate(network, text, block_size=6, batch_size=5, device=CPU)
    assert many.tokens == one.tokens == count - 1
    assert many.loss == pytest.approx(one.loss, rel=1e-3)


def test_the_first_tokens_only() -> None:
    network = model()
    part = evaluate(network, split(50), block_size=6, batch_size=2, max_tokens=20, device=CPU)
    whole = evaluate(
        network, split(21, words=20 * 20 // 49, size=70 * 20 // 49), block_size=6, batch_size=2, device=CPU
    )
    assert part.tokens == 20
    assert part.loss == pytest.approx(whole.loss)
    # 20 of 49 tokens are taken to be 20/49 of the bytes.
    assert part.bits_per_byte == pytest.approx(part.loss * 20 / math.log(2) / (70 * 20 / 49))


def test_what_is_not_known_is_not_guessed() -> None:
    result = evaluate(model(), split(20, words=0, size=0), block_size=6, batch_size=2, device=CPU)
    assert result.word_perplexity is None
    assert result.bits_per_byte is None


def test_training_mode_and_random_stream_stay() -> None:
    network = model(architecture="lstm", weight_drop=0.5).train()
    before = torch.get_rng_state()
    first = evaluate(network, split(60), block_size=6, batch_size=2, device=CPU)
    assert network.training
    assert torch.equal(torch.get_rng_state(), before)
    assert evaluate(network, split(60), block_size=6, batch_size=2, device=CPU) == first


def test_bfloat16_is_close() -> None:
    full = evaluate(model(), split(60), block_size=6, batch_size=2, device=CPU)
    half = evaluate(model(), split(60), block_size=6, batch_size=2, device=CPU, precision="bf16")
    assert half.loss != full.loss
    assert half.loss == pytest.approx(full.loss, rel=0.01)


def test_refusals() -> None:
    with pytest.raises(UsageError, match="fewer than two"):
        evaluate(model(), split(1), block_size=6, batch_size=2, device=CPU)
    with pytest.raises(UsageError, match="stride"):
        evaluate(model(), split(20), block_size=6, batch_size=2, stride=7, device=CPU)
    with pytest.raises(Cancelled):
        evaluate(model(), split(20), block_size=6, batch_size=2, device=CPU, cancelled=lambda: True)
