"""Commands that read what a run left: generate, eval, compare, runs, watch."""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from lmcore.config import GenerationConfig
from lmcore.runs import Run, identity
from tests.commands.conftest import Answer

Lm = Callable[..., Answer]


@pytest.fixture
def twins(runs: Path) -> Path:
    """The runs `exp1`, `exp2` and `exp10`, copies of `tiny`."""
    for name in ("exp1", "exp2", "exp10"):
        shutil.copytree(runs / "tiny", runs / name)
    shutil.rmtree(runs / "tiny")
    return runs


class TestGenerate:
    def test_prompt_and_continuation_from_the_newest_run(self, lm: Lm, runs: Path) -> None:
        answer = lm("generate", "9 green")
        assert answer.code == 0
        assert answer.out.startswith("9 green")
        assert len(answer.out) == len("9 green") + 12 + 1
        step = Run(runs / "tiny").summary()["best_step"]
        assert answer.err == f"Generating with tiny, step {step}.\n"

    def test_same_seed_same_text(self, lm: Lm, runs: Path) -> None:
        texts = {
            lm("generate", "9 g", "--run", "tiny", "--seed", seed, "--max-new-tokens", "40").out
            for seed in ("1", "1", "2")
        }
        assert len(texts) == 2

    def test_a_path_to_a_run_or_a_checkpoint_will_do(self, lm: Lm, runs: Path) -> None:
        best = Run(runs / "tiny").checkpoint("best")
        outs = {lm("generate", "9 g", "--run", str(path)).out for path in (runs / "tiny", best)}
        assert outs == {lm("generate", "9 g", "--run", "tiny", "--checkpoint", "best").out}

    def test_samples_as_json(self, lm: Lm, runs: Path) -> None:
        answer = json.loads(lm("generate", "9 g", "--num-samples", "3", "--json", "--max-new-tokens", "5").out)
        assert (answer["run"], answer["prompt"], answer["step"]) == (
            "tiny",
            "9 g",
            Run(runs / "tiny").summary()["best_step"],
        )
        assert [sample["tokens"] for sample in answer["samples"]] == [5, 5, 5]
        assert all(len(sample["text"]) == 5 for sample in answer["samples"])
        assert Path(answer["checkpoint"]).name == f"step-{answer['step']:08}"
        assert answer["device"] in ("cpu", "cuda", "mps")
        wanted = GenerationConfig(max_new_tokens=5, top_k=40).model_dump(mode="json", exclude={"prompts"})
        assert answer["settings"] == wanted

    def test_several_samples_are_separate_texts(self, lm: Lm, runs: Path) -> None:
        out = lm("generate", "9 g", "--num-samples", "2").out
        texts = out.split("---\n")
        assert len(texts) == 2
        assert all(text.startswith("9 g") for text in texts)

    def test_unknown_characters_are_noticed(self, lm: Lm, runs: Path) -> None:
        answer = lm("generate", "9 ß")
        assert answer.code == 0
        assert "ß" in answer.err
        assert "<unk>" in answer.err

    def test_control_characters_of_the_prompt_are_shown_not_acted_on(self, lm: Lm, runs: Path) -> None:
        answer = lm("generate", "\x1b[31m9", "--run", "tiny")
        assert "\x1b" not in answer.out + answer.err
        assert "\x1b[31m9" in lm("generate", "\x1b[31m9", "--run", "tiny", "--raw").out

    def test_a_checkpoint_by_step(self, lm: Lm, runs: Path) -> None:
        steps = [checkpoint.step for checkpoint in Run(runs / "tiny").checkpoints()]
        answer = lm("generate", "9", "--json", "--checkpoint", str(steps[0]))
        assert json.loads(answer.out)["step"] == steps[0]
        missing = lm("generate", "9", "--checkpoint", "7")
        assert missing.code in (1, 2)
        assert str(steps[0]) in missing.err
        assert lm("generate", "9", "--checkpoint", "bset").code == 2


class TestEval:
    def test_the_named_keys_and_the_figures_of_the_training(
        self, lm: Lm, runs: Path, trained: tuple[Path, Answer]
    ) -> None:
        summary = json.loads(trained[1].out)
        figures = json.loads(lm("eval", "tiny", "--json").out)
        assert list(figures) == ["tokens", "loss", "perplexity", "word_perplexity", "bits_per_byte"]
        assert figures["loss"] == pytest.approx(summary["test_loss"], rel=1e-5)
        assert figures["perplexity"] == pytest.approx(math.exp(figures["loss"]))
        val = json.loads(lm("eval", "tiny", "--split", "val", "--json").out)
        assert val["loss"] == pytest.approx(summary["val_loss"], rel=1e-5)

    def test_another_text_in_the_same_tokens(self, lm: Lm, runs: Path, tmp_path: Path) -> None:
        other = tmp_path / "other.txt"
        other.write_text("wall hanging bottles green the on and fall\n" * 100)
        own = json.loads(lm("eval", "tiny", "--json").out)
        figures = json.loads(lm("eval", "tiny", "--data", str(other), "--json").out)
        assert figures["loss"] > own["loss"]

    def test_for_people(self, lm: Lm, runs: Path) -> None:
        answer = lm("eval", "tiny")
        assert "perplexity" in answer.out
        assert "rhyme.txt, test" in answer.out


