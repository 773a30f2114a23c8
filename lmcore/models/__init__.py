"""Tokens to hidden states to logits and loss: recurrent networks and transformers, and their weights on disk."""

from lmcore.measures import IGNORED
from lmcore.models.base import LanguageModel, LossOutput, Score
from lmcore.models.build import build_model, count_parameters
from lmcore.models.cache import KVCache
from lmcore.models.loss import linear_cross_entropy
from lmcore.models.pretrained import Filled, apply_pretrained_embedding
from lmcore.models.weights import load_model, save_model

__all__ = [
    "IGNORED",
    "Filled",
    "KVCache",
    "LanguageModel",
    "LossOutput",
    "Score",
    "apply_pretrained_embedding",
    "build_model",
    "count_parameters",
    "linear_cross_entropy",
    "load_model",
    "save_model",
]
