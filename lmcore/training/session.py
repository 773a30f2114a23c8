"""A run from beginning to end: train, score the best checkpoint, say how it went."""

from __future__ import annotations

import math
from typing import Any

import torch

from lmcore.errors import LmError, UsageError
from lmcore.models import LanguageModel, load_model
from lmcore.presets import advice
from lmcore.runs import ControlReader, Run, identity
from lmcore.training.control import Interrupts, RunControl
from lmcore.training.device import computing_on
from lmcore.training.final import FinalScores, cut_short, final_scores, scores_so_far
from lmcore.training.journal import EventListener, Journal
from lmcore.training.limits import Validation
from lmcore.training.loop import Trainer
from lmcore.training.memory import memory_explained, peak_memory_bytes
from lmcore.training.resume import check_unchanged, checkpoint_to_resume, note_config, reheating
from lmcore.training.setup import Setup, new_model

MESSAGES = {
    "done": "The run reached its last step.",
    "max_minutes": "The run reached its time limit.",
    "early_stopping": "The validation loss has stopped improving (training.patience = {patience}). "
    "The best checkpoint is at step {best_step}.",
    "stopped": "Stopped on request. Everything is saved.",
    "interrupted": "Interrupted. Everything is saved.",
    "diverged": "The loss exploded, or was not finite, for {max_bad_steps} steps in a row: lower optimizer.lr, clip "
    "gradients (optimizer.grad_clip=1.0) or warm up longer (schedule.warmup_steps). {best_checkpoint}",
}


def train(setup: Setup, run: Run, *, resume: bool = False, report: EventListener | None = None) -> dict[str, Any]:
    """Train `run` as its `setup` (from `prepare`) says, or continue it from its last checkpoint with `resume`.

    `report` gets every event of the run; and while a split is scored, `{"kind": "scoring", ...}` (see
    `Journal.scoring`), which is not an event of the run.

    Returns:
        The summary (docs/training.md), and beside it `why` the run ended and `signal`, the number of the signal that
        interrupted it or None. Losses are nats per token; what is not known is None.

    Raises:
        UsageError: the request is not valid; nothing has been written.
        LmError: the work failed; a `finish` event says why, and checkpoints written before are kept.
    """
    if run.is_active():
        raise UsageError(
            f"The run '{run.name}' is still training.",
            f"Follow it with `lm watch {run.name}`, or stop it with `lm control {run.name} stop`.",
        )
    checkpoint, before = checkpoint_to_resume(run) if resume else None, run.config()
    if checkpoint is not None:
        check_unchanged(before, setup.config)
    if resume:
        note_config(run, setup.config)
    training = setup.config.training
    with computing_on(setup.device, training.threads, training.seed), Interrupts() as interrupts, memory_explained():
        model = load_model(checkpoint, setup.device) if checkpoint else new_model(setup)
        reader = ControlReader(run.control_path)
        with Journal(run, report, setup.device) as journal:
            control = RunControl(reader, journal, interrupts)
            trainer = Trainer(setup, model, journal, control)
            if checkpoint is not None:
                trainer.resume_from(checkpoint)
            try:
                with memory_explained():  # here too, so that the last event says it in words
                    _announce(setup, journal, model, resumed_from=trainer.step if resume else None)
                    if checkpoint is not None and (message := reheating(run.name, before, setup, trainer.step)):
                        journal.warn("config", message)
                    why, scores = _train_and_score(setup, journal, control, trainer)
            except BaseException as error:
                _finish_with_error(journal, trainer.step, error)
                raise
            memory = {"peak_memory_bytes": peak_memory_bytes(setup.device)}
            summary = {"run": run.name, **trainer.figures(), **scores.figures(), **memory}
            message = _message(setup, trainer.validation, why)
            journal.write("finish", step=trainer.step, why=why, message=message, summary=summary)
    return {**summary, "why": why, "signal": interrupts.signal if why == "interrupted" else None}


def _train_and_score(setup: Setup, journal: Journal, control: RunControl, trainer: Trainer) -> tuple[str, FinalScores]:
    """Why the loop ended, and the final scores; the best checkpoint is scored unless someone wants to stop now."""
    why, validation = trainer.train(), trainer.validation
    if why in ("interrupted", "stopped"):
        return why, scores_so_far(setup, validation.best_loss)
    best = {"step": validation.best_step, "epoch": setup.epoch(validation.best_step)}
    scores = final_scores(
        setup, journal, validation.best_loss, lambda: {**trainer.progress(), **best}, control.interrupted
    )
    # An interrupt in the middle of the final scores leaves the rest of them to a resumed run.
    return "interrupted" if control.interrupted() else why, scores


def _message(setup: Setup, validation: Validation, why: str) -> str:
    """The sentences of a `finish` event."""
    training, best = setup.config.training, validation.best_step
    message = MESSAGES[why].format(
        patience=training.patience,
        best_step=best,
        max_bad_steps=training.max_bad_steps,
        best_checkpoint=f"The best checkpoint is at step {best}." if best else "There is no checkpoint yet.",
    )
    scored = why not in ("interrupted", "stopped") and math.isfinite(validation.best_loss)
    return f"{message} {cut_short(setup)}".strip() if scored else message


def _announce(setup: Setup, journal: Journal, model: LanguageModel, *, resumed_from: int | None) -> None:
    """The `start` event, and what a user should know before the run has taken hours."""
    config, total, learnable = setup.config, *model.parameter_counts()
    journal.write(
        "start",
        **identity(),
        resumed_from=resumed_from,
        total_steps=setup.total_steps,
        steps_per_epoch=setup.steps_per_epoch,
        tokens_per_step=setup.tokens_per_step,
        parameters={"total": total, "learnable": learnable},
        architecture=f"{config.model.architecture}×{config.model.n_layer} {config.optimizer.name}",
        device=str(setup.device) if setup.device.type != "cuda" else torch.cuda.get_device_name(setup.device),
        precision=setup.precision,
        optimizer=config.optimizer.name,
    )
    if resumed_from is None:
        messages = {
            "substitution": setup.substitutions,
            "config": [item.message for item in advice(config)],
            "data": [*setup.data.warnings, *_unknown_words(setup)],
        }
        for what, sentences in messages.items():
            for sentence in sentences:
                journal.warn(what, sentence)


def _unknown_words(setup: Setup) -> list[str]:
    """A sentence on the words of the prompts that the model cannot read."""
    prompts = setup.config.generation.prompts
    unknown = dict.fromkeys(word for prompt in prompts for word in setup.data.tokenizer.encode_prompt(prompt)[1])
    return [
        f"Not in the vocabulary: {', '.join(map(repr, unknown))}. Prompts are continued with <unk> instead."
    ] * bool(unknown)


def _finish_with_error(journal: Journal, step: int, error: BaseException) -> None:
    """A last event, if the disk still takes one."""
    why, message = "error", str(error) if isinstance(error, LmError) else f"{type(error).__name__}: {error}"
    if isinstance(error, KeyboardInterrupt):
        why, message = "interrupted", "Interrupted without saving. Checkpoints written before are kept."
    try:
        journal.write("finish", step=step, why=why, message=message, summary=None)
    except LmError:
        return  # the error on its way to the user says more
