"""Runs side by side: what may be ranked, in what order, and what differs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from lmcore.config import Config
from lmcore.data import load_data
from lmcore.lab import compare
from lmcore.lab.compare import published_loss
from lmcore.runs import Run, create_run, identity


def a_run(
    name: str,
    settings: dict[str, Any] | None = None,
    *,
    val: float = 2.0,
    test: dict[str, float] | None = None,
    corpus_hash: str | None = "c",
    tokenizer_hash: str | None = "t",
) -> Run:
    info = {"corpus_hash": corpus_hash, "tokenizer_hash": tokenizer_hash}
    run = create_run(name, Config().with_settings(settings or {}), info)
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


def test_other_texts_rank_nothing() -> None:
    table = compare([a_run("a"), a_run("b", corpus_hash="other")])
    assert table.comparability.level == "nothing"
    assert table.best_by is None
    assert not any(row["best"] for row in table.rows)


def test_fractions_that_cut_nothing_do_not_make_another_text(tmp_path: Path) -> None:
    """The hash that training writes covers the cut of a text without splits, and only that."""
    whole, own = tmp_path / "whole.txt", tmp_path / "own"
    whole.write_text("a green bottle on the wall\n" * 300)
    own.mkdir()
    for split in ("train", "val", "test"):
        (own / f"{split}.txt").write_text(f"{split} of a green bottle on the wall\n" * 100)

    def level(corpus: Path) -> str:
        runs = []
        for fraction in (0.1, 0.2):
            settings = {"data.corpus": str(corpus), "data.val_fraction": fraction, "tokenizer.kind": "char"}
            data = load_data(Config().with_settings(settings), cache_dir=tmp_path / "cache")
            runs.append(a_run(f"{corpus.stem}-{fraction}", settings, corpus_hash=data.corpus_hash))
        return compare(runs).comparability.level

    assert level(own) == "tokens"
    assert level(whole) == "nothing"


def test_runs_without_hashes_are_told_apart_by_their_settings() -> None:
    def unhashed(name: str, settings: dict[str, Any]) -> Run:
        return a_run(name, settings, corpus_hash=None, tokenizer_hash=None)

    same = unhashed("a", {})
    assert compare([same, unhashed("c", {})]).comparability.level == "tokens"
    assert compare([same, unhashed("b", {"tokenizer.kind": "char"})]).comparability.level == "text"
    assert compare([same, unhashed("d", {"data.corpus": "emma.txt"})]).comparability.level == "nothing"
    assert compare([same, unhashed("e", {"data.val_fraction": 0.2})]).comparability.level == "nothing"


def test_only_settings_that_differ_are_named() -> None:
    one, two = a_run("one", {"optimizer.lr": 0.01}), a_run("two", LSTM)
    assert compare([one, two]).differences == {
        "model.architecture": {"one": "transformer", "two": "lstm"},
        "optimizer.lr": {"one": 0.01, "two": 0.001},
    }
    text = (two.path / "config.toml").read_text().replace("n_layer = 4\n", "")
    (two.path / "config.toml").write_text(text)
    assert compare([one, two]).differences["model.n_layer"] == {"one": 4, "two": None}


def test_settings_without_an_effect_in_a_run_are_left_out_of_its_column() -> None:
    lstm = {**LSTM, "model.projection": "relu", "model.n_hidden": 32}
    ignored = {"optimizer.name": "sgd", "optimizer.beta2": 0.5}
    runs = [a_run("one", {"model.norm_position": "post"}), a_run("two", lstm), a_run("three", {**LSTM, **ignored})]
    differences = compare(runs).differences
    assert differences["model.norm_position"] == {"one": "post", "two": None, "three": None}
    assert differences["model.projection"] == {"one": None, "two": "relu", "three": "none"}
    assert differences["optimizer.beta2"] == {"one": 0.95, "two": 0.95, "three": None}


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


# WikiText-2 as the token files of the seed study have it; its factors and the perplexities of its first experiment.
SCORED = {"train": 2_356_375, "val": 245_045, "test": 279_022}
FACTORS = {"train": 0.99876, "val": 0.9969, "test": 0.98725}


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_the_published_mean_counts_a_short_last_batch_as_full(split: str) -> None:
    """Against the definition, batch by batch, and the study's own figures."""
    loss, full, left = 5.0, divmod(SCORED[split], 16 * 256)[0], SCORED[split] % (16 * 256)
    by_batch = [loss * 16 * 256 / (16 * 256)] * full + [loss * left / (16 * 256)]
    published = published_loss(loss, SCORED[split], 16, 256)
    assert published == pytest.approx(sum(by_batch) / len(by_batch))
    assert published / loss == pytest.approx(FACTORS[split], abs=2.5e-4)


