"""A training from beginning to end: prepare, train, score the best checkpoint, say how it went."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path
from typing import Any

import torch

from lmcore.config import Config
from lmcore.errors import LmError, UsageError
from lmcore.models import LanguageModel, load_model
from lmcore.presets import advice
from lmcore.runs import ControlReader, Run, identity, verify_checkpoint
from lmcore.runs.run import CONFIG_FILE
from lmcore.training.device import computing_on, memory_explained
from lmcore.training.evaluate import Cancelled, EvalResult
from lmcore.training.journal import Journal, Report
from lmcore.training.loop import Trainer, score
from lmcore.training.memory import peak_memory_bytes
from lmcore.training.requests import Requests
from lmcore.training.setup import new_model, prepare
from lmcore.training.signals import Interrupts
from lmcore.training.snapshot import load_state
from lmcore.training.state import check_unchanged

MESSAGES = {
    "done": "The training reached its last step.",
    "max_minutes": "The training reached its time limit.",
    "early_stopping": "Validation has not improved for {patience} evaluations; the best checkpoint is that of step {best_step}.",
    "stopped": "Stopped on request; everything is saved.",
    "interrupted": "Interrupted; everything is saved.",
    "diverged": "The loss exploded, or was not finite, for {max_bad_steps} steps in a row: lower optimizer.lr, clip gradients "
    "(optimizer.grad_clip=1.0) or warm up longer (schedule.warmup_steps). The best checkpoint is that of step {best_step}.",
}


def train(config: Config, run: Run, *, resume: bool = False, report: Report | None = None) -> dict[str, Any]:
    """Train `run` as `config` says, or go on from its last checkpoint with `resume`.

    While the corpus is encoded, `report` gets `{"kind": "data", "done": bytes, "total": bytes, "what": text}`, which
    are no events of the run; after that, every event of the run.

    Returns:
        The summary (docs/design.md), and beside it `why` the run ended and `signal`, the number of the signal that
        interrupted it or None. Losses are nats per token; what is not known is None.

    Raises:
        UsageError: what was asked for cannot be, found before anything is written.
        LmError: the work failed; a `finish` event says why, and checkpoints written before are kept.
    """
    if run.is_active():
        raise UsageError(f"Run {run.name!r} is being trained already.", "Watch it, or stop it first.")
    checkpoint = _checkpoint_to_resume(run) if resume else None
    if checkpoint is not None:
        check_unchanged(run.config(), config)

    def report_data(done: int, total: int, what: str) -> None:
        if report is not None:
            report({"kind": "data", "done": done, "total": total, "what": what})

    setup = prepare(config, report_data)
    if resume:
        _note_config(run, config)
    with (
        computing_on(setup.device, config.training.threads, config.training.seed),
        Interrupts() as interrupts,
        memory_explained(),
    ):
        model = load_model(checkpoint, setup.device) if checkpoint else new_model(setup)
        control = ControlReader(run.control_path)
        with Journal(run, report) as journal:
            trainer = Trainer(setup, model, run, journal, Requests(control, journal, interrupts))
            if checkpoint is not None:
                load_state(trainer, checkpoint)
            try:
                with memory_explained():  # here too, so that the last event says it in words
                    _announce(trainer, resume)
                    why = trainer.train()
                    summary = summarize(trainer, why)
                if trainer.requests.impatient():
                    why = "interrupted"  # perhaps while the last figures were made: a resumed run makes them
            except BaseException as error:
                _finish_with_error(trainer, error)
                raise
            values = {**config.training.model_dump(), "best_step": trainer.validation.best_step}
            journal.write("finish", step=trainer.step, why=why, message=MESSAGES[why].format(**values), summary=summary)
    return {**summary, "why": why, "signal": interrupts.signal if why == "interrupted" else None}


def summarize(trainer: Trainer, why: str) -> dict[str, Any]:
    """The figures of the run. The best checkpoint is scored on all of the test split, unless someone wants to stop now."""
    validation, seconds = trainer.validation, trainer.stopwatch.seconds
    known = math.isfinite(validation.best_loss)
    val_loss: float | None = validation.best_loss if known else None
    test: EvalResult | None = None
    if known and why not in ("interrupted", "stopped"):
        with contextlib.suppress(Cancelled):  # then the figures so far are what there is
            val_loss, test = _final_scores(trainer, validation.best_loss)
    stepping = trainer.stopwatch.stepping
    return {
        "run": trainer.run.name,
        "steps": trainer.step,
        "tokens": trainer.tokens,
        "seconds": seconds,
        "tokens_per_second": trainer.tokens / stepping if stepping else None,
        "train_loss": trainer.epoch_loss if math.isfinite(trainer.epoch_loss) else None,
        "best_step": validation.best_step if known else None,
        "val_loss": val_loss,
        "val_perplexity": _perplexity(val_loss),
        "test_loss": test.loss if test else None,
        "test_perplexity": test.perplexity if test else None,
        "bits_per_byte": test.bits_per_byte if test else None,
        "peak_memory_bytes": peak_memory_bytes(trainer.device),
    }


def _final_scores(trainer: Trainer, val_loss: float) -> tuple[float, EvalResult | None]:
    """Validation loss and test figures of the best checkpoint, on all tokens."""
    setup, cancelled = trainer.setup, trainer.requests.impatient
    model = _best_model(trainer)
    progress = {
        **trainer.progress(),
        "step": trainer.validation.best_step,
        "epoch": setup.epoch(trainer.validation.best_step),
    }
    if setup.config.eval.max_tokens:
        result = score(setup, model, "val", cancelled=cancelled)
        val_loss = result.loss
        trainer.journal.write("eval", **progress, split="val", **result.fields(), best=True)
    if len(setup.data.splits["test"].tokens) < 2:
        return val_loss, None
    result = score(setup, model, "test", cancelled=cancelled)
    trainer.journal.write("eval", **progress, split="test", **result.fields(), best=False)
    return val_loss, result


def _best_model(trainer: Trainer) -> LanguageModel:
    return load_model(trainer.run.checkpoint("best"), trainer.device)


def _checkpoint_to_resume(run: Run) -> Path | None:
    """The last checkpoint; None when the run was stopped before its first: then it begins again."""
    if not run.checkpoints():
        return None
    folder = run.checkpoint("last")
    verify_checkpoint(folder)
    return folder


def _note_config(run: Run, config: Config) -> None:
    """`config.toml` says how the run is trained from now on."""
    path = run.path / CONFIG_FILE
    changed = path.with_suffix(".new")
    try:
        changed.write_text(config.to_toml(), encoding="utf-8")
        changed.replace(path)
    except OSError as error:
        raise LmError(
            f"{path} cannot be written: {error.strerror}.", "Free some space, and check that you may write there."
        ) from error


def _announce(trainer: Trainer, resume: bool) -> None:
    """The `start` event, and what a user should know before the training has run for hours."""
    setup = trainer.setup
    config, total, learnable = setup.config, *trainer.model.parameter_counts()
    trainer.journal.write(
        "start",
        **identity(),
        resumed_from=trainer.step if resume else None,
        total_steps=setup.total_steps,
        steps_per_epoch=setup.steps_per_epoch,
        tokens_per_step=setup.batches.tokens_per_epoch * config.training.accumulate // setup.batches.steps_per_epoch,
        parameters={"total": total, "learnable": learnable},
        architecture=f"{config.model.architecture}×{config.model.n_layer} {config.optimizer.name}",
        device=str(setup.device) if setup.device.type != "cuda" else torch.cuda.get_device_name(setup.device),
        precision=setup.precision,
        optimizer=config.optimizer.name,
    )
    if not resume:
        for item in advice(config):
            trainer.warn("config", item.message)
        for message in setup.data.warnings:
            trainer.warn("data", message)
        for message in setup.data.substitutions:
            trainer.warn("substitution", message)


def _finish_with_error(trainer: Trainer, error: BaseException) -> None:
    """A last event, if the disk still takes one."""
    why, message = "error", str(error) if isinstance(error, LmError) else f"{type(error).__name__}: {error}"
    if isinstance(error, KeyboardInterrupt):
        why, message = "interrupted", "Interrupted without saving; checkpoints written before are kept."
    try:
        trainer.journal.write("finish", step=trainer.step, why=why, message=message, summary=None)
    except LmError:
        return  # the error on its way to the user says more


def _perplexity(loss: float | None) -> float | None:
    return None if loss is None else math.exp(loss) if loss < 709 else math.inf
