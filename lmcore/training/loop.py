"""The training loop: fetch, forward, backward, clip, step; and from time to time log, evaluate, save.

One step reads as in a textbook, with the loss a mean over all tokens of `accumulate` micro-batches:

    g ← gradient of the loss                                  forward_backward
    g ← g · min(1, grad_clip / |g|)                           clip
    w ← optimizer(w, g, lr(step)), unless g is not finite     update
    average ← average of the weights so far                   update

All that the loop remembers goes into a checkpoint (`snapshot.py`), so a resumed run is the same run.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from lmcore.errors import LmError
from lmcore.models import LanguageModel, save_model
from lmcore.runs import Run, prune_checkpoints, publish_checkpoint, set_pointer
from lmcore.training.averaging import averaged, build_average
from lmcore.training.device import autocast, gradient_scaler, pays_to_compile, random_stream_kept, to_device
from lmcore.training.evaluate import Cancelled, EvalResult, evaluate
from lmcore.training.health import new_warnings
from lmcore.training.journal import Journal
from lmcore.training.limits import BadSteps, Validation
from lmcore.training.memory import memory_bytes, memory_split
from lmcore.training.meter import LossMeter, Stopwatch
from lmcore.training.mfu import flops_per_token, utilization
from lmcore.training.objective import objective
from lmcore.training.optimizers import Parameters, build_optimizers
from lmcore.training.requests import Requests
from lmcore.training.samples import generate_samples
from lmcore.training.schedules import lr_multiplier
from lmcore.training.setup import Setup
from lmcore.training.snapshot import save_state
from lmcore.training.unfreezing import Unfreezing


class MicroBatch(NamedTuple):
    """A batch on the device: inputs and targets [B, T]; whether the state is carried into it; targets scored."""

    x: Tensor
    y: Tensor
    carry: bool
    tokens: int


class Trainer:
    """Trains `model` in its `setup` and records it in `run`.

    Attributes:
        step: optimizer steps done, skipped ones included.
        tokens: targets trained on so far.
        trained: the parameters that are trained, by name.
        carried: a recurrent model's state after the last micro-batch, tensors [layers, B, H].
    """

    def __init__(self, setup: Setup, model: LanguageModel, run: Run, journal: Journal, requests: Requests) -> None:
        self.setup, self.model, self.run, self.journal, self.requests = setup, model, run, journal, requests
        self.config, self.device = setup.config, setup.device
        training = self.config.training

        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        self.optimizers = build_optimizers(
            self.config.optimizer, Parameters(self.trained, model.parameter_roles()), self.device
        )
        self.unfreezing = Unfreezing(model, training.unfreeze_every)
        self.average = build_average(training)
        self.scaler = gradient_scaler(self.device, setup.precision)
        self.objective = (
            torch.compile(objective) if pays_to_compile(training, self.device, setup.total_steps) else objective
        )

        self.step = 0
        self.tokens = 0
        self.carried: tuple[Tensor, ...] | None = None
        self.upcoming: list[MicroBatch] = []
        self.grad_norm = torch.zeros((), device=self.device)
        self.meter = LossMeter(self.device)
        self.stopwatch = Stopwatch()
        self.validation = Validation(training.patience, training.min_delta)
        self.bad_steps = BadSteps(training.max_bad_steps, model.vocab_size, self.device)
        self.diverged = False
        self.warned: set[str] = set()
        self.skipped = self.skipped_at_warning = 0
        self.logged_step = self.evaluated_step = 0
        self.saved_step = -1
        self.epoch_loss = math.nan
        self.speed_since = (0, 0.0)  # tokens and seconds of steps at the last train event
        self.flops_per_token = flops_per_token(model)

    # The run.

    def train(self) -> str:
        """Step until something ends the run; what (the `why` of a `finish` event)."""
        self.model.train()
        self.after_step()  # a resumed run may have been interrupted before this was done
        while (why := self.ending()) is None:
            self.train_step()
            self.after_step()
        self.complete(why)
        return why

    def ending(self) -> str | None:
        """Why the run ends now, or None."""
        training, total_steps = self.config.training, self.setup.total_steps
        if self.requests.ending is not None:
            return self.requests.ending
        if self.diverged:
            return "diverged"
        if total_steps is not None and self.step >= total_steps:
            return "done"
        if training.max_minutes and self.stopwatch.seconds >= 60 * training.max_minutes:
            return "max_minutes"
        return "early_stopping" if self.validation.out_of_patience else None

    def after_step(self) -> None:
        """All that is due at this step and has not been done."""
        if self.logging_is_due():
            self.log()
        if self.evaluation_is_due():
            self.evaluate()
        if self.checkpoint_is_due():
            self.checkpoint("periodic")
        self.stopwatch.leave_out(self.requests.obey(lambda: self.checkpoint("requested")))

    def complete(self, why: str) -> None:
        """Evaluate and save what the last steps brought. Diverged weights are not worth it, and someone who interrupts
        does not wait.
        """
        if why in ("interrupted", "stopped"):
            self.checkpoint("interrupted" if why == "interrupted" else "final")
            return
        if self.logged_step < self.step:
            self.log()
        if why == "diverged":
            self.warn(
                "divergence",
                f"The loss exploded, or was not finite, for {self.config.training.max_bad_steps} steps in a row.",
            )
            return
        if self.evaluated_step < self.step:
            self.evaluate()
        self.checkpoint("final")

    # One step.

    def train_step(self) -> None:
        """One optimizer step on `accumulate` micro-batches."""
        self.stopwatch.start_stepping()
        self.unfreezing.apply(self.step)
        self.optimizers.set_lr(self.lr_multiplier())
        batches = self.upcoming or self.fetch(self.step)
        loss = self.forward_backward(batches)
        self.clip()
        self.update(loss, sum(batch.tokens for batch in batches))
        self.step += 1
        self.journal.step = self.step
        self.upcoming = self.fetch(self.step)  # while a GPU is still busy with this step

    def fetch(self, step: int) -> list[MicroBatch]:
        """The micro-batches of a step, on their way to the device."""
        accumulate = self.config.training.accumulate
        batches = [self.setup.batches.get(step * accumulate + i) for i in range(accumulate)]
        return [
            MicroBatch(to_device(batch.x, self.device), to_device(batch.y, self.device), batch.carry, batch.tokens)
            for batch in batches
        ]

    def forward_backward(self, batches: list[MicroBatch]) -> Tensor:
        """Gradients of the mean loss over all tokens of the micro-batches, as one large batch would give; that loss,
        0-dimensional.
        """
        self.optimizers.zero_grad()
        tokens = sum(batch.tokens for batch in batches)
        loss = torch.zeros((), device=self.device)
        for batch in batches:
            with autocast(self.device, self.setup.precision):
                part = self.objective(
                    self.model, batch.x, batch.y, self.carried if batch.carry else None, self.config.training
                )
            total = part.total * (batch.tokens / tokens)
            torch.autograd.backward(total if self.scaler is None else self.scaler.scale(total))
            loss += part.cross_entropy * (batch.tokens / tokens)
            self.carried = part.state
        return loss

    def clip(self) -> None:
        """Measure the global norm of the gradient, and scale the gradient down to `grad_clip` (Pascanu et al. 2013)."""
        if self.scaler is not None:
            for optimizer in self.optimizers.parts:
                self.scaler.unscale_(optimizer)
        parameters = list(self.trained.values())
        self.grad_norm = torch.nn.utils.get_total_norm(
            [parameter.grad for parameter in parameters if parameter.grad is not None]
        )
        if self.config.optimizer.grad_clip:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.config.optimizer.grad_clip, self.grad_norm)

    def update(self, loss: Tensor, tokens: int) -> None:
        """Move the weights and their average, unless loss or gradient is not finite; count the step either way."""
        finite = torch.isfinite(loss) & torch.isfinite(self.grad_norm)
        self.optimizers.step(finite)
        scale_too_high = None
        if self.scaler is not None:
            scale_too_high = torch.isfinite(loss) & ~finite if self.scaler.get_scale() > 1 else None
            self.scaler.update()
        if self.average is not None:
            self.average.update(self.trained)
        if self.carried is not None:
            # A state that is not finite would spoil all steps to come: forget it.
            self.carried = tuple(torch.where(finite, part, 0.0) for part in self.carried)
        self.bad_steps.add(loss, finite, rescaled=scale_too_high)
        self.meter.add(loss, tokens, finite)
        self.tokens += tokens
        if self.device.type == "cpu":  # elsewhere it is read when logging: reading waits for the device
            self.skipped, self.diverged = self.bad_steps.read()

    def lr_multiplier(self) -> float:
        """The learning rate of the next step, as a share of its peak."""
        return lr_multiplier(self.config.schedule, self.step, self.setup.total_steps or 0, self.validation.losses)

    # What is due.

    def epoch_ended(self) -> bool:
        """Whether the last step finished an epoch."""
        return self.step > 0 and math.floor(self.setup.epoch(self.step)) > math.floor(self.setup.epoch(self.step - 1))

    def logging_is_due(self) -> bool:
        """Every `log_every` steps, and at the end of an epoch, whose mean loss is then complete."""
        return self.step > self.logged_step and (self.step % self.config.training.log_every == 0 or self.epoch_ended())

    def evaluation_is_due(self) -> bool:
        """Every `eval_every` steps, or once an epoch."""
        every = self.config.training.eval_every
        return self.step > self.evaluated_step and (self.step % every == 0 if every else self.epoch_ended())

    def checkpoint_is_due(self) -> bool:
        """Every `checkpoint_every` steps, or with each evaluation; and whenever the last evaluation was the best."""
        every = self.config.training.checkpoint_every
        evaluated = self.evaluated_step == self.step
        periodic = self.step % every == 0 if every else evaluated
        return self.step not in (0, self.saved_step) and (
            periodic or (evaluated and self.validation.best_step == self.step)
        )

    # Log, evaluate, save.

    def log(self) -> None:
        """Write a `train` event."""
        loss, epoch_loss = self.meter.read()
        self.skipped, self.diverged = self.bad_steps.read()
        tokens, seconds = self.tokens - self.speed_since[0], self.stopwatch.stepping - self.speed_since[1]
        speed = tokens / seconds if seconds > 0 else math.nan
        self.speed_since = (self.tokens, self.stopwatch.stepping)
        self.logged_step = self.step
        self.journal.write(
            "train",
            **self.progress(),
            loss=loss,
            epoch_loss=epoch_loss,
            lr=self.optimizers.lr,
            grad_norm=self.grad_norm.item(),
            tokens_per_second=speed,
            memory_bytes=memory_bytes(),
            memory=memory_split(self.model, self.optimizers.memory_bytes(), self.device),
            mfu=utilization(self.flops_per_token, speed, self.device, self.setup.precision),
            skipped=self.skipped,
        )
        self.epoch_loss = epoch_loss
        if self.epoch_ended():
            self.meter.new_epoch()
        if self.skipped > self.skipped_at_warning:
            self.skipped_at_warning = self.skipped
            self.warn(
                "nan",
                f"{self.skipped} steps so far had a loss or gradient that is not finite: they were skipped, the weights are sound.",
            )

    def progress(self) -> dict[str, float]:
        """How far the run is, as `train` and `eval` events say it."""
        return {
            "step": self.step,
            "epoch": self.setup.epoch(self.step),
            "tokens": self.tokens,
            "seconds": self.stopwatch.seconds,
        }

    def warn(self, what: str, message: str) -> None:
        """Write a `warning` event."""
        self.journal.write("warning", step=self.step, what=what, message=message)

    def evaluate(self) -> None:
        """Score the validation split and write samples, with the averaged weights if there are any; training notices
        nothing of it.
        """
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # what is still running is training, and timed as such
        self.stopwatch.stop_stepping()
        with random_stream_kept(self.device), averaged(self.trained, self.average):
            try:
                result = score(
                    self.setup,
                    self.model,
                    "val",
                    max_tokens=self.config.eval.max_tokens,
                    cancelled=self.requests.impatient,
                )
            except Cancelled:
                return  # a resumed run does it again
            best = self.validation.add(self.step, result.loss)
            self.evaluated_step = self.step
            self.saved_step = -1  # a checkpoint of this step would not know of it
            self.journal.write("eval", **self.progress(), split="val", **result.fields(), best=best)
            self.write_samples()
        if self.average is not None:
            self.average.evaluated(self.validation.losses)
        for what, message in new_warnings(self.run, self.warned).items():
            self.warn(what, message)

    def write_samples(self) -> None:
        """Continue the config's prompts."""
        settings = self.config.generation
        try:
            texts = generate_samples(self.model, self.setup.data.tokenizer, settings, self.requests.impatient)
        except LmError as error:
            self.warn("nan", f"No samples at step {self.step}: {error.message}")
            return
        for prompt, text in texts.items():
            self.journal.write(
                "sample",
                step=self.step,
                prompt=prompt,
                text=text,
                settings=settings.model_dump(mode="json", exclude={"prompts"}),
            )

    def checkpoint(self, reason: str) -> None:
        """Save everything, unless this step is saved already; point `last` at it, and `best` if it is the best so far."""
        if self.saved_step == self.step:
            return
        self.stopwatch.stop_stepping()
        began = time.monotonic()
        best = self.evaluated_step == self.step == self.validation.best_step
        self.saved_step = self.step
        folder = publish_checkpoint(self.run.path, self.step, self.save)
        if best:
            set_pointer(self.run.path, "best", folder)
        set_pointer(self.run.path, "last", folder)
        prune_checkpoints(self.run.path, self.config.training.keep_checkpoints)
        reason = "best" if best and reason == "periodic" else reason
        seconds = time.monotonic() - began
        self.journal.write(
            "checkpoint", step=self.step, path=folder.name, reason=reason, best=best, seconds_taken=seconds
        )

    def save(self, folder: Path) -> None:
        """Fill a checkpoint's folder: the model as it is evaluated, its tokenizer, its way of writing, and what a
        resume needs.
        """
        with averaged(self.trained, self.average) as raw:
            save_model(self.model, folder)
            save_state(self, raw, folder)
        self.setup.data.tokenizer.save(folder / "tokenizer.json")
        settings = self.config.generation.model_dump(mode="json")
        (folder / "generation_config.json").write_text(
            json.dumps(settings, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def score(
    setup: Setup, model: LanguageModel, split: str, *, max_tokens: int = 0, cancelled: Callable[[], bool]
) -> EvalResult:
    """`evaluate`, with the settings of the run.

    Raises:
        Cancelled: someone does not want to wait.
    """
    config = setup.config
    return evaluate(
        model,
        setup.data.splits[split],
        block_size=config.model.block_size,
        batch_size=config.eval.batch_size or config.training.batch_size,
        stride=config.eval.stride,
        max_tokens=max_tokens,
        device=setup.device,
        precision=setup.precision,
        cancelled=cancelled,
    )
