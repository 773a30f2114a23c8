"""What a run's curves say about its health, each sign with a remedy. Pure functions of plain lists.

The signs are those of a training course: read train and validation loss together; their gap and its trend tell
overfitting from underfitting (Goodfellow et al., Deep Learning, 2016, chapters 5 and 11).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median, pstdev
from typing import TYPE_CHECKING, Protocol, TypeGuard

from lmcore.config import setting_applies

if TYPE_CHECKING:
    import numpy as np

    from lmcore.config import Config

Losses = Sequence[float | None]

# Train events that are looked at.
POINTS = 2000
WINDOW = 5
RECENT_EVALS = 4
# Fewer reports than this may be the warm-up.
PLATEAU_REPORTS = 40
# Shares of the loss itself: a rise or fall below this is not one.
FLAT = 0.01
CLOSE = 0.03
NOISY = 0.05
DIVERGED = 0.25
# A model that has lost less than this share of its first loss has learned little more than which tokens are frequent.
LITTLE = 0.4


class RunColumns(Protocol):
    """The fields of a run's curves as arrays: `History`, or the columns that the screen keeps."""

    def columns(self, kind: str, fields: Iterable[str]) -> Mapping[str, np.ndarray]:
        """Fields of the `train` events or of the `val` curve's points, float64 [N], NaN where there is no number."""


@dataclass(frozen=True)
class Curves:
    """Losses in nats a token (null where not finite) against steps; accuracies are those of the next token in
    validation.
    """

    train_steps: Sequence[float] = ()
    train_losses: Losses = ()
    val_steps: Sequence[float] = ()
    val_losses: Losses = ()
    val_accuracies: Losses = field(default=())


@dataclass(frozen=True)
class Gap:
    """Generalization gap, val - train in nats a token, and its change from one evaluation to the next of late."""

    value: float
    slope: float

    @property
    def trend(self) -> str:
        """`rising`, `falling` or `steady`."""
        if abs(self.slope) < FLAT:
            return "steady"
        return "rising" if self.slope > 0 else "falling"


@dataclass(frozen=True)
class Sign:
    """`what`: healthy, overfit, overconfident, underfit, noisy, plateau or divergence; what was seen; what to do.

    The remedies name settings that apply to the run only.
    """

    what: str
    message: str
    remedy: str