def test_experiment_1_as_it_was_published() -> None:
    assert math.exp(published_loss(math.log(158.80), SCORED["test"], 16, 256)) == pytest.approx(148.87, abs=0.02)


def published(name: str, published_mean: bool) -> Run:
    """A run whose last batches were like those of the study's first experiment."""
    run = create_run(name, Config().with_settings({"training.batch_size": 16, "model.block_size": 256}), {})
    text = (run.path / "config.toml").read_text()
    if "published_mean" not in text:
        text = text.replace("[eval]\n", "[eval]\npublished_mean = false\n")
    (run.path / "config.toml").write_text(
        text.replace("published_mean = false", f"published_mean = {published_mean}".lower())
    )
    run.events.write("start", resumed_from=None, **identity())
    run.events.write("train", step=5760, epoch=10.0, tokens=10 * SCORED["train"], loss=4.3, epoch_loss=4.4)
    run.events.write("eval", step=5760, split="val", loss=math.log(147.0), tokens_scored=SCORED["val"], best=True)
    run.events.write(
        "eval", step=5760, split="test", loss=math.log(158.80), tokens_scored=SCORED["test"], best=False, final=True
    )
    run.events.close()
    return run


def test_runs_of_a_study_state_the_published_figures_beside_the_exact_ones() -> None:
    rows = {row["name"]: row for row in compare([published("exp1", True), published("mine", False)]).rows}
    exp1 = rows["exp1"]
    assert exp1["test_perplexity"] == pytest.approx(158.80)
    assert exp1["published_test_perplexity"] == pytest.approx(148.87, abs=0.02)
    assert math.log(exp1["published_val_perplexity"]) == pytest.approx(FACTORS["val"] * math.log(147.0), rel=2.5e-4)
    assert math.log(exp1["published_train_perplexity"]) == pytest.approx(FACTORS["train"] * 4.4, rel=1e-5)
    # Of the first tokens only, the mean over batches would say next to nothing.
    cut = Config().with_settings({"eval.published_mean": True, "eval.max_tokens": 100, "eval.final_max_tokens": 200})
    run = create_run("cut", cut, {})
    run.events.write("start", resumed_from=None, **identity())
    for split, scored in (("val", 100), ("test", 200)):
        run.events.write("eval", step=3, split=split, loss=7.0, tokens_scored=scored, best=split == "val", final=True)
    run.events.close()
    (row,) = compare([run]).rows
    assert row["val_perplexity"] == row["test_perplexity"] == pytest.approx(math.exp(7.0))
    assert [row[f"published_{split}_perplexity"] for split in ("val", "test")] == [None, None]
    assert [rows["mine"][f"published_{split}_perplexity"] for split in ("train", "val", "test")] == [None] * 3


def test_what_stood_in_for_something_else_is_told_once() -> None:
    run, message = a_run("a"), "gpt1 was not reachable: a BPE of the same size was trained on the corpus."
    for step in (0, 5):
        run.events.write("warning", step=step, what="substitution", message=message)
    run.events.write("warning", step=5, what="nan", message="1 step was skipped.")
    assert compare([run, a_run("b")]).substitutions == {"a": [message]}
