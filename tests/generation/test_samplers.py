"""Samplers against transformers' processors, and what must hold for any logits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from lmcore.config import GenerationConfig
from lmcore.generation.samplers import (
    Candidates,
    candidates,
    choose,
    draw,
    forbid_repeated_ngrams,
    min_p,
    penalize_repetition,
    top_k,
    top_p,
)

NO_IDS = torch.empty(0, 0, dtype=torch.long)  # their filters do not look at the ids


def distribution(kept: Candidates, vocab_size: int) -> Tensor:
    """Probabilities over the whole vocabulary."""
    probabilities = kept.logits.softmax(-1)
    if kept.ids is None:
        return probabilities
    return torch.zeros(*kept.logits.shape[:-1], vocab_size).scatter(-1, kept.ids, probabilities)


def random_logits(rows: int, vocab_size: int, seed: int = 0, spread: float = 3.0) -> Tensor:
    return torch.randn(rows, vocab_size, generator=torch.Generator().manual_seed(seed)) * spread


class TestAgainstTransformers:
    def test_repetition_penalty(self) -> None:
        logits = random_logits(3, 50)
        previous = torch.randint(0, 50, (3, 20), generator=torch.Generator().manual_seed(1))
        for penalty in (0.7, 1.0, 1.3, 5.0):
            torch.testing.assert_close(
                penalize_repetition(logits, previous, penalty),
                RepetitionPenaltyLogitsProcessor(penalty)(previous, logits.clone()),
            )

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_no_repeat_ngram(self, n: int) -> None:
        logits = random_logits(4, 12)
        for length in (1, 2, 3, 9):
            previous = torch.randint(0, 5, (4, length), generator=torch.Generator().manual_seed(length))
            expected = NoRepeatNGramLogitsProcessor(n)(previous, logits.clone())
            torch.testing.assert_close(forbid_repeated_ngrams(logits, previous, n), expected)

    @pytest.mark.parametrize("vocab_size", [30, 5000])
    @pytest.mark.parametrize(
        ("temperature", "k", "p", "share"),
        [
            (1.0, 0, 1.0, 0.0),
            (0.7, 5, 1.0, 0.0),
            (1.5, 0, 0.9, 0.0),
            (0.9, 0, 1.0, 0.05),
            (0.8, 20, 0.8, 0.0),
            (1.3, 25, 0.95, 0.1),
            (5.0, 0, 0.99, 0.0),
        ],
    )
    def test_the_whole_chain(self, vocab_size: int, temperature: float, k: int, p: float, share: float) -> None:
        logits = random_logits(3, vocab_size, seed=vocab_size)
        expected = TemperatureLogitsWarper(temperature)(NO_IDS, logits)
        if k:
            expected = TopKLogitsWarper(k)(NO_IDS, expected)
        if p < 1:
            expected = TopPLogitsWarper(p)(NO_IDS, expected)
        if share:
            expected = MinPLogitsWarper(share)(torch.LongTensor(), expected)
        ours = candidates(logits, GenerationConfig(temperature=temperature, top_k=k, top_p=p, min_p=share))
        torch.testing.assert_close(distribution(ours, vocab_size), expected.softmax(-1), rtol=1e-4, atol=1e-7)

    def test_one_row_is_the_same_as_a_batch_of_one(self) -> None:
        logits = random_logits(1, 200)
        chosen = GenerationConfig(top_k=50, top_p=0.9, min_p=0.01, temperature=1.1)
        alone, batched = candidates(logits[0], chosen), candidates(logits, chosen)
        torch.testing.assert_close(distribution(alone, 200), distribution(batched, 200)[0])


# Few distinct values make ties common; the offset makes overflow possible.
any_logits = st.builds(
    lambda values, offset: torch.tensor(values, dtype=torch.float32) + offset,
    st.lists(st.sampled_from([-5.0, -1.0, 0.0, 0.5, 2.0, 30.0]), min_size=1, max_size=40),
    st.sampled_from([-1000.0, 0.0, 1000.0]),
)
any_settings = st.builds(
    GenerationConfig,
    temperature=st.floats(1e-3, 100),
    top_k=st.integers(0, 50),
    top_p=st.floats(0.01, 1.0),
    min_p=st.floats(0.0, 1.0),
    repetition_penalty=st.floats(0.5, 3),
    no_repeat_ngram=st.integers(0, 3),
)
uniforms = st.floats(0, 1, exclude_max=True)


class TestForAnyLogits:
    @settings(max_examples=100, deadline=None)
    @given(any_logits, any_settings)
    def test_what_is_left_is_a_distribution_over_fewer_tokens(self, logits: Tensor, chosen: GenerationConfig) -> None:
        kept = distribution(candidates(logits, chosen), len(logits))
        assert torch.isfinite(kept).all()
        assert kept.sum().item() == pytest.approx(1, abs=1e-5)
        support = int((kept > 0).sum())
        assert support >= 1
        if chosen.top_k:
            assert support <= chosen.top_k

    @settings(max_examples=100, deadline=None)
    @given(any_logits, st.floats(0.01, 0.999), st.floats(0.01, 0.999))
    def test_a_smaller_p_keeps_a_subset_and_every_nucleus_reaches_p(self, logits: Tensor, p: float, q: float) -> None:
        small, large = sorted((p, q))
        full = logits.softmax(-1)
        inner, outer = (distribution(top_p(logits, share), len(logits)) > 0 for share in (small, large))
        assert not (inner & ~outer).any()
        assert full[outer].sum().item() >= large - 1e-5

    @settings(max_examples=100, deadline=None)
    @given(any_logits, any_settings, uniforms)
    def test_a_drawn_token_is_never_an_excluded_one(
        self, logits: Tensor, chosen: GenerationConfig, uniform: float
    ) -> None:
        kept = candidates(logits, chosen)
        token = int(draw(kept, torch.tensor(uniform, dtype=torch.float64)))
        assert distribution(kept, len(logits))[token] > 0

    @settings(max_examples=50, deadline=None)
    @given(any_logits, uniforms)
    def test_a_temperature_near_zero_is_greedy(self, logits: Tensor, uniform: float) -> None:
        token = choose(logits, GenerationConfig(temperature=1e-45), torch.tensor(uniform, dtype=torch.float64))
        assert logits[token] == logits.max()

    @settings(max_examples=50, deadline=None)
    @given(any_logits)
    def test_greedy_is_the_argmax(self, logits: Tensor) -> None:
        assert choose(logits, GenerationConfig(greedy=True, top_k=3, temperature=9), None) == logits.argmax()


class TestEdges:
    def test_equal_logits_at_the_edge_of_top_k_leave_exactly_k(self) -> None:
        kept = top_k(torch.zeros(10), 3)
        assert kept.ids is not None
        assert len(set(kept.ids.tolist())) == 3

    def test_top_k_above_the_vocabulary_keeps_everything(self) -> None:
        assert top_k(torch.zeros(10), 99).logits.shape == (10,)

    def test_a_flat_nucleus_wider_than_the_first_guess(self) -> None:
        kept = top_p(torch.zeros(10_000), 0.5)
        assert int((kept.logits > -math.inf).sum()) == pytest.approx(5000, abs=2)

    def test_min_p_of_one_keeps_only_the_likeliest(self) -> None:
        assert (min_p(torch.tensor([1.0, 3.0, 2.0]), 1.0) > -math.inf).tolist() == [False, True, False]

    def test_when_every_token_was_used_the_ban_is_lifted(self) -> None:
        logits = torch.tensor([0.0, 1.0])
        assert torch.equal(forbid_repeated_ngrams(logits, torch.tensor([0, 1]), 1), logits)

    def test_the_penalty_counts_a_token_once_however_often_it_came(self) -> None:
        logits = torch.tensor([2.0, -2.0, 1.0])
        assert penalize_repetition(logits, torch.tensor([0, 0, 0, 1, 1]), 2.0).tolist() == [1.0, -4.0, 1.0]

    def test_draws_follow_the_probabilities(self) -> None:
        probabilities = torch.tensor([0.5, 0.1, 0.0, 0.4])
        uniform = (torch.arange(10_000, dtype=torch.float64) + 0.5) / 10_000
        tokens = draw(Candidates(probabilities.log().expand(10_000, 4)), uniform)
        assert torch.bincount(tokens, minlength=4).tolist() == pytest.approx([5000, 1000, 0, 4000], abs=1)

    def test_the_largest_uniform_does_not_fall_off_the_end(self) -> None:
        largest = torch.tensor(1 - 2**-53, dtype=torch.float64)
        assert draw(Candidates(torch.tensor([0.0, 0.0, -math.inf])), largest) == 1
