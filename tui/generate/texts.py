"""The texts of checkpoints as plain data: tokens, samples, and the place where texts start to differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from lmcore.text import harmless

LEVELS = (0.5, 0.2, 0.05, 0.01)
"""Least probability of each tint; what is less likely still has the last one, `len(LEVELS)`."""


@dataclass(frozen=True)
class Token:
    """A token as it is shown: harmless text, the model's own probability for it, and what else it might have been."""

    text: str
    probability: float
    nll: float
    alternatives: tuple[tuple[str, float], ...] = ()

    @property
    def level(self) -> int:
        """Its tint, from 0 (likely) to 4 (surprising)."""
        return sum(self.probability < least for least in LEVELS)


@dataclass(eq=False)
class CheckpointTexts:
    """What one checkpoint has generated so far.

    Attributes:
        samples: Its texts, each a list of tokens.
        state: waiting, loading, generating, done, stopped or failed.
        note: Notices of the model, or what failed.
    """

    samples: list[list[Token]] = field(default_factory=lambda: [[]])
    state: str = "waiting"
    note: str = ""
    step: int | None = None
    tokens: int = 0
    seconds: float = 0.0
    nll: float | None = None
    _texts: list[str] = field(default_factory=lambda: [""])

    def add(self, sample: int, text: str, probability: float, nll: float, alternatives: Sequence[Any]) -> Token:
        """Append what the computing process sent."""
        while len(self.samples) <= sample:
            self.samples.append([])
            self._texts.append("")
        others = tuple((harmless(str(other), keep_newlines=False), float(p)) for other, p in alternatives)
        token = Token(harmless(text), probability, nll, others)
        self.samples[sample].append(token)
        self._texts[sample] += token.text
        return token

    def text(self, sample: int = 0) -> str:
        """The continuation, without the prompt."""
        return self._texts[sample] if sample < len(self._texts) else ""


def parting(columns: Sequence[CheckpointTexts], sample: int) -> int | None:
    """Where the columns' texts differ first, as the number of characters they share; None while none differs, or with
    fewer than two texts.

    A text that has merely not come that far yet does not differ.
    """
    texts = [text for text in (column.text(sample) for column in columns) if text]
    for place, characters in enumerate(zip_longest(*texts)):
        if len({character for character in characters if character is not None}) > 1:
            return place
    return None
