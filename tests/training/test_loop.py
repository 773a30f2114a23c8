"""What one training does: steps, events, endings; on tiny models."""

from __future__ import annotations

import errno
import itertools
import math
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from lmcore.config import GenerationConfig
from lmcore.errors import LmError, UsageError
from lmcore.generation import load_generator
from lmcore.models import build_model, load_model, save_model
from lmcore.models.recurrent import Recurrent
from lmcore.models.transformer import Transformer
from lmcore.runs import create_run, find_run
from lmcore.runs.control import write_request
from lmcore.training import evaluate, prepare, train
from lmcore.training.setup import new_model
from tests.training.conftest import LSTM, Configure, Start, Trained

SUMMARY = [
    *("run", "steps", "tokens", "seconds", "tokens_per_second", "train_loss", "best_step"),
    *("val_loss", "val_perplexity", "val_tokens_scored"),
    *("test_loss", "test_perplexity", "test_tokens_scored", "bits_per_byte", "peak_memory_bytes"),
]


def weights(trained: Trained, which: str = "last") -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(trained.run.checkpoint(which) / "model.safetensors")
    return tensors


def same(a: Trained, b: Trained) -> bool:
    one, other = weights(a), weights(b)
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def close(a: Trained, b: Trained) -> None:
    for name, tensor in weights(a).items():
        torch.testing.assert_close(tensor, weights(b)[name], atol=2e-6, rtol=1e-4, msg=name)


def test_the_summary_and_the_events_are_what_the_contract_says(configure: Configure, start: Start) -> None:
    seen: list[str] = []
    trained = start(
        configure(generation__prompts=["the cat"], generation__max_new_tokens=5),
        report=lambda event: seen.append(event["kind"]),
    )
    summary = trained.summary
    assert list(summary) == [*SUMMARY, "why", "signal"]
    assert summary["why"] == "done"
    assert summary["steps"] == 12
    assert summary["tokens"] == 12 * 4 * 8
    assert all(math.isfinite(value) for key, value in summary.items() if key not in ("run", "why", "signal"))
    assert summary["val_perplexity"] == pytest.approx(math.exp(summary["val_loss"]))

    first = trained.events("start")[0]
    assert (first["total_steps"], first["resumed_from"], first["precision"], first["device"]) == (
        12,
        None,
        "fp32",
        "cpu",
    )
    assert first["architecture"] == "transformer×1 adamw"
    event = trained.events("train")[-1]
    assert (event["step"], event["tokens"], event["lr"], event["skipped"]) == (12, 384, 1e-3, 0)
    learnable = first["parameters"]["learnable"]
    assert event["memory"] == {
        "weights": 4 * learnable,
        "gradients": 4 * learnable,
        "optimizer": pytest.approx(8 * learnable, rel=0.02),
    } | {
        "activations": None,
        "cached": None,
    }
    assert [(e["step"], e["split"], e["final"]) for e in trained.events("eval")] == [
        (5, "val", False),
        (10, "val", False),
        (12, "val", False),
        (12, "val", True),
        (12, "test", True),
    ]
    assert [e["step"] for e in trained.events("sample")] == [5, 10, 12]
    assert all(e["prompt"] == "the cat" and len(e["text"]) == 5 for e in trained.events("sample"))
    finish = trained.events("finish")[0]
    assert finish["why"] == "done"
    assert list(finish["summary"]) == SUMMARY
    assert seen.count("train") == 12
    assert seen[-1] == "finish"
    assert trained.run.state() == "finished"


def test_the_figures_are_those_of_the_best_checkpoint_on_all_tokens(configure: Configure, start: Start) -> None:
    config = configure()
    trained = start(config)
    data = prepare(config).data
    model = load_model(trained.run.checkpoint("best"))
    for split in ("val", "test"):
        result = evaluate(model, data.splits[split], block_size=8, batch_size=4, device=torch.device("cpu"))
        assert result.tokens == len(data.splits[split].tokens) - 1
        assert trained.summary[f"{split}_loss"] == pytest.approx(result.loss, rel=1e-6)
    assert trained.summary["bits_per_byte"] == pytest.approx(result.bits_per_byte, rel=1e-6)


