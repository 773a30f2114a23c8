"""The order of batches: what is scored, how often, and that any batch can be had on its own."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.config import Config, DataConfig
from lmcore.data import Batches, Split, eval_window_batches, eval_windows, load_data, make_batches
from lmcore.errors import UsageError
from lmcore.measures import IGNORED


def split_of(n: int, documents: list[int] | None = None) -> Split:
    """Tokens 0 … n-1, so that a target names its own place."""
    return Split(np.arange(n, dtype=np.uint32), n, n, None if documents is None else np.array(documents))


def targets_of_epoch(batches: Batches, epoch: int = 0) -> list[int]:
    rows = [batches.get(epoch * batches.steps_per_epoch + i).y for i in range(batches.steps_per_epoch)]
    return sorted(int(t) for y in rows for t in y.ravel() if t != IGNORED)


@given(n=st.integers(2, 300), block=st.integers(1, 20), batch=st.integers(1, 9), epoch=st.integers(0, 3))
def test_windows_score_every_token_but_the_first_once_an_epoch(n: int, block: int, batch: int, epoch: int) -> None:
    n = max(n, block + 1)
    batches = make_batches(split_of(n), DataConfig(), batch_size=batch, block_size=block, seed=3)
    assert targets_of_epoch(batches, epoch) == list(range(1, n))
    assert batches.tokens_per_epoch == n - 1
    first = batches.get(epoch * batches.steps_per_epoch)
    assert (first.y[first.y != IGNORED] == first.x[first.y != IGNORED] + 1).all()


@given(n=st.integers(2, 300), block=st.integers(1, 20), batch=st.integers(1, 5))
def test_streams_go_on_where_the_batch_before_ended(n: int, block: int, batch: int) -> None:
    n = max(n, block + 1, batch + 1)
    batches = make_batches(split_of(n), DataConfig(batching="streams"), batch_size=batch, block_size=block, seed=0)
    targets = targets_of_epoch(batches)
    assert len(set(targets)) == len(targets) == batches.tokens_per_epoch
    assert n - 1 - len(targets) < batch
    for i in range(2 * batches.steps_per_epoch):
        this, following = batches.get(i), batches.get(i + 1)
        assert following.carry == ((i + 1) % batches.steps_per_epoch != 0)
        if following.carry:
            assert (following.x[:, 0] == this.y[:, -1]).all()


@given(st.integers(12, 200), st.integers(1, 12), st.integers(1, 4), st.integers(1, 9))
def test_shifted_streams_start_later_in_each_epoch(n: int, block: int, batch: int, shift: int) -> None:
    n = max(n, 2 * block + batch)
    config = DataConfig(batching="streams", stream_shift=shift)
    batches = make_batches(split_of(n), config, batch_size=batch, block_size=block, seed=0)
    for epoch in range(3):
        first = batches.get(epoch * batches.steps_per_epoch)
        targets = [batches.get(epoch * batches.steps_per_epoch + i).y for i in range(batches.steps_per_epoch)]
        seen = np.concatenate(targets, axis=1)
        start = epoch * shift % block
        assert not first.carry
        assert first.x[0, 0] == start
        # One stream per row, each going on in the next one: every token once, none beyond the text.
        assert seen.flatten().tolist() == list(range(start + 1, start + 1 + batches.tokens_per_epoch))
        assert seen.max() < n


@given(st.lists(st.integers(0, 12), min_size=1, max_size=30), st.integers(1, 6), st.integers(1, 4))
def test_a_document_is_one_row_and_ends_with_eos(lengths: list[int], block: int, batch: int) -> None:
    starts = np.cumsum([0, *lengths[:-1]])
    split = split_of(sum(lengths), [int(s) for s in starts])
    eos = 999
    expected = []
    for start, length in zip(starts, lengths, strict=True):
        if length:
            expected.append([*range(int(start) + 1, int(start) + length), eos][:block])
    config = DataConfig(batching="documents")
    if not any(expected):
        with pytest.raises(UsageError):
            make_batches(split, config, batch_size=batch, block_size=block, seed=0, eos_id=eos, pad_id=7)
        return
    batches = make_batches(split, config, batch_size=batch, block_size=block, seed=0, eos_id=eos, pad_id=7)
    rows = [row for i in range(batches.steps_per_epoch) for row in zip(batches.get(i).x, batches.get(i).y, strict=True)]
    assert sorted([int(t) for t in y if t != IGNORED] for _, y in rows) == sorted(expected)
    assert all((x[y == IGNORED] == 7).all() for x, y in rows)
    assert batches.tokens_per_epoch == sum(map(len, expected))


@pytest.mark.parametrize(
    "config",
    [DataConfig(), DataConfig(random_offset=True), DataConfig(batching="streams"), DataConfig(batching="documents")],
)
def test_a_batch_is_a_function_of_its_number(config: DataConfig) -> None:
    split = split_of(500, [0, 7, 90, 300])

    def fresh(seed: int = 5) -> Batches:
        return make_batches(split, config, batch_size=3, block_size=16, seed=seed, eos_id=1)

    straight = fresh()
    in_order = [straight.get(i) for i in range(3 * straight.steps_per_epoch)]
    for i in (2 * straight.steps_per_epoch, 1, straight.steps_per_epoch - 1):
        resumed = fresh().get(i)
        assert np.array_equal(resumed.x, in_order[i].x)
        assert np.array_equal(resumed.y, in_order[i].y)
    if config.batching != "streams":
        other = fresh(seed=6)
        assert any(not np.array_equal(other.get(i).x, in_order[i].x) for i in range(straight.steps_per_epoch))


def test_random_offsets_move_the_windows_between_epochs_without_padding() -> None:
    batches = make_batches(split_of(1000), DataConfig(random_offset=True), batch_size=4, block_size=50, seed=1)
    starts = [
        {
            int(x) % 50
            for i in range(batches.steps_per_epoch)
            for x in batches.get(e * batches.steps_per_epoch + i).x[:, 0]
        }
        for e in range(4)
    ]
    assert all(len(found) == 1 for found in starts)
    assert len(set.union(*starts)) > 1
    assert len(targets_of_epoch(batches)) == batches.tokens_per_epoch


@pytest.mark.parametrize("batching", ["windows", "streams"])
def test_a_split_shorter_than_a_window_is_refused(batching: str) -> None:
    with pytest.raises(UsageError, match="too few for one window of 64"):
        make_batches(
            split_of(64), DataConfig.model_validate({"batching": batching}), batch_size=2, block_size=64, seed=0
        )


def test_documents_need_documents() -> None:
    with pytest.raises(UsageError, match="one continuous text"):
        make_batches(split_of(64), DataConfig(batching="documents"), batch_size=2, block_size=8, seed=0)


def test_the_twelve_experiments_have_576_steps_an_epoch(lm_data: Path) -> None:
    config = Config().with_settings({"data.corpus": str(lm_data / "wikitext-2-gpt1")})
    train = load_data(config).splits["train"]
    batches = make_batches(train, config.data, batch_size=16, block_size=256, seed=42)
    assert len(train.tokens) == 2_356_376
    assert batches.steps_per_epoch == 576
    assert sum(len(batches.get(i).x) for i in range(576)) == 9_205


def test_a_small_batch_costs_less_than_half_a_millisecond() -> None:
    batches = make_batches(split_of(1_000_000), DataConfig(), batch_size=12, block_size=64, seed=0)
    batches.get(0)
    times = []
    for i in range(200):
        start = time.perf_counter()
        batches.get(i)
        times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 4] < 0.0005


@given(n=st.integers(0, 400), block=st.integers(1, 40), stride=st.integers(0, 40))
def test_evaluation_windows_score_each_target_once_with_enough_context(n: int, block: int, stride: int) -> None:
    stride = min(stride, block)
    windows = eval_windows(n, block, stride)
    scored = [t for start, end, skip in zip(*windows, strict=True) for t in range(start + skip + 1, end + 1)]
    assert scored == list(range(1, n))
    assert all(
        end - start <= block and skip >= min(block - (stride or block), start)
        for start, end, skip in zip(*windows, strict=True)
    )


@given(n=st.integers(2, 300), block=st.integers(1, 20), batch=st.integers(1, 7), stride=st.integers(0, 20))
def test_evaluation_batches_score_each_target_once(n: int, block: int, batch: int, stride: int) -> None:
    tokens = np.arange(n, dtype=np.uint16)
    batches = list(eval_window_batches(tokens, block, batch, min(stride, block)))
    scored = np.concatenate([b.y[b.y != IGNORED] for b in batches])
    assert sorted(scored.tolist()) == list(range(1, n))
    assert all(
        (b.x[b.y != IGNORED] + 1 == b.y[b.y != IGNORED]).all() and b.tokens == (b.y != IGNORED).sum() for b in batches
    )


def test_a_stride_over_the_window_is_refused() -> None:
    with pytest.raises(ValueError, match="stride"):
        eval_windows(10, 4, 5)
