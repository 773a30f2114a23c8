"""Gradual unfreezing: first only the top layer of a pretrained model learns, then one more each time (Howard & Ruder
2018, ULMFiT).
"""

from __future__ import annotations

from lmcore.models import LanguageModel


class Unfreezing:
    """Which layers learn is a pure function of the step: the top `1 + step // every` groups; with `every` 0, all.

    Parameters that are frozen by the config stay so.
    """

    def __init__(self, model: LanguageModel, every: int) -> None:
        self.every = every
        self._groups = (
            [[parameter for parameter in group if parameter.requires_grad] for group in model.layer_groups()]
            if every
            else []
        )
        self._learning = -1

    def apply(self, step: int) -> None:
        """Freeze and thaw for this step."""
        if not self.every or self._learning == len(self._groups):
            return
        learning = min(len(self._groups), 1 + step // self.every)
        if learning == self._learning:
            return
        self._learning = learning
        for depth, group in enumerate(reversed(self._groups)):
            for parameter in group:
                parameter.requires_grad_(depth < learning)