def test_it_learns(configure: Configure, start: Start) -> None:
    trained = start(
        configure(
            training__max_steps=150,
            training__batch_size=32,
            optimizer__lr=0.01,
            training__log_every=50,
            training__eval_every=0,
        )
    )
    assert trained.summary["val_loss"] < 0.6 * math.log(20)


def test_the_text_of_a_checkpoint_can_be_written_on(configure: Configure, start: Start) -> None:
    generator = load_generator(start(configure()).run.checkpoint("last"), device="cpu")
    assert "".join(piece.text for piece in generator.generate("the ", GenerationConfig(max_new_tokens=7)))


@pytest.mark.parametrize(
    "settings", [{}, {**LSTM, "data.batching": "windows", "model.weight_drop": 0.0}], ids=["transformer", "lstm"]
)
def test_accumulated_micro_batches_are_one_large_batch(
    settings: dict[str, Any], configure: Configure, start: Start
) -> None:
    # 563 windows are 188 + 188 + 187, and one of them is padded: only a mean over tokens gets these right.
    common = {**settings, "training.max_steps": 4, "optimizer.name": "sgd", "optimizer.lr": 0.5}
    large = start(configure({**common, "training.batch_size": 1000}), "large")
    small = start(configure({**common, "training.batch_size": 188, "training.accumulate": 3}), "small")
    assert small.events("start")[0]["steps_per_epoch"] == 1
    assert small.summary["tokens"] == large.summary["tokens"]
    close(small, large)


def test_evaluating_and_sampling_disturb_nothing(configure: Configure, start: Start) -> None:
    settings = {**LSTM, "model.dropout": 0.3, "model.weight_drop": 0.3}
    often = start(
        configure(
            {**settings, "training.eval_every": 1, "generation.prompts": ["the"], "generation.max_new_tokens": 3}
        ),
        "often",
    )
    once = start(configure({**settings, "training.eval_every": 0}), "once")
    assert same(often, once)
    assert often.losses() == once.losses()


def test_the_seed_decides_everything_and_the_callers_stream_is_left_alone(configure: Configure, start: Start) -> None:
    before = torch.get_rng_state()
    first = start(configure(model__dropout=0.2), "first")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)
    assert same(first, start(configure(model__dropout=0.2), "second"))
    assert not same(first, start(configure(model__dropout=0.2, training__seed=7), "third"))


def test_clipping_bounds_the_step_and_the_norm_is_logged_unclipped(configure: Configure, start: Start) -> None:
    config = configure(training__max_steps=1, optimizer__name="sgd", optimizer__lr=1.0, optimizer__grad_clip=0.01)
    trained = start(config)
    begin = new_model(prepare(config))
    moved = math.sqrt(
        sum(float((weights(trained)[name] - tensor).square().sum()) for name, tensor in begin.state_dict().items())
    )
    assert moved == pytest.approx(0.01, rel=1e-3)
    assert trained.events("train")[0]["grad_norm"] > 0.05


@pytest.mark.parametrize("decay_all", [False, True])
def test_one_step_of_sgd_is_the_gradient_of_loss_and_penalties(
    decay_all: bool, configure: Configure, start: Start
) -> None:
    settings = {
        "model.tied": False,
        "optimizer.decay_all": decay_all,
        "training.activation_reg": 2.0,
        "training.temporal_reg": 1.0,
        "training.l1": 0.001,
        "training.label_smoothing": 0.1,
    }
    config = configure({**LSTM, **settings, "training.max_steps": 1, "optimizer.name": "sgd", "optimizer.lr": 1.0})
    trained = start(config)
    setup = prepare(config)
    model = new_model(setup)
    batch = setup.batches.get(0)
    hidden, _ = model(
        torch.from_numpy(batch.x)
    )  # no projection and no dropout: this is the output that AR and TAR look at
    loss = torch.nn.functional.cross_entropy(
        model.logits(hidden).flatten(0, 1), torch.from_numpy(batch.y).flatten(), label_smoothing=0.1
    )
    loss = loss + 2.0 * hidden.square().mean() + (hidden[:, 1:] - hidden[:, :-1]).square().mean()
    penalized = {
        name for name, p in model.named_parameters() if decay_all or (p.dim() > 1 and not name.startswith("embedding"))
    }
    assert "head.weight" in penalized
    loss = loss + 0.001 * sum(p.abs().sum() for name, p in model.named_parameters() if name in penalized)
    loss.backward()
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        assert gradient is not None
        torch.testing.assert_close(weights(trained)[name], (parameter - gradient).detach(), msg=name)