class TestCompare:
    def test_table_differences_curves_and_texts(self, lm: Lm, twins: Path) -> None:
        config = twins / "exp2" / "config.toml"
        config.write_text(config.read_text().replace("lr = 0.01", "lr = 0.02"))
        answer = lm("compare", "exp1..exp10", "--prompt", "9 green", "--max-new-tokens", "8")
        assert answer.code == 0
        lines = answer.out.splitlines()
        assert [line.split()[0].rstrip("*") for line in lines[1:4]] == ["exp1", "exp2", "exp10"]
        assert "skipped exp3" in answer.err
        difference = next(line for line in lines if line.startswith("optimizer.lr"))
        assert difference.split() == ["optimizer.lr", "0.01", "0.02", "0.01"]
        assert "perplexity (log scale)" in answer.out
        assert "epoch" in answer.out
        assert answer.out.count("9 green") == 3

    def test_over_wall_clock_time(self, lm: Lm, runs: Path) -> None:
        assert "minutes of training" in lm("compare", "tiny", "--x", "time").out

    def test_json(self, lm: Lm, twins: Path) -> None:
        answer = json.loads(lm("compare", "exp1", "exp10", "--json", "--prompt", "9", "--max-new-tokens", "4").out)
        assert [row["name"] for row in answer["rows"]] == ["exp1", "exp10"]
        assert answer["comparability"]["level"] == "tokens"
        assert answer["texts"]["exp1"] == answer["texts"]["exp10"]

    def test_different_tokenizers_are_not_ranked_by_token_perplexity(self, lm: Lm, twins: Path) -> None:
        info = json.loads((twins / "exp2" / "run.json").read_text())
        (twins / "exp2" / "run.json").write_text(json.dumps({**info, "tokenizer_hash": "another"}))
        answer = lm("compare", "exp1", "exp2")
        heading = answer.out.splitlines()[0]
        assert "word ppl" in heading
        assert "val ppl" not in heading
        assert "different tokenizers" in " ".join(answer.out.split())


