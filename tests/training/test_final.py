"""After the last step: what is scored, on how many tokens, how long it takes, and what the figures say."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.models import load_model
from lmcore.runs import create_run
from lmcore.training import evaluate, prepare, train
from lmcore.training.final import far_apart
from lmcore.training.journal import Journal
from tests.training.conftest import LSTM, Configure, Start


def test_final_scores_can_be_bounded_and_then_say_on_how_many_tokens_they_rest(
    configure: Configure, start: Start
) -> None:
    config = configure(eval__max_tokens=50, eval__final_max_tokens=120)
    trained = start(config)
    final = {event["split"]: event for event in trained.events("eval") if event["final"]}
    assert {split: event["tokens_scored"] for split, event in final.items()} == {"val": 120, "test": 120}
    assert (trained.summary["val_tokens_scored"], trained.summary["test_tokens_scored"]) == (120, 120)
    whole = {split: len(prepare(config).data.splits[split].tokens) - 1 for split in ("val", "test")}
    message = trained.events("finish")[0]["message"]
    assert f"120 of {whole['val']} val tokens and 120 of {whole['test']} test tokens" in message


def test_validation_is_not_scored_again_on_fewer_tokens_than_during_training(
    configure: Configure, start: Start
) -> None:
    trained = start(configure(eval__max_tokens=100, eval__final_max_tokens=60))
    assert [(e["split"], e["tokens_scored"]) for e in trained.events("eval") if e["final"]] == [("test", 60)]
    best = min(event["loss"] for event in trained.events("eval") if event["split"] == "val")
    assert (trained.summary["val_loss"], trained.summary["val_tokens_scored"]) == (best, 100)


def test_without_a_bound_nothing_is_said_of_one(configure: Configure, start: Start) -> None:
    assert "tokens" not in start(configure()).events("finish")[0]["message"]


def test_a_recurrent_model_is_scored_as_its_settings_say(configure: Configure, start: Start) -> None:
    losses = {}
    for carry in (True, False):
        config = configure({**LSTM, "eval.carry_state": carry, "eval.max_tokens": 0})
        trained = start(config, f"carry{carry}")
        setup = prepare(config)
        model = load_model(trained.run.checkpoint("best"))
        result = evaluate(
            model, setup.data.splits["test"], block_size=8, batch_size=4, carry_state=carry, device=setup.device
        )
        assert trained.summary["test_loss"] == pytest.approx(result.loss)
        losses[carry] = (trained.summary["val_loss"], trained.summary["test_loss"])
    assert losses[True] != losses[False]


def test_the_time_of_the_run_and_the_time_left_include_the_final_scores(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = configure(eval__max_tokens=50, eval__final_max_tokens=200)

    def slow(*arguments: Any, report: Any, **options: Any) -> Any:
        if options["max_tokens"] == 200:
            time.sleep(0.3)
        return evaluate(*arguments, report=report, **options)

    monkeypatch.setattr("lmcore.training.scoring.evaluate", slow)
    run = create_run("slow", config, {})
    reports: list[dict[str, Any]] = []
    summary = train(prepare(config), run, report=reports.append)
    last = run.history().train[-1]
    assert last["step"] == 12
    assert last["seconds_left"] > 0  # two splits of 200 tokens are still to be scored
    assert summary["seconds"] >= last["seconds"] + 0.6
    seconds = [event["seconds"] for event in run.history().eval if event["final"]]
    assert seconds[1] >= seconds[0] + 0.3 >= last["seconds"] + 0.6
    assert summary["tokens_per_second"] > summary["tokens"] / (summary["seconds"] - 0.6)
    told = [
        (report["split"], report["final"], report["tokens_total"]) for report in reports if report["kind"] == "scoring"
    ]
    assert told[-2:] == [("val", True, 200), ("test", True, 200)]


def test_heartbeats_say_what_is_being_scored(configure: Configure) -> None:
    config = configure()
    run = create_run("beats", config, {})
    reports: list[dict[str, Any]] = []
    with Journal(run, reports.append, prepare(config).device, seconds=3600) as journal:
        with journal.scoring("test", final=True) as tell:
            tell(0, 400)
            time.sleep(0.02)
            tell(100, 400)
            journal.heartbeat()
        journal.heartbeat()
    assert [report["kind"] for report in reports] == ["scoring", "heartbeat", "heartbeat"]
    scoring = reports[1]["scoring"]
    assert (scoring["split"], scoring["final"], scoring["tokens_scored"], scoring["tokens_total"]) == (
        *("test", True),
        *(100, 400),
    )
    assert scoring["seconds_left"] == pytest.approx(3 * scoring["seconds"])
    assert reports[2]["scoring"] is None


def test_splits_of_different_kinds_of_text_are_told(
    tmp_path: Path, configure: Configure, start: Start, text: Path
) -> None:
    assert not any(e["what"] == "data" for e in start(configure(), "alike").events("warning"))
    licence = "".join(np.random.default_rng(1).choice(list("QWERTYUIOP 0123456789"), 300))
    book = tmp_path / "book.txt"
    book.write_text(text.read_text() + "\n" + licence)
    config = configure({"data.corpus": str(book), "training.max_steps": 60, "optimizer.lr": 0.01, "eval.max_tokens": 0})
    trained = start(config, "licence")
    (warning,) = [
        e["message"] for e in trained.events("warning") if e["what"] == "data" and "far apart" in e["message"]
    ]
    for split in ("val", "test"):
        assert f"({trained.summary[f'{split}_loss']:.2f})" in warning


@pytest.mark.parametrize(
    ("val", "test", "far"),
    [
        ((4.50, 245_000), (4.58, 279_000), False),  # WikiText-2
        ((math.log(69), 8_000), (math.log(56), 8_000), False),  # a novel without its licence
        ((math.log(69), 8_000), (math.log(209), 8_000), True),  # and with it
        ((4.3964, 16_532), (5.0591, 19_500), True),  # a novel with a licence behind it, after one epoch
        ((5.6834, 10_607), (5.6444, 10_671), False),  # and without
        ((0.97, 50_000), (1.50, 50_000), True),  # characters
        ((4.2, 50), (5.3, 50), False),  # too few tokens to tell
        ((0.02, 50_000), (0.05, 50_000), False),  # a text known by heart
        ((math.inf, 50), (4.0, 50), False),
    ],
)
def test_far_apart_is_more_than_splits_of_one_text_differ(
    val: tuple[float, int], test: tuple[float, int], far: bool
) -> None:
    assert far_apart(*val, *test) is far


@given(st.floats(0.01, 12), st.integers(1, 10**7), st.floats(0.01, 12), st.integers(1, 10**7))
def test_far_apart_does_not_depend_on_which_split_is_which(val: float, m: int, test: float, n: int) -> None:
    assert far_apart(val, m, test, n) == far_apart(test, n, val, m)
