"""Each attention against its formula, its causality, and its gradient where a query meets its own key."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmcore.config import ModelConfig
from lmcore.models import build_model
from lmcore.models.attention import ATTENTIONS, distances

WIDTH = 6
SCORES: dict[str, Callable[[Tensor, Tensor], float]] = {
    "dot": lambda q, k: float(q @ k) / math.sqrt(WIDTH),
    "euclidean": lambda q, k: -float((q - k).norm()) / math.sqrt(WIDTH),
    "euclidean_published": lambda q, k: float((q - k).norm()),
    "euclidean_squared": lambda q, k: -float((q - k).square().sum()) / math.sqrt(WIDTH),
}


@pytest.mark.parametrize("queries", [1, 3, 5])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_it_is_the_softmax_of_its_score_over_the_past(name: str, queries: int) -> None:
    torch.manual_seed(0)
    q, k, v = (
        torch.randn(1, 1, queries, WIDTH).double(),
        torch.randn(1, 1, 5, WIDTH).double(),
        torch.randn(1, 1, 5, WIDTH).double(),
    )
    y = ATTENTIONS[name](q, k, v, 0.0)[0, 0]
    for row in range(queries):
        seen = 5 - queries + row + 1  # the queries are the last positions
        scores = torch.tensor([SCORES[name](q[0, 0, row], k[0, 0, key]) for key in range(seen)], dtype=torch.float64)
        torch.testing.assert_close(y[row], scores.softmax(0) @ v[0, 0, :seen], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients_are_finite_where_query_and_key_are_the_same(name: str) -> None:
    x = torch.randn(2, 2, 4, WIDTH, generator=torch.Generator().manual_seed(0)).requires_grad_()
    ATTENTIONS[name](x, x, x, 0.0).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients_equal_finite_differences(name: str) -> None:
    torch.manual_seed(1)
    q, k, v = (torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    assert torch.autograd.gradcheck(lambda q, k, v: ATTENTIONS[name](q, k, v, 0.0), (q, k, v))


@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-3, 1.0, 100.0]))
@settings(max_examples=30, deadline=None)
def test_distances_are_those_between_points(seed: int, size: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    q, k = (size * torch.randn(1, 2, 3, 8, generator=generator) for _ in range(2))
    expected = (q.double()[..., :, None, :] - k.double()[..., None, :, :]).norm(dim=-1)
    torch.testing.assert_close(distances(q, k).double(), expected, rtol=1e-2, atol=1e-3 * size)


@pytest.mark.parametrize(
    ("attention", "position", "norm_position"),
    itertools.product(ATTENTIONS, ["learned", "sinusoidal", "rotary", "none"], ["pre", "post"]),
)
def test_no_position_sees_its_future(attention: str, position: str, norm_position: str) -> None:
    config = ModelConfig.model_validate(
        {
            "attention": attention,
            "position": position,
            "norm_position": norm_position,
            "n_layer": 2,
            "n_embd": 16,
            "n_head": 2,
            "block_size": 8,
        }
    )
    model = build_model(config, 11, seed=0).double().eval()
    ids = torch.arange(8)[None]
    changed = ids.clone()
    changed[0, 5:] = 10
    with torch.no_grad():
        before, after = model(ids)[0], model(changed)[0]
    torch.testing.assert_close(before[:, :5], after[:, :5], rtol=0, atol=1e-12)
    assert (before[:, 5:] - after[:, 5:]).abs().amax(-1).gt(1e-6).all()


def test_published_scores_favour_far_keys_and_the_others_near_ones() -> None:
    q = torch.zeros(1, 1, 1, 2)
    k = torch.tensor([[[[3.0, 0.0], [1.0, 0.0]]]])
    v = torch.eye(2)[None, None]
    for name, far_wins in [("euclidean_published", True), ("euclidean", False), ("euclidean_squared", False)]:
        far, near = ATTENTIONS[name](q, k, v, 0.0).flatten().tolist()
        assert (far > near) is far_wins