def curves_of(run: RunColumns) -> Curves:
    """The curves of a run, of long ones every n-th train event and the last."""
    train, val = run.columns("train", ("step", "loss")), run.columns("val", ("step", "loss", "accuracy"))
    count = len(train["step"])
    kept = range(0, count, -(-count // POINTS) or 1)
    at = [*kept, count - 1] if count and kept[-1] < count - 1 else list(kept)
    return Curves(
        train_steps=train["step"][at].tolist(),
        train_losses=_or_none(train["loss"][at]),
        val_steps=val["step"].tolist(),
        val_losses=_or_none(val["loss"]),
        val_accuracies=_or_none(val["accuracy"]),
    )


def generalization_gap(curves: Curves) -> Gap | None:
    """The gap at the last evaluation and its slope over the last few (least squares); None before both losses are
    known.
    """
    gaps = [val - train for val, train in _paired(curves)]
    if not gaps:
        return None
    return Gap(gaps[-1], _slope(gaps[-RECENT_EVALS:]))


def diagnose(curves: Curves, config: Config | None = None) -> list[Sign]:
    """The signs in a run's curves so far, the gravest first; empty while there is too little to tell.

    Args:
        curves: the run's.
        config: the run's settings. A remedy names none that has no effect there; without a config, none that depends
            on others.
    """
    train = [loss for loss in curves.train_losses if _finite(loss)]
    if curves.train_losses and not _finite(curves.train_losses[-1]):
        return [_DIVERGENCE]
    if len(train) < 2 * WINDOW:
        return []
    diverged = _divergence(train)
    if diverged:
        return [diverged]
    signs = [sign for sign in (_plateau(train, config), _overfit(curves, config), _noisy(train)) if sign]
    return signs or [_underfit(curves, train) or _healthy(curves)]


_DIVERGENCE = Sign(
    "divergence",
    "The training loss is no longer a finite number.",
    "Lower optimizer.lr, clip gradients (optimizer.grad_clip 1.0), or add schedule.warmup_steps.",
)


def _divergence(train: list[float]) -> Sign | None:
    medians = [median(train[i : i + WINDOW]) for i in range(len(train) - WINDOW + 1)]
    best, now = min(medians), medians[-1]
    if now < best + max(0.5, DIVERGED * best):
        return None
    message = f"The training loss rose from {best:.2f} to {now:.2f}: training diverges."
    return Sign("divergence", message, _DIVERGENCE.remedy)


def _plateau(train: list[float], config: Config | None) -> Sign | None:
    first, now = train[0], fmean(train[-WINDOW:])
    if len(train) < PLATEAU_REPORTS or not _is_flat(train) or now < first * (1 - LITTLE):
        return None
    message = f"The training loss has stayed near {now:.2f} for half of the run: an early plateau."
    remedies = ["add schedule.warmup_steps", "change optimizer.lr by a factor of 3"]
    if config is not None and setting_applies(config, "model.norm_position") and config.model.norm_position == "post":
        remedies.append("normalize before each sublayer (model.norm_position pre)")
    return Sign("plateau", message, _one_of(remedies))


def _overfit(curves: Curves, config: Config | None) -> Sign | None:
    """Validation has risen over two evaluations or more since its best, while training went on falling."""
    points = [(i, loss) for i, loss in enumerate(curves.val_losses) if _finite(loss)]
    if len(points) < 3:
        return None
    at, best = min(points, key=lambda point: point[1])
    last_at, last = points[-1]
    pairs = _paired(curves)
    train_fell = len(pairs) == len(points) and pairs[-1][1] < pairs[[i for i, _ in points].index(at)][1]
    if last_at - at < 2 or last < best * (1 + FLAT) or not train_fell:
        return None
    accuracies = curves.val_accuracies
    then, now = (accuracies[at], accuracies[last_at]) if len(accuracies) == len(curves.val_losses) else (None, None)
    rise = f"from {best:.3f} (step {curves.val_steps[at]:,.0f}) to {last:.3f}"
    rose = f"Validation loss rose {rise} while training loss fell"
    if then is not None and now is not None and now > then:
        return Sign(
            "overconfident",
            f"{rose}, but accuracy still rises, from {then:.1%} to {now:.1%}: the model is overconfident when it is "
            "wrong.",
            "Add training.label_smoothing 0.1 or stop earlier; the best checkpoint is kept.",
        )
    decays = config is not None and setting_applies(config, "optimizer.weight_decay")
    remedies = [
        "stop early (training.patience 3)",
        "add model.dropout",
        *(["add optimizer.weight_decay"] if decays else []),
        "use more text or a smaller model",
    ]
    return Sign("overfit", f"{rose}: overfitting.", _one_of(remedies))


def _noisy(train: list[float]) -> Sign | None:
    recent = train[-4 * WINDOW :]
    # Differences of neighbours hold the noise twice, and hardly any of the trend.
    noise = pstdev([b - a for a, b in pairwise(recent)]) / math.sqrt(2)
    if noise < NOISY * fmean(recent):
        return None
    message = f"The training loss varies by {noise:.2f} from one report to the next: it is noisy."
    return Sign(
        "noisy",
        message,
        "Increase training.batch_size or training.accumulate, lower optimizer.lr, or clip gradients "
        "(optimizer.grad_clip 1.0).",
    )


def _underfit(curves: Curves, train: list[float]) -> Sign | None:
    """Both curves lie close together and have stopped falling."""
    pairs = _paired(curves)
    if len(pairs) < 3 or not _is_flat(train):
        return None
    val, near = pairs[-1]
    if val - near > CLOSE * val or pairs[-3][0] - val > FLAT * val:
        return None
    message = f"Training and validation loss ({near:.2f}, {val:.2f}) are close and have stopped falling: underfitting."
    return Sign(
        "underfit",
        message,
        "Increase the size of the model (model.n_layer, model.n_embd), lower model.dropout, or raise optimizer.lr.",
    )


def _one_of(remedies: Sequence[str]) -> str:
    """A sentence with a choice of remedies."""
    text = f"{', '.join(remedies[:-1])}, or {remedies[-1]}." if len(remedies) > 2 else f"{' or '.join(remedies)}."
    return text[0].upper() + text[1:]


def _healthy(curves: Curves) -> Sign:
    pairs = _paired(curves)
    falling = len(pairs) > 1 and pairs[-2][0] - pairs[-1][0] > FLAT / 2 * pairs[-1][0]
    if falling:
        return Sign("healthy", "Training and validation loss fall together.", "Continue: more steps still help.")
    return Sign(
        "healthy", "Nothing unusual in the curves.", "Continue, and watch the gap between validation and training loss."
    )


def _paired(curves: Curves) -> list[tuple[float, float]]:
    """(val, train) at each evaluation, train being the mean since the evaluation before."""
    pairs: list[tuple[float, float]] = []
    since = -math.inf
    train = [(step, loss) for step, loss in zip(curves.train_steps, curves.train_losses, strict=True) if _finite(loss)]
    at = 0
    for step, val in zip(curves.val_steps, curves.val_losses, strict=True):
        between = []
        while at < len(train) and train[at][0] <= step:
            if train[at][0] > since:
                between.append(train[at][1])
            at += 1
        since = step
        if between and _finite(val):
            pairs.append((val, fmean(between)))
    return pairs


def _is_flat(train: list[float]) -> bool:
    """Whether the last half brought less than one percent."""
    half = train[len(train) // 2 :]
    third = max(1, len(half) // 3)
    return fmean(half[:third]) - fmean(half[-third:]) < FLAT * fmean(half)


def _slope(values: list[float]) -> float:
    """Least-squares slope per item; 0 for one item."""
    n = len(values)
    if n < 2:
        return 0.0
    centre, mean = (n - 1) / 2, fmean(values)
    return sum((i - centre) * (value - mean) for i, value in enumerate(values)) / sum(
        (i - centre) ** 2 for i in range(n)
    )


def _or_none(losses: np.ndarray) -> list[float | None]:
    return [loss if math.isfinite(loss) else None for loss in losses.tolist()]


def _finite(loss: float | None) -> TypeGuard[float]:
    return loss is not None and math.isfinite(loss)