def break_gradients(monkeypatch: pytest.MonkeyPatch, steps: set[int]) -> None:
    """The loss of these steps (from 0) is not a number."""
    count = iter(range(10**6))
    original = Transformer.loss

    def loss(self: Transformer, *arguments: Any) -> Any:
        output = original(self, *arguments)
        output.loss = output.loss * (math.nan if next(count) in steps else 1.0)
        return output

    monkeypatch.setattr(Transformer, "loss", loss)


def test_a_step_that_is_not_finite_is_skipped_counted_and_told(
    configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_gradients(monkeypatch, {3, 4})
    trained = start(configure())
    assert trained.summary["why"] == "done"
    assert [event["skipped"] for event in trained.events("train")][2:6] == [0, 1, 2, 2]
    assert [event["loss"] is None for event in trained.events("train")][2:6] == [False, True, True, False]
    assert all(tensor.isfinite().all() for tensor in weights(trained).values())
    assert [event["step"] for event in trained.events("warning") if event["what"] == "nan"] == [4, 5]


def test_a_run_that_stays_broken_ends_as_diverged_with_its_best_checkpoint(
    configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_gradients(monkeypatch, set(range(7, 100)))
    trained = start(configure(training__max_steps=50, training__max_bad_steps=2))
    assert trained.summary["why"] == "diverged"
    assert trained.summary["steps"] == 9
    assert trained.summary["best_step"] == 5
    assert trained.summary["test_loss"] is not None
    finish = trained.events("finish")[0]
    assert "optimizer.lr" in finish["message"]
    assert "step 5" in finish["message"]
    assert any(event["what"] == "divergence" for event in trained.events("warning"))
    assert trained.run.state() == "crashed"
    assert all(tensor.isfinite().all() for tensor in weights(trained, "best").values())


def test_an_exploding_loss_ends_the_run_too(configure: Configure, start: Start) -> None:
    trained = start(
        configure(training__max_steps=200, optimizer__name="sgd", optimizer__lr=1e4, training__max_bad_steps=5)
    )
    assert trained.summary["why"] == "diverged"


def test_a_carried_state_that_is_not_finite_is_forgotten(
    configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, count = Recurrent.loss, iter(range(10**6))

    def loss(self: Recurrent, *arguments: Any) -> Any:
        output = original(self, *arguments)
        if next(count) == 2:
            output.loss = output.loss * math.nan
            output.state = tuple(part * math.nan for part in output.state)
        return output

    monkeypatch.setattr(Recurrent, "loss", loss)
    trained = start(configure(LSTM))
    assert trained.events("train")[-1]["skipped"] == 1


def test_patience_ends_the_run_and_the_best_is_kept(configure: Configure, start: Start) -> None:
    trained = start(
        configure(training__max_steps=400, optimizer__lr=0.3, training__patience=2, training__log_every=100)
    )
    assert trained.summary["why"] == "early_stopping"
    evaluations = [event for event in trained.events("eval") if event["split"] == "val"]
    best = min(evaluations[:-1], key=lambda event: event["loss"])
    assert trained.summary["best_step"] == best["step"] < trained.summary["steps"]
    assert trained.run.checkpoint("best").name == f"step-{best['step']:08d}"
    assert len(trained.run.checkpoints()) <= 3  # best, last, and one more


def test_a_time_limit_ends_the_run(configure: Configure, start: Start) -> None:
    trained = start(
        configure(
            training__max_steps=0, training__max_minutes=0.01, training__log_every=1000, training__eval_every=1000
        )
    )
    assert trained.summary["why"] == "max_minutes"
    assert 0.6 <= trained.summary["seconds"] < 5


def test_epochs_end_with_the_mean_loss_of_the_epoch(configure: Configure, start: Start) -> None:
    trained = start(
        configure(training__max_steps=0, training__epochs=2, training__batch_size=128, training__eval_every=0)
    )
    steps = trained.events("start")[0]["steps_per_epoch"]
    assert trained.summary["steps"] == 2 * steps
    events = trained.events("train")
    tokens = [after["tokens"] - before["tokens"] for before, after in itertools.pairwise(events)][steps - 1 :]
    second = events[steps:]
    mean = sum(event["loss"] * count for event, count in zip(second, tokens, strict=True)) / sum(tokens)
    assert second[-1]["epoch_loss"] == pytest.approx(mean)
    assert trained.summary["train_loss"] == pytest.approx(mean)
    assert [event["epoch"] for event in trained.events("eval") if event["split"] == "val"][:2] == [1.0, 2.0]


def test_unfreezing_trains_from_the_top(configure: Configure, start: Start) -> None:
    settings = {**LSTM, "model.n_layer": 2, "model.tied": False, "training.unfreeze_every": 4}
    begin = new_model(prepare(configure(settings))).state_dict()
    for steps, thawed in (
        (4, {"head"}),
        (8, {"head", "layers.1"}),
        (12, {"head", "layers.1", "layers.0"}),
        (13, {"head", "layers", "embedding"}),
    ):
        trained = start(configure({**settings, "training.max_steps": steps}), f"steps{steps}")
        moved = {name for name, tensor in weights(trained).items() if not torch.equal(tensor, begin[name])}
        assert moved == {name for name in begin if any(name.startswith(part) for part in thawed)}


def test_frozen_embeddings_stay(configure: Configure, start: Start) -> None:
    settings = {"model.freeze_embedding": True, "training.average": "ema"}
    trained = start(configure(settings))
    begin = new_model(prepare(configure(settings))).state_dict()
    assert torch.equal(weights(trained)["embedding.weight"], begin["embedding.weight"])


def test_requests_are_acknowledged_and_done(configure: Configure) -> None:
    config = configure(training__max_steps=10**6, training__eval_every=10**6, training__log_every=5)
    run = create_run("asked", config, {})
    done = threading.Event()
    paused_at: list[int] = []

    def report(event: dict[str, Any]) -> None:
        match event:
            case {"kind": "train", "step": 5}:
                run.request("pause")
            case {"kind": "heartbeat", "paused": True} if not paused_at:
                paused_at.append(event["step"])
                threading.Timer(0.5, resume).start()
            case {"kind": "control", "action": "resume", "state": "done"}:
                run.request("checkpoint")
                run.request("resume")
                run.request("stop")
                done.set()

    def resume() -> None:
        assert run.state() == "paused"
        run.request("resume")

    summary = train(prepare(config), run, report=report)
    assert done.is_set()
    assert summary["why"] == "stopped"
    answers = [(event["action"], event["state"]) for event in run.history().control]
    assert answers == [
        *[("pause", "acknowledged"), ("pause", "done"), ("resume", "acknowledged"), ("resume", "done")],
        *[
            ("checkpoint", "acknowledged"),
            ("checkpoint", "done"),
            ("resume", "refused"),
            ("stop", "acknowledged"),
            ("stop", "done"),
        ],
    ]
    assert [event["reason"] for event in run.history().checkpoints] == ["requested"]
    assert run.checkpoint("last").name == f"step-{summary['steps']:08d}"
    assert run.state() == "stopped"
    assert (
        summary["seconds"] < run.history().finish[0]["time"] - run.history().start[0]["time"] - 0.4
    )  # the pause is left out


def test_requests_to_an_earlier_process_are_ignored(configure: Configure, start: Start) -> None:
    run = create_run("old", configure(), {})
    write_request(run.control_path, "stop")
    assert start(configure(), "old", resume=True).summary["why"] == "done"


def test_a_full_disk_ends_the_run_with_a_reason_and_keeps_what_is_saved(
    configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = iter(range(100))

    def save(*arguments: Any) -> None:
        if next(count) == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        save_model(*arguments)

    monkeypatch.setattr("lmcore.training.loop.save_model", save)
    with pytest.raises(LmError, match="disk is full"):
        start(configure(), "full")
    run = find_run("full")
    assert [path.name for path in run.path.glob("*step-*")] == ["step-00000005"]
    assert run.history().finish[0]["why"] == "error"


def test_out_of_memory_says_what_to_lower(configure: Configure, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def loss(*arguments: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB")

    monkeypatch.setattr(Transformer, "loss", loss)
    with pytest.raises(LmError) as error:
        start(configure())
    assert "training.batch_size" in error.value.hint
    finish = find_run("run").history().finish[0]
    assert (finish["why"], "training.batch_size" in finish["message"]) == ("error", True)


def test_what_cannot_be_is_refused_before_anything_is_written(configure: Configure, start: Start) -> None:
    cases = {
        "no stopping condition": {"training.max_steps": 0},
        "vocabulary": {"model.vocab_size": 5},
        "window": {"model.block_size": 100_000},
        "not available": {"training.device": "cuda:9"},
        "cosine": {"training.max_steps": 0, "training.max_minutes": 1, "schedule.name": "cosine"},
    }
    for number, (message, settings) in enumerate(cases.items()):
        config = configure(settings)
        run = create_run(f"bad{number}", config, {})
        with pytest.raises(UsageError, match=message):
            train(prepare(config), run)
        assert run.state() == "created"


def test_advice_on_the_config_is_a_warning(configure: Configure, start: Start) -> None:
    trained = start(configure(optimizer__name="adam_l2", optimizer__weight_decay=0.1))
    assert any(event["what"] == "config" and "adamw" in event["message"] for event in trained.events("warning"))


def test_two_processes_cannot_train_one_run(configure: Configure, start: Start) -> None:
    config = configure()
    run = create_run("busy", config, {})
    failures: list[LmError] = []

    def report(event: dict[str, Any]) -> None:
        if event["kind"] == "train" and event["step"] == 2:
            with pytest.raises(UsageError, match="still training") as error:
                train(prepare(config), run, resume=True)
            failures.append(error.value)

    train(prepare(config), run, report=report)
    assert len(failures) == 1


def test_fp16_skips_until_the_scale_fits_and_is_no_divergence(configure: Configure, start: Start) -> None:
    trained = start(configure(training__precision="fp16", training__max_bad_steps=1))
    assert trained.summary["why"] == "done"
    assert trained.events("start")[0]["precision"] == "fp16"
    close_to = start(configure(), "fp32")
    assert trained.summary["val_loss"] == pytest.approx(close_to.summary["val_loss"], rel=0.02)


def test_the_model_is_the_one_its_seed_gives(configure: Configure) -> None:
    config = configure()
    setup = prepare(config)
    again = build_model(config.model, setup.data.tokenizer.vocab_size, seed=42)
    assert all(torch.equal(a, b) for a, b in zip(new_model(setup).parameters(), again.parameters(), strict=True))


def test_pretrained_vectors_are_put_in_and_what_they_lack_is_told(
    configure: Configure, start: Start, tmp_path: Path
) -> None:
    vectors = tmp_path / "glove.txt"
    vectors.write_text("".join(f"{token} {' '.join(['0.25'] * 16)}\n" for token in "thecat"))
    config = configure(model__embedding=str(vectors), model__freeze_embedding=True, training__max_steps=2)
    trained = start(config)
    tokenizer = prepare(config).data.tokenizer
    table = weights(trained)["embedding.weight"]
    assert (table[tokenizer.encode("cat")] == 0.25).all()
    assert (table[tokenizer.encode("s")] != 0.25).all()
    warnings = [event["message"] for event in trained.events("warning") if event["what"] == "data"]
    assert any("5 of" in message for message in warnings)
    missing = configure(model__embedding=str(tmp_path / "nothing.txt"))
    with pytest.raises(LmError, match=r"nothing\.txt"):
        start(missing, "missing")
