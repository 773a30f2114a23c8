"""`lm eval`: how a split is scored can be changed, nothing else can."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.conftest import TINY, Answer

Lm = Callable[..., Answer]


def loss(answer: Answer) -> float:
    assert answer.code == 0, answer.err
    value: float = json.loads(answer.out)["loss"]
    return value


def test_the_stride_can_be_changed_in_two_ways(lm: Lm, runs: Path) -> None:
    whole = loss(lm("eval", "tiny", "--json"))
    assert loss(lm("eval", "tiny", "--stride", "16", "--json")) == whole  # the model's block size
    with_set = loss(lm("eval", "tiny", "--set", "eval.stride=1", "--json"))
    assert with_set == loss(lm("eval", "tiny", "--stride", "1", "--json")) != whole


def test_fewer_tokens_can_be_scored_and_their_number_is_printed(lm: Lm, runs: Path) -> None:
    answer = lm("eval", "tiny", "--set", "eval.final_max_tokens=100", "--json")
    assert json.loads(answer.out)["tokens"] == 100


def test_a_recurrent_model_can_be_scored_from_a_zero_state(lm: Lm, text_file: Path) -> None:
    settings = [*TINY, "--set", "model.architecture=lstm", "--max-steps", "3"]
    assert lm("train", "--run", "lstm", "--data", str(text_file), *settings).code == 0
    carried = loss(lm("eval", "lstm", "--json"))
    ignored = lm("eval", "lstm", "--stride", "1", "--json")
    assert loss(ignored) == carried
    assert "eval.stride has no effect with" in ignored.err
    assert "no effect" not in lm("eval", "lstm", "--stride", "1", "--set", "eval.carry_state=false").err
    assert loss(lm("eval", "lstm", "--set", "eval.carry_state=false", "--json")) != carried
    assert loss(lm("eval", "lstm", "--set", "eval.carry_state=true", "--json")) == carried


@pytest.mark.parametrize(
    ("setting", "message", "hint"),
    [
        ("model.n_layer=2", "cannot change 'model.n_layer'", "It can change eval.batch_size"),
        ("eval.strid=2", "cannot change 'eval.strid'", "Did you mean 'eval.stride'?"),
        ("eval.max_tokens=9", "applies during training only", "eval.final_max_tokens"),
        ("eval.stride=99", "longer than a window of 16 tokens", "at most 16"),
    ],
)
def test_anything_else_is_refused(lm: Lm, runs: Path, setting: str, message: str, hint: str) -> None:
    answer = lm("eval", "tiny", "--set", setting)
    assert answer.code == 2
    assert message in answer.err
    assert hint in answer.err