class TestRuns:
    def test_bare_runs_is_the_list(self, lm: Lm, runs: Path) -> None:
        assert lm("runs").out.splitlines()[1].split()[:2] == ["tiny", "finished"]
        (row,) = json.loads(lm("runs", "--json").out)
        assert (row["name"], row["state"], row["step"]) == ("tiny", "finished", 60)
        assert json.loads(lm("runs", "list", "--json").out) == [row]

    def test_no_runs_yet(self, lm: Lm) -> None:
        answer = lm("runs")
        assert (answer.code, answer.out) == (0, "")
        assert "lm train" in answer.err
        assert json.loads(lm("runs", "--json").out) == []

    def test_show(self, lm: Lm, runs: Path) -> None:
        shown = lm("runs", "show", "tiny").out
        assert "model.n_embd" in shown
        assert "nats per token" in shown
        full = json.loads(lm("runs", "show", "tiny", "--json").out)
        assert full["config"]["model"]["n_embd"] == 16
        assert full["checkpoints"][-1]["step"] == 60

    def test_rename(self, lm: Lm, runs: Path) -> None:
        assert lm("runs", "rename", "tiny", "large").code == 0
        assert (runs / "large").is_dir()
        assert lm("runs", "rename", "large", "../large").code == 2
        assert (runs / "large").is_dir()

    def test_rm_asks_where_it_can_and_refuses_where_it_cannot(
        self, lm: Lm, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        answer = lm("runs", "rm", "tiny")
        assert answer.code == 2
        assert "--yes" in answer.err
        monkeypatch.setattr("commands.input.confirmation.is_terminal", lambda stream: True)
        monkeypatch.setattr(typer, "confirm", lambda text, err: False)
        assert lm("runs", "rm", "tiny").code == 1
        assert (runs / "tiny").is_dir()
        monkeypatch.setattr(typer, "confirm", lambda text, err: True)
        assert lm("runs", "rm", "tiny").code == 0
        assert not (runs / "tiny").exists()

    def test_rm_removes_nothing_when_a_name_is_wrong(self, lm: Lm, runs: Path) -> None:
        assert lm("runs", "rm", "tiny", "tinny", "--yes").code == 2
        assert (runs / "tiny").is_dir()

    def test_a_hostile_name_in_a_config_is_made_harmless(self, lm: Lm, runs: Path) -> None:
        info = json.loads((runs / "tiny" / "run.json").read_text())
        info["headline"]["optimizer"] = "adam\x1b[2J\u202e"
        (runs / "tiny" / "run.json").write_text(json.dumps(info))
        assert "\x1b" not in lm("runs").out
        assert "\u202e" not in lm("runs").out


def test_watch_says_how_an_ended_run_stands(lm: Lm, runs: Path) -> None:
    lines = lm("watch", "tiny").out.splitlines()
    assert lines[0] == "tiny is finished"
    assert lines[-1].startswith("finished at step 60: done")
    assert any(line.startswith("test at step") for line in lines)


def test_control_of_an_ended_run(lm: Lm, runs: Path) -> None:
    answer = lm("control", "tiny", "pause")
    assert answer.code == 2
    assert "lm train --resume tiny" in answer.err


def test_watch_of_a_training_that_died_says_so(lm: Lm, runs: Path) -> None:
    events = runs / "tiny" / "events.jsonl"
    lines = [line for line in events.read_text().splitlines() if '"finish"' not in line]
    events.write_text("\n".join([*lines, '{"kind": "of the future"}', '{"kind": "tra']))
    out = lm("watch", "tiny").out
    assert out.startswith("tiny is crashed")
    assert "step 60/60" in out


def test_watch_of_a_resumed_run_does_not_say_that_it_has_ended(lm: Lm, runs: Path) -> None:
    with (runs / "tiny" / "events.jsonl").open("a") as events:
        events.write('{"kind": "start", "time": 1, "resumed_from": 60, "total_steps": 90, "pid": 999999999}\n')
    out = lm("watch", "tiny").out
    assert out.startswith("tiny is crashed")
    assert "finished" not in out
    assert "resumed from step 60" in out


def test_a_run_interrupted_before_its_first_evaluation_can_write(lm: Lm, runs: Path) -> None:
    (runs / "tiny" / "best").unlink()
    assert lm("generate", "9", "--run", "tiny").code == 0
    assert lm("generate", "9", "--run", "tiny", "--checkpoint", "best").code == 1


def test_a_run_that_has_only_begun(lm: Lm, runs: Path) -> None:
    for path in (runs / "tiny").glob("step-*"):
        shutil.rmtree(path)
    (runs / "tiny" / "events.jsonl").unlink()
    assert lm("runs").out.splitlines()[1].split()[:2] == ["tiny", "created"]
    assert lm("runs", "show", "tiny").code == 0
    assert lm("compare", "tiny").code == 0
    assert "no checkpoint yet" in lm("generate", "9", "--run", "tiny").err
    assert lm("watch", "tiny", "--once").out == "tiny is created\n"


def test_watch_says_now_and_then_how_far_a_scoring_is(lm: Lm, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = runs / "tiny" / "events.jsonl"
    whole = path.read_text().splitlines()
    begun = [json.loads(line) for line in whole if '"finish"' not in line and '"test"' not in line]
    begun[0] |= identity()
    progress = {"split": "test", "final": True, "tokens_total": 100}

    def beat(seconds: int) -> dict[str, object]:
        scoring = progress | {"tokens_scored": seconds, "seconds": seconds, "seconds_left": 100 - seconds}
        return {"kind": "heartbeat", "time": time.time(), "step": 60, "paused": False, "scoring": scoring}

    path.write_text("".join(json.dumps(event) + "\n" for event in [*begun, beat(5)]))
    assert "scoring final test  5%  5/100 tokens  ETA 1m 35s" in lm("watch", "tiny", "--once").out
    later = iter([*map(beat, (10, 31, 40, 62)), {"kind": "finish", "time": time.time(), "step": 60, "why": "done"}])

    def write_one(_: float) -> None:
        with path.open("a") as events:
            events.write(json.dumps(next(later)) + "\n")

    monkeypatch.setattr("commands.watch.time.sleep", write_one)
    lines = [line.split("  ")[1] for line in lm("watch", "tiny").out.splitlines() if line.startswith("scoring")]
    assert lines == ["5%", "31%", "62%"]


def test_a_newer_versions_run_is_shown_and_compared_but_not_resumed(lm: Lm, runs: Path) -> None:
    config = runs / "tiny" / "config.toml"
    text = config.read_text().replace("[model]\n", '[model]\nmixture = "of \\u001b[31mexperts"\n', 1)
    config.write_text(text + "\n[quantum]\nbits = 3\n")
    answer = lm("runs", "show", "tiny")
    assert answer.code == 0
    assert "model.mixture" in answer.out
    assert "unknown to this version of lm" in answer.out
    assert "quantum.bits" in answer.out
    assert "training.max_steps" in answer.out
    assert "\x1b" not in answer.out
    assert json.loads(lm("runs", "show", "tiny", "--json").out)["config"]["quantum"] == {"bits": 3}
    assert lm("compare", "tiny").code == 0
    assert lm("watch", "tiny", "--once").code == 0
    assert lm("generate", "9 g", "--run", "tiny").code == 0  # a checkpoint says itself what it needs
    refused = lm("train", "--resume", "tiny")
    assert refused.code == 1
    assert "has settings that this version of lm cannot use: There is no setting 'model.mixture'." in refused.err
    assert "Update lm" in refused.err
