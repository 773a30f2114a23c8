"""The training loop: fetch, forward, backward, clip, step; and from time to time log, evaluate, save.

One step reads as in a textbook, with the loss a mean over all tokens of `accumulate` micro-batches:

    g ← gradient of the loss                                  forward_backward
    g ← g · min(1, grad_clip / |g|)                           clip
    w ← optimizer(w, g, lr(step)), unless g is not finite     update
    average ← average of the weights so far                   update

Everything that the loop remembers is in one of its `parts`, each of which knows its own state; a checkpoint is their
sum (`checkpoint.py`), so a resumed run is the same run.
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lmcore.errors import LmError
from lmcore.generation import save_defaults
from lmcore.models import LanguageModel, save_model
from lmcore.runs import prune_checkpoints, publish_checkpoint, set_pointer
from lmcore.training.averaging import averaged, build_average
from lmcore.training.carried import CarriedState
from lmcore.training.checkpoint import Stateful, load_state, save_state
from lmcore.training.control import RunControl
from lmcore.training.device import autocast, gradient_scaler, pays_to_compile, to_device, wait_for
from lmcore.training.evaluate import Cancelled, EvalResult
from lmcore.training.forecast import Forecast
from lmcore.training.health import new_warnings
from lmcore.training.journal import Journal
from lmcore.training.limits import BadSteps, Validation
from lmcore.training.memory import memory_bytes, memory_split
from lmcore.training.meter import LossMeter, Stopwatch
from lmcore.training.mfu import utilization
from lmcore.training.objective import objective
from lmcore.training.optimizers import Parameters, build_optimizers
from lmcore.training.randomness import RandomState, random_stream_kept
from lmcore.training.samples import generate_samples
from lmcore.training.schedules import lr_multiplier
from lmcore.training.scoring import score
from lmcore.training.setup import Setup
from lmcore.training.unfreezing import Unfreezing


class MicroBatch(NamedTuple):
    """A batch on the device: inputs and targets [B, T]; whether the state is carried into it; targets scored."""

    x: Tensor
    y: Tensor
    carry: bool
    tokens: int


class Trainer:
    """Trains `model` in its `setup` and records it in `journal`.

    Attributes:
        step: optimizer steps done, skipped ones included.
        tokens: targets trained on so far.
        trained: the parameters that are trained, by name.
        parts: everything with a state that a resumed run continues from.
    """

    def __init__(self, setup: Setup, model: LanguageModel, journal: Journal, control: RunControl) -> None:
        self.setup, self.model, self.journal, self.control = setup, model, journal, control
        self.config, self.device = setup.config, setup.device
        training = self.config.training

        self.trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
        parameters = Parameters.of(model, self.trained)
        self.optimizers = build_optimizers(self.config.optimizer, parameters, self.device)
        self.shrunk = [self.trained[name] for name in parameters.decaying(self.config.optimizer.decay_all)]
        self.unfreezing = Unfreezing(model, training.unfreeze_every)
        self.average = build_average(training, self.trained)
        self.scaler = gradient_scaler(self.device, setup.precision)
        self.objective = (
            torch.compile(objective) if pays_to_compile(training, self.device, setup.total_steps) else objective
        )

        self.step = 0
        self.tokens = 0
        self.carried = CarriedState()
        self.upcoming: list[MicroBatch] = []
        self.grad_norm = torch.zeros((), device=self.device)
        self.meter = LossMeter(self.device)
        self.stopwatch = Stopwatch(lambda: wait_for(self.device))
        self.validation = Validation(training.patience, training.min_delta)
        self.bad_steps = BadSteps(training.max_bad_steps, model.vocab_size, self.device)
        self.saved_step = -1
        self.flops_per_token = model.flops_per_token()

        parts: dict[str, Stateful | None] = {
            "setup": setup,  # first: another text is refused before anything is changed
            "trainer": self,
            "optimizer": self.optimizers,
            "average": self.average,
            "scaler": self.scaler,
            "carried": self.carried,
            "random": RandomState(self.device),
            "meter": self.meter,
            "stopwatch": self.stopwatch,
            "validation": self.validation,
            "bad_steps": self.bad_steps,
            "journal": journal,
        }
        self.parts = {name: part for name, part in parts.items() if part is not None}
        self.forecast = Forecast(setup, 0, 0.0)

    def state_dict(self) -> dict[str, Any]:
        """What the loop itself remembers: where it is."""
        return {"step": self.step, "tokens": self.tokens}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.step = self.saved_step = self.journal.step = state["step"]
        self.tokens = state["tokens"]

    def resume_from(self, folder: Path) -> None:
        """Continue from a checkpoint; the model has been loaded from there too.

        Raises:
            LmError: a file is damaged, or the text is not the one the run was trained on.
        """
        load_state(self.parts, folder, self.device)
        self.forecast = Forecast(self.setup, self.step, self.stopwatch.stepping)

    # The run.

    def train(self) -> str:
        """Step until something ends the run; what (the `why` of a `finish` event)."""
        self.model.train()
        self.after_step()  # a resumed run may have been interrupted before this was done
        while (why := self.ending()) is None:
            self.train_step()
            self.after_step()
        self.complete(why)
        self.stopwatch.stop_stepping()
        return why

    def ending(self) -> str | None:
        """Why the run ends now, or None."""
        training, total_steps = self.config.training, self.setup.total_steps
        if self.control.ending is not None:
            return self.control.ending
        if self.bad_steps.diverged:
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
        self.stopwatch.leave_out(self.control.handle(lambda: self.checkpoint("requested")))

    def complete(self, why: str) -> None:
        """Evaluate and save what the last steps brought. Diverged weights are not worth it, and whoever interrupts
        does not want to wait.
        """
        if why in ("interrupted", "stopped"):
            self.checkpoint("interrupted" if why == "interrupted" else "final")
            return
        if self.journal.logged_step < self.step:
            self.log()
        if why == "diverged":
            self.journal.warn(
                "divergence",
                f"The loss exploded, or was not finite, for {self.config.training.max_bad_steps} steps in a row.",
            )
            return
        if self.validation.last_step < self.step:
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
                state = self.carried.tensors if batch.carry else None
                part = self.objective(self.model, batch.x, batch.y, state, self.config.training, self.shrunk)
            total = part.total * (batch.tokens / tokens)
            torch.autograd.backward(total if self.scaler is None else self.scaler.scale(total))
            loss += part.cross_entropy * (batch.tokens / tokens)
            self.carried.tensors = part.state
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
            self.average.update()
        self.carried.reset_unless(finite)
        self.bad_steps.add(loss, finite, rescaled=scale_too_high)
        self.meter.add(loss, tokens, finite)
        self.tokens += tokens
        if self.device.type == "cpu":  # elsewhere it is read when logging: reading waits for the device
            self.bad_steps.read()

    def lr_multiplier(self) -> float:
        """The learning rate of the next step, as a share of its peak."""
        return lr_multiplier(self.config.schedule, self.step, self.setup.total_steps or 0, self.validation.losses)

    # What is due.

    def epoch_ended(self) -> bool:
        """Whether the last step finished an epoch."""
        return self.step > 0 and math.floor(self.setup.epoch(self.step)) > math.floor(self.setup.epoch(self.step - 1))

    def logging_is_due(self) -> bool:
        """Every `log_every` steps, and at the end of an epoch, whose mean loss is then complete."""
        due = self.step % self.config.training.log_every == 0 or self.epoch_ended()
        return self.step > self.journal.logged_step and due

    def evaluation_is_due(self) -> bool:
        """Every `eval_every` steps, or once an epoch."""
        every = self.config.training.eval_every
        return self.step > self.validation.last_step and (self.step % every == 0 if every else self.epoch_ended())

    def checkpoint_is_due(self) -> bool:
        """Every `checkpoint_every` steps, or with each evaluation; and whenever the last evaluation was the best."""
        every = self.config.training.checkpoint_every
        evaluated = self.validation.last_step == self.step
        periodic = self.step % every == 0 if every else evaluated
        return self.step not in (0, self.saved_step) and (
            periodic or (evaluated and self.validation.best_step == self.step)
        )

    # Log, evaluate, save.

    def log(self) -> None:
        """Write a `train` event."""
        loss = self.meter.read()
        self.bad_steps.read()
        speed = self.stopwatch.tokens_per_second(self.tokens)
        self.forecast.lap(self.step, self.stopwatch.stepping)
        self.journal.write(
            "train",
            **self.progress(),
            seconds_left=self.forecast.seconds_left(self.step, self.stopwatch.seconds),
            loss=loss,
            epoch_loss=self.meter.epoch_loss,
            lr=self.optimizers.lr,
            grad_norm=self.grad_norm.item(),
            tokens_per_second=speed,
            memory_bytes=memory_bytes(self.device),
            memory=memory_split(self.model, self.optimizers.memory_bytes(), self.device),
            mfu=utilization(self.flops_per_token, speed, self.device, self.setup.precision),
            skipped=self.bad_steps.skipped,
        )
        if self.epoch_ended():
            self.meter.new_epoch()
        if self.bad_steps.news():
            self.journal.warn(
                "nan",
                f"Steps skipped so far because the loss or the gradient was not finite: {self.bad_steps.skipped}. "
                "The weights are not affected.",
            )

    def progress(self) -> dict[str, float]:
        """How far the run is, as `train` and `eval` events say it."""
        return {
            "step": self.step,
            "epoch": self.setup.epoch(self.step),
            "tokens": self.tokens,
            "seconds": self.stopwatch.seconds,
        }

    def figures(self) -> dict[str, Any]:
        """What the run's summary says of its training; `seconds` include evaluations, final scores as well."""
        seconds, stepping, epoch_loss = self.stopwatch.seconds, self.stopwatch.stepping, self.meter.epoch_loss
        return {
            "steps": self.step,
            "tokens": self.tokens,
            "seconds": seconds,
            "tokens_per_second": self.tokens / stepping if stepping else None,
            "train_loss": epoch_loss if math.isfinite(epoch_loss) else None,
            "best_step": self.validation.best_step if math.isfinite(self.validation.best_loss) else None,
        }

    def evaluate(self) -> None:
        """Score the validation split and write samples, with the averaged weights if there are any; training notices
        nothing of it.
        """
        self.stopwatch.stop_stepping()
        began = time.monotonic()
        with random_stream_kept(self.device), averaged(self.average):
            try:
                result = score(
                    self.setup,
                    self.model,
                    "val",
                    final=False,
                    journal=self.journal,
                    cancelled=self.control.interrupted,
                )
            except Cancelled:
                return  # a resumed run does it again
            scored = time.monotonic()
            self.note_evaluation(result)
            self.sample()
        self.forecast.evaluated(result.tokens, scored - began, time.monotonic() - began)
        if self.average is not None:
            self.average.evaluated(self.validation.losses)
        for what, message in new_warnings(self.journal.run, self.config, self.journal.warned).items():
            self.journal.warn(what, message)

    def note_evaluation(self, result: EvalResult) -> None:
        """Write an `eval` event."""
        best = self.validation.add(self.step, result.loss)
        self.saved_step = -1  # a checkpoint of this step would not know of it
        self.journal.write("eval", **self.progress(), split="val", **result.fields(), best=best, final=False)

    def sample(self) -> None:
        """Continue the config's prompts."""
        settings = self.config.generation
        try:
            texts = generate_samples(self.model, self.setup.data.tokenizer, settings, self.control.interrupted)
        except LmError as error:
            self.journal.warn("nan", f"No samples at step {self.step}: {error.message}")
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
        """Save everything, unless this step is saved already; `last` points at it, and `best` if it is the best."""
        if self.saved_step == self.step:
            return
        self.stopwatch.stop_stepping()
        began = time.monotonic()
        best = self.validation.last_step == self.step == self.validation.best_step
        self.saved_step = self.step
        path = self.journal.run.path
        folder = publish_checkpoint(path, self.step, self.save)
        if best:
            set_pointer(path, "best", folder)
        set_pointer(path, "last", folder)
        prune_checkpoints(path, self.config.training.keep_checkpoints)
        reason = "best" if best and reason == "periodic" else reason
        seconds = time.monotonic() - began
        self.forecast.saved(seconds)
        self.journal.write(
            "checkpoint", step=self.step, path=folder.name, reason=reason, best=best, seconds_taken=seconds
        )

    def save(self, folder: Path) -> None:
        """Fill a checkpoint's folder: the model as it is evaluated, its tokenizer, its generation settings, and what a
        resume needs.
        """
        with averaged(self.average):
            save_model(self.model, folder)
            save_state(self.parts, folder)
        self.setup.data.tokenizer.save(folder)
        save_defaults(self.config.generation, folder)
