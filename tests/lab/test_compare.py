"""Runs side by side: what may be ranked, in what order, and what differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lmcore.config import Config
from lmcore.lab import compare
from lmcore.runs import Run, create_run, identity


def a_run(
    name: str,
    settings: dict[str, Any] | None = None,
    *,
    val: float = 2.0,
    test: dict[str, float] | None = None,
    **info: Any,
) -> Run:
    run = create_run(name, Config().with_settings(settings or {}), {"corpus_hash": "c", "tokenizer_hash": "t", **info})
    run.events.write("start", parameters={"total": 10, "learnable": 8}, resumed_from=None, **identity())
    run.events.write("train", step=1, epoch=0.5, tokens=100, seconds=1.0, loss=3.0, epoch_loss=float("nan"))
    run.events.write(
        "eval",
        step=1,
        epoch=0.5,
        tokens=100,
        seconds=1.0,
        split="val",
        loss=val,
        perplexity=9.0,
        word_perplexity=50.0,
        best=True,
    )
    run.events.write(
        "eval", step=2, epoch=1.0, tokens=200, seconds=2.0, split="val", loss=val + 1, word_perplexity=60.0, best=False
    )
    if test is not None:
        run.events.write("eval", step=2, split="test", **test)
    run.events.write("finish", step=2, why="done", summary={})
    run.events.close()
    return run


LSTM = {"model.architecture": "lstm"}


def test_rows_are_sorted_and_the_best_of_each_architecture_is_marked() -> None:
    runs = [
        a_run("g4", {"model.n_layer": 4}, test={"loss": 3.0}),
        a_run("l", LSTM | {"model.n_layer": 1}, test={"loss": 5.0}),
        a_run("g1-sgd", {"model.n_layer": 1, "optimizer.name": "sgd"}, test={"loss": 1.0}),
        a_run("g1-adam", {"model.n_layer": 1, "optimizer.name": "adam"}, val=0.5, test={"loss": 2.0}),
    ]
    table = compare(runs)
    assert [row["name"] for row in table.rows] == ["l", "g1-adam", "g1-sgd", "g4"]
    assert table.best_by == "test_perplexity"
    assert [row["name"] for row in table.rows if row["best"]] == ["l", "g1-sgd"]
    assert (table.rows[0]["parameters"], table.rows[0]["learnable"]) == (10, 8)
    assert table.comparability.level == "tokens"


def test_a_run_without_test_makes_validation_rank() -> None:
    table = compare([a_run("a", val=2.0, test={"loss": 9.0}), a_run("b", val=3.0)])
    assert table.best_by == "val_perplexity"
    assert [row["name"] for row in table.rows if row["best"]] == ["a"]


def test_other_tokenizers_rank_by_word_perplexity_and_say_so() -> None:
    chars = a_run(
        "chars",
        {"tokenizer.kind": "char"},
        val=1.0,
        test={"loss": 1.0, "word_perplexity": 300.0},
        tokenizer_hash="other",
    )
    words = a_run("words", val=4.0, test={"loss": 4.0, "word_perplexity": 200.0})
    table = compare([chars, words])
    assert table.comparability.level == "text"
    assert "not token perplexity" in table.comparability.note
    assert table.best_by == "test_word_perplexity"
    assert [row["name"] for row in table.rows if row["best"]] == ["words"]


def test_word_perplexity_is_that_of_the_best_evaluation() -> None:
    table = compare([a_run("a"), a_run("b", tokenizer_hash="other")])
    assert table.best_by == "val_word_perplexity"
    assert [row["val_word_perplexity"] for row in table.rows] == [50.0, 50.0]


@pytest.mark.parametrize("other", [{"corpus_hash": "other"}, {"settings": {"data.val_fraction": 0.2}}])
def test_other_texts_or_splits_rank_nothing(other: dict[str, Any]) -> None:
    table = compare([a_run("a"), a_run("b", other.get("settings"), corpus_hash=other.get("corpus_hash", "c"))])
    assert table.comparability.level == "nothing"
    assert table.best_by is None
    assert not any(row["best"] for row in table.rows)


def test_runs_without_hashes_are_told_apart_by_their_settings() -> None:
    none = {"corpus_hash": None, "tokenizer_hash": None}
    same, chars = a_run("a", **none), a_run("b", {"tokenizer.kind": "char"}, **none)
    assert compare([same, a_run("c", **none)]).comparability.level == "tokens"
    assert compare([same, chars]).comparability.level == "text"
    assert compare([same, a_run("d", {"data.corpus": "emma.txt"}, **none)]).comparability.level == "nothing"


def test_only_settings_that_differ_are_named() -> None:
    one, two = a_run("one", {"optimizer.lr": 0.01}), a_run("two", LSTM)
    assert compare([one, two]).differences == {
        "model.architecture": {"one": "transformer", "two": "lstm"},
        "optimizer.lr": {"one": 0.01, "two": 0.001},
    }
    text = (two.path / "config.toml").read_text().replace("n_layer = 4\n", "")
    (two.path / "config.toml").write_text(text)
    assert compare([one, two]).differences["model.n_layer"] == {"one": 4, "two": None}


def test_curves_have_every_axis_and_equal_lengths() -> None:
    curves = compare([a_run("a", test={"loss": 1.0})]).curves["a"]
    assert curves["val"]["step"] == [1, 2]
    assert curves["val"]["loss"] == [2.0, 3.0]
    assert curves["train"]["perplexity"] == [pytest.approx(20.0855, abs=1e-3)], (
        "a null running average falls back to the loss"
    )
    for split in curves.values():
        assert {"step", "epoch", "tokens", "seconds"} <= set(split)
        assert len({len(column) for column in split.values()}) == 1


def test_a_comparison_is_plain_data_also_of_empty_runs() -> None:
    table = compare([create_run("new", Config(), {}), a_run("a")])
    assert table.best_by is None
    json.dumps([table.rows, table.curves, table.differences, table.comparability], allow_nan=False)
    assert compare([]).rows == []
