"""What generation yields: one token of a text, as it may be shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GeneratedToken:
    """One token of a text.

    Attributes:
        sample: index of the text that it belongs to.
        text: what it adds to the text; empty for the first bytes of a character and for the token that ends a text.
        token_id: its id in the tokenizer.
        probability: the model's own for this token, at temperature 1 and before any penalty or filter.
        nll: -ln(probability), in nats.
        alternatives: the most likely tokens at this place with the model's own probability, most likely first.
    """

    sample: int
    text: str
    token_id: int
    probability: float
    nll: float
    alternatives: tuple[tuple[str, float], ...] = ()
