"""Objective, optimizers, schedules, the loop, checkpoints, early stopping, evaluation (docs/training.md)."""

from lmcore.training.evaluate import EvalResult, evaluate
from lmcore.training.lr_finder import LrCurve, find_learning_rate
from lmcore.training.session import train
from lmcore.training.setup import Setup, prepare

__all__ = ["EvalResult", "LrCurve", "Setup", "evaluate", "find_learning_rate", "prepare", "train"]
